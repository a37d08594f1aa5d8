/** What the URL of the isolations' page holds. */
export type IsolationsSearch = Record<string, never>;

export function isolationsSearch(_search: Record<string, unknown>): IsolationsSearch {
  return {};
}

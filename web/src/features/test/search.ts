/** What the URL of a function's test page holds. */
export type TestSearch = Record<string, never>;

export function testSearch(_search: Record<string, unknown>): TestSearch {
  return {};
}

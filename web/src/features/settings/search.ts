/** What the URL of the settings holds. */
export type SettingsSearch = Record<string, never>;

export function settingsSearch(_search: Record<string, unknown>): SettingsSearch {
  return {};
}

export const tabs = ["tokens", "users", "audit", "retention", "prices"] as const;
export type Tab = (typeof tabs)[number];

/** What the URL of the settings holds: the tab, and the filters of the audit log. */
export interface SettingsSearch {
  tab?: Tab;
  actor?: string;
  action?: string;
  target?: string;
  before?: string;
}

/** settingsSearch keeps what is known and drops the rest. */
export function settingsSearch(search: Record<string, unknown>): SettingsSearch {
  const out: SettingsSearch = {};
  const tab = tabs.find((one) => one === search.tab);
  if (tab) out.tab = tab;
  for (const key of ["actor", "action", "target"] as const) {
    const value = typeof search[key] === "number" ? String(search[key]) : search[key];
    if (typeof value === "string" && value !== "") out[key] = value.slice(0, 100);
  }
  if (/^\d{1,20}$/.test(String(search.before))) out.before = String(search.before);
  return out;
}

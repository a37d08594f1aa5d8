import { validateTime, type TimeSearch } from "@/components/timeRange";

/** What the URL of a list of invocations holds. */
export type InvocationsSearch = TimeSearch;

export function invocationsSearch(search: Record<string, unknown>): InvocationsSearch {
  return validateTime(search);
}

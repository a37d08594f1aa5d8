import { validateTime, type TimeSearch } from "@/components/timeRange";

/** What the overview's URL holds. */
export type OverviewSearch = TimeSearch;

export function overviewSearch(search: Record<string, unknown>): OverviewSearch {
  return validateTime(search);
}

import { validateTime, type TimeSearch } from "@/components/timeRange";

/** What the URL of one function's charts holds. */
export type MetricsSearch = TimeSearch;

export function metricsSearch(search: Record<string, unknown>): MetricsSearch {
  return validateTime(search);
}

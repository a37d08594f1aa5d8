import { validateTime, type TimeSearch } from "@/components/timeRange";

/** What the URL of a log holds. */
export type LogsSearch = TimeSearch;

export function logsSearch(search: Record<string, unknown>): LogsSearch {
  return validateTime(search);
}

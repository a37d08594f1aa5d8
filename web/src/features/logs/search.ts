import { validateTime, type TimeSearch } from "@/components/timeRange";

export const levels = ["debug", "info", "warn", "error"] as const;
export const streams = ["stdout", "stderr", "platform"] as const;

/** What the URL of a log holds: its filters. */
export interface LogsSearch extends TimeSearch {
  function?: string;
  /** A text within the line. */
  q?: string;
  /** This level or a higher one. */
  level?: (typeof levels)[number];
  stream?: (typeof streams)[number];
  request_id?: string;
}

/** logsSearch keeps what is a filter and drops the rest. */
export function logsSearch(search: Record<string, unknown>): LogsSearch {
  const out: LogsSearch = validateTime(search);
  for (const key of ["function", "q", "request_id"] as const) {
    const value = typeof search[key] === "number" ? String(search[key]) : search[key];
    if (typeof value === "string" && value !== "") out[key] = value.slice(0, 200);
  }
  const level = levels.find((one) => one === search.level);
  if (level) out.level = level;
  const stream = streams.find((one) => one === search.stream);
  if (stream) out.stream = stream;
  return out;
}

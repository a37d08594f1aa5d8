import { validateTime, type TimeSearch } from "@/components/timeRange";

export const comparisons = ["previous", "day", "week", "version", "isolation"] as const;
export type Comparison = (typeof comparisons)[number];

/** What the URL of one function's charts holds. */
export interface MetricsSearch extends TimeSearch {
  /** Only this version, or this isolation. */
  version?: number;
  isolation?: string;
  /** What is compared: with an earlier time, or two versions or isolations, which are a and b. */
  compare?: Comparison;
  a?: string;
  b?: string;
}

/** metricsSearch keeps what is known and drops the rest. */
export function metricsSearch(search: Record<string, unknown>): MetricsSearch {
  const out: MetricsSearch = validateTime(search);
  const version = Number(search.version);
  if (Number.isInteger(version) && version > 0) out.version = version;
  if (typeof search.isolation === "string" && search.isolation !== "") out.isolation = search.isolation.slice(0, 63);
  const compare = comparisons.find((one) => one === search.compare);
  if (!compare) return out;
  out.compare = compare;
  for (const key of ["a", "b"] as const) {
    const value = typeof search[key] === "number" ? String(search[key]) : search[key];
    if (typeof value === "string" && value !== "") out[key] = value.slice(0, 63);
  }
  return out;
}

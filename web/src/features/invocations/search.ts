import { validateTime, type TimeSearch } from "@/components/timeRange";

const texts = ["function", "isolation", "outcome", "instance", "q"] as const;
const starts = ["warm", "thawed", "stem", "cold"] as const;
const faults = ["caller", "function", "platform"] as const;

/** What the URL of a list of invocations holds: its filters. */
export interface InvocationsSearch extends TimeSearch {
  function?: string;
  isolation?: string;
  /** The code of an outcome; "error" is every one that is not ok. */
  outcome?: string;
  instance?: string;
  /** The beginning of an id, or a part of an error's message. */
  q?: string;
  fault?: (typeof faults)[number];
  start?: (typeof starts)[number];
  version?: number;
  min_ms?: number;
  /** Where the page begins; absent on the first. */
  before?: string;
}

/** invocationsSearch keeps what is a filter and drops the rest. */
export function invocationsSearch(search: Record<string, unknown>): InvocationsSearch {
  const out: InvocationsSearch = validateTime(search);
  for (const key of texts) {
    const value = typeof search[key] === "number" ? String(search[key]) : search[key];
    if (typeof value === "string" && value !== "") out[key] = value.slice(0, 200);
  }
  const start = starts.find((one) => one === search.start);
  if (start) out.start = start;
  const fault = faults.find((one) => one === search.fault);
  if (fault) out.fault = fault;
  for (const key of ["version", "min_ms"] as const) {
    const value = Number(search[key]);
    if (Number.isInteger(value) && value > 0) out[key] = value;
  }
  if (/^\d{1,20}$/.test(String(search.before))) out.before = String(search.before);
  return out;
}

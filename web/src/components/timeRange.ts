import { useNavigate, useSearch } from "@tanstack/react-router";

/**
 * A time range in the URL: ?range=6h, or ?from=...&to=... in RFC 3339. Without
 * either it is the last hour, and the URL says nothing.
 */
export interface TimeSearch {
  range?: string;
  from?: string;
  to?: string;
}

/** A range as the API takes it, with what pages show of it. */
export interface TimeRange {
  /** For the API: relative ("-1h") or RFC 3339. */
  from: string;
  /** Undefined for "until now". */
  to?: string;
  /** The length in milliseconds. */
  length: number;
  /** "Last hour", or the two times. */
  label: string;
  /** The key of the preset; "" for a range of two times. */
  preset: string;
  /** Whether it ends now and so changes by itself. */
  live: boolean;
}

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** What the picker offers. */
export const presets = [
  { key: "15m", from: "-15m", label: "Last 15 minutes", short: "15 min", length: 15 * minute },
  { key: "1h", from: "-1h", label: "Last hour", short: "1 h", length: hour },
  { key: "6h", from: "-6h", label: "Last 6 hours", short: "6 h", length: 6 * hour },
  { key: "24h", from: "-24h", label: "Last 24 hours", short: "24 h", length: day },
  { key: "7d", from: "-168h", label: "Last 7 days", short: "7 d", length: 7 * day },
  { key: "30d", from: "-720h", label: "Last 30 days", short: "30 d", length: 30 * day },
] as const;

const fallback = presets[1];

function rfc3339(value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const time = Date.parse(value);
  return Number.isNaN(time) ? undefined : new Date(time).toISOString();
}

/** validateTime keeps what is a range of the URL's search and drops what is none. */
export function validateTime(search: Record<string, unknown>): TimeSearch {
  const from = rfc3339(search.from);
  const to = rfc3339(search.to);
  if (from !== undefined && to !== undefined && from < to) return { from, to };
  const preset = presets.find((p) => p.key === search.range);
  return preset && preset !== fallback ? { range: preset.key } : {};
}

/** resolveTime is the range that the search stands for. */
export function resolveTime(search: TimeSearch): TimeRange {
  if (search.from !== undefined && search.to !== undefined) {
    const from = new Date(search.from);
    const to = new Date(search.to);
    return {
      from: search.from,
      to: search.to,
      length: to.getTime() - from.getTime(),
      label: `${shortTime(from)} – ${shortTime(to)}`,
      preset: "",
      live: false,
    };
  }
  const p = presets.find((candidate) => candidate.key === search.range) ?? fallback;
  return { from: p.from, length: p.length, label: p.label, preset: p.key, live: true };
}

function shortTime(t: Date): string {
  return t.toLocaleString("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
}

/** The range of the URL, and how to change it. Changing it keeps the rest of the URL. */
export function useTimeRange(): [TimeRange, (next: TimeSearch) => void] {
  const search = useSearch({ strict: false }) as TimeSearch;
  const navigate = useNavigate();
  const set = (next: TimeSearch) => {
    void navigate({
      to: ".",
      search: ((previous: Record<string, unknown>) => {
        const { range: _range, from: _from, to: _to, ...rest } = previous;
        return { ...rest, ...next };
      }) as never,
      replace: true,
    });
  };
  return [resolveTime(search), set];
}

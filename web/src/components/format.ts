/** How figures are written, the same on every page. */

const kibi = 1024;
const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes as the API gives them: a number, or a string such as "128MiB". */
export type ByteSize = number | string;

/** parseBytes reads what the API calls a size, as it does: K and KiB are 1024, KB is 1000; NaN for what is none. */
export function parseBytes(size: ByteSize | undefined): number {
  if (typeof size === "number") return size;
  const match = /^\s*([0-9]+(?:\.[0-9]+)?)\s*(?:([kmgt])(i?b)?|b)?\s*$/i.exec(size ?? "");
  if (!match) return Number.NaN;
  const power = match[2] ? "kmgt".indexOf(match[2].toLowerCase()) + 1 : 0;
  return Number(match[1]) * (match[3]?.toLowerCase() === "b" ? 1000 : kibi) ** power;
}

/** 134217728 -> "128 MiB". */
export function formatBytes(size: ByteSize | undefined): string {
  let n = parseBytes(size);
  if (Number.isNaN(n)) return "–";
  let unit = 0;
  while (Math.abs(n) >= kibi && unit < byteUnits.length - 1) {
    n /= kibi;
    unit++;
  }
  return `${digits(n, unit === 0 ? 0 : 1)} ${byteUnits[unit]}`;
}

const nanosecond: Record<string, number> = { ns: 1, us: 1e3, "µs": 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** parseDuration reads a Go duration ("1m30s") as nanoseconds; NaN for what is none. */
export function parseDuration(text: string | undefined): number {
  if (!text) return Number.NaN;
  if (text.trim() === "0") return 0;
  const parts = text.trim().match(/^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$/);
  if (!parts) return Number.NaN;
  let sum = 0;
  for (const [, n, unit] of text.matchAll(/([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)/g)) {
    sum += Number(n) * (nanosecond[unit ?? ""] ?? Number.NaN);
  }
  return sum;
}

/** Nanoseconds in the unit that reads best: "850 µs", "12.4 ms", "1.52 s", "3 min 20 s". */
export function formatDuration(ns: number | undefined): string {
  if (ns === undefined || Number.isNaN(ns)) return "–";
  const a = Math.abs(ns);
  if (a === 0) return "0 ms";
  if (a < 1e3) return `${Math.round(ns)} ns`;
  if (a < 1e6) return `${significant(ns / 1e3)} µs`;
  if (a < 1e9) return `${significant(ns / 1e6)} ms`;
  if (a < 60e9) return `${significant(ns / 1e9)} s`;
  const seconds = Math.round(ns / 1e9);
  if (a < 3600e9) return join(Math.floor(seconds / 60), "min", seconds % 60, "s");
  if (a < 86400e9) return join(Math.floor(seconds / 3600), "h", Math.floor((seconds % 3600) / 60), "min");
  return join(Math.floor(seconds / 86400), "d", Math.floor((seconds % 86400) / 3600), "h");
}

function join(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big} ${bigUnit}` : `${big} ${bigUnit} ${small} ${smallUnit}`;
}

/** Counts: "1,234", "12.3k", "4.5M". */
export function formatCount(n: number | undefined): string {
  if (n === undefined || Number.isNaN(n)) return "–";
  if (Math.abs(n) < 10_000) return digits(n, Number.isInteger(n) ? 0 : 1);
  if (Math.abs(n) < 1e6) return `${digits(n / 1e3, 1)}k`;
  if (Math.abs(n) < 1e9) return `${digits(n / 1e6, 1)}M`;
  return `${digits(n / 1e9, 1)}G`;
}

/** 1234567 -> "1,234,567": every digit, where somebody may count along. */
export function formatWhole(n: number): string {
  return n.toLocaleString("en");
}

/** 0.0234 -> "2.3 %". */
export function formatShare(share: number | undefined): string {
  if (share === undefined || Number.isNaN(share)) return "–";
  if (share > 0 && share < 0.0001) return "< 0.01 %";
  return `${digits(share * 100, share < 0.1 ? 2 : 1)} %`;
}

/** An amount of money, small ones with as many digits as they need. */
export function formatMoney(amount: number | undefined, currency = "USD"): string {
  if (amount === undefined || Number.isNaN(amount)) return "–";
  const a = Math.abs(amount);
  const places = a === 0 || a >= 1 ? 2 : Math.min(8, 2 - Math.floor(Math.log10(a)));
  try {
    return new Intl.NumberFormat("en", { style: "currency", currency, maximumFractionDigits: places, minimumFractionDigits: 2 }).format(amount);
  } catch {
    return `${digits(amount, places)} ${currency}`; // A currency that the browser does not know.
  }
}

/** "just now", "12 s ago", "3 h ago"; in the future "in 5 min". */
export function formatAgo(time: string | Date | undefined, now: number): string {
  if (!time) return "–";
  const ms = now - new Date(time).getTime();
  if (Number.isNaN(ms)) return "–";
  const s = Math.abs(ms) / 1000;
  if (s < 5) return "just now";
  const text =
    s < 60 ? `${Math.floor(s)} s` : s < 3600 ? `${Math.floor(s / 60)} min` : s < 86400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86400)} d`;
  return ms >= 0 ? `${text} ago` : `in ${text}`;
}

/** "23 Nov 2026, 14:05:09" in the person's own zone. */
export function formatTime(time: string | Date | undefined, options: { ms?: boolean; date?: boolean } = {}): string {
  if (!time) return "–";
  const t = new Date(time);
  if (Number.isNaN(t.getTime())) return "–";
  const clock = t.toLocaleTimeString("en-GB", { hour12: false }) + (options.ms ? `.${String(t.getMilliseconds()).padStart(3, "0")}` : "");
  if (options.date === false) return clock;
  return `${t.toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" })}, ${clock}`;
}

function significant(n: number): string {
  const a = Math.abs(n);
  return digits(n, a >= 100 ? 0 : a >= 10 ? 1 : 2);
}

function digits(n: number, places: number): string {
  return n.toLocaleString("en", { maximumFractionDigits: places });
}

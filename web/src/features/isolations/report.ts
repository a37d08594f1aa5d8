import type { BarGroup } from "@/components/charts";
import { formatBytes, formatCount, formatDuration, parseBytes } from "@/components/format";
import { isolationColor, startClasses, wordFor } from "@/lib/words";

/** What this page reads of a report as cove bench writes it; times are nanoseconds. */
export interface Report {
  schema: number;
  form: string;
  started: string;
  took_ns: number;
  broken_off?: string;
  machine: { cpu: string; cpus: number; memory: string | number; kernel: string; os: string };
  isolations: Wall[];
  starts: (Row & { class: string; took: Summary; failed?: number })[] | null;
  bursts: (Row & { calls: number; first: Summary; last: Summary })[] | null;
  warm: (Row & { took: Summary })[] | null;
  throughput: (Row & { peak: { per_second: number } })[] | null;
  overall: { runtime: string; isolation: string; ratio: Interval; workloads: number }[] | null;
  memory: (Row & { pss: string | number; per_gib: number; reserved_per_gib?: number; processes: number })[] | null;
  cpu: (Row & { s_per_start: number; s_per_1000_calls: number })[] | null;
  remarks: string[] | null;
}

export interface Wall {
  name: string;
  version?: string;
  wall: string;
  protects: string[] | null;
  exposes: string[] | null;
  links: string[] | null;
}

interface Row {
  subject: string;
  runtime: string;
  isolation: string;
}

interface Summary {
  n: number;
  p50_ns: number;
  p90_ns?: number;
  p99_ns?: number;
}

interface Interval {
  value: number;
  low: number;
  high: number;
}

/** A report of a form that this page can read; undefined for any other. */
export function readReport(report: unknown): Report | undefined {
  if (report === null || typeof report !== "object" || (report as Report).schema !== 1) return undefined;
  return Array.isArray((report as Report).isolations) ? (report as Report) : undefined;
}

/** The languages that a report has measurements of. */
export function runtimesOf(report: Report): string[] {
  const rows: { runtime: string }[] = [...(report.starts ?? []), ...(report.warm ?? []), ...(report.memory ?? [])];
  return [...new Set(rows.map((row) => row.runtime))].sort();
}

/** The first answer of each start class, the fastest class first. */
export function startGroups(report: Report, runtime: string): BarGroup[] {
  const rows = (report.starts ?? []).filter((row) => row.runtime === runtime && row.took.n > 0);
  return ["thawed", "stem", "cold"].flatMap((name) => {
    const bars = rows.filter((row) => row.class === name).map((row) => bar(row.isolation, row.took));
    return bars.length > 0 ? [{ key: name, label: `${wordFor(startClasses, name).label}: ${wordFor(startClasses, name).help.toLowerCase().replace(/\.$/, "")}`, bars }] : [];
  });
}

export function warmGroups(report: Report, runtime: string): BarGroup[] {
  return group((report.warm ?? []).filter((row) => row.runtime === runtime && row.took.n > 0).map((row) => bar(row.isolation, row.took)));
}

export function burstGroups(report: Report, runtime: string): BarGroup[] {
  const rows = (report.bursts ?? []).filter((row) => row.runtime === runtime && row.last.n > 0);
  return [
    ...rows.slice(0, 1).map((row) => ({ key: "first", label: `First answer of ${row.calls} calls at once`, bars: rows.map((one) => bar(one.isolation, one.first)) })),
    ...rows.slice(0, 1).map((row) => ({ key: "last", label: `Last answer of ${row.calls}`, bars: rows.map((one) => bar(one.isolation, one.last)) })),
  ];
}

export function peakGroups(report: Report, runtime: string): BarGroup[] {
  return group((report.throughput ?? []).filter((row) => row.runtime === runtime).map(({ isolation, peak }) => plain(isolation, peak.per_second, `${formatCount(Math.round(peak.per_second))}/s`)));
}

export function memoryGroups(report: Report, runtime: string): BarGroup[] {
  return group((report.memory ?? []).filter((row) => row.runtime === runtime).map((row) => ({ ...plain(row.isolation, parseBytes(row.pss), formatBytes(row.pss)), note: inAGiB(row) })));
}

/** How many fit by what they take and, in newer reports, by what Cove reserves for them. */
function inAGiB(row: { per_gib: number; reserved_per_gib?: number }) {
  const fit = `${Math.round(row.per_gib)} in a GiB`;
  return row.reserved_per_gib ? `${fit}, ${Math.floor(row.reserved_per_gib)} by what is reserved` : fit;
}

export function cpuGroups(report: Report, runtime: string): BarGroup[] {
  const rows = (report.cpu ?? []).filter((row) => row.runtime === runtime);
  return rows.length === 0 ? [] : [
    { key: "start", label: "A start", bars: rows.map((row) => plain(row.isolation, row.s_per_start * 1e9, formatDuration(row.s_per_start * 1e9))) },
    { key: "calls", label: "1,000 calls", bars: rows.map((row) => plain(row.isolation, row.s_per_1000_calls * 1e9, formatDuration(row.s_per_1000_calls * 1e9))) },
  ];
}

/** How much slower functions' own time is than in a bare process. */
export function slowdownGroups(report: Report, runtime: string): BarGroup[] {
  return group((report.overall ?? []).filter((row) => row.runtime === runtime).map(({ isolation, ratio }) => ({
    ...plain(isolation, ratio.value, `${ratio.value.toFixed(2)}×`),
    ...(ratio.high > 0 && { low: ratio.low, high: ratio.high, note: `${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}` }),
  })));
}

const group = (bars: BarGroup["bars"]): BarGroup[] => (bars.length > 0 ? [{ key: "all", label: "", bars }] : []);

const plain = (isolation: string, value: number, text: string) => ({ key: isolation, label: isolation, color: isolationColor(isolation), value, text });

/** A median with a line to the 90th percentile, where there were enough calls for one. */
function bar(isolation: string, took: Summary) {
  return { ...plain(isolation, took.p50_ns, formatDuration(took.p50_ns)), ...(took.p90_ns && { high: took.p90_ns, note: `p90 ${formatDuration(took.p90_ns)}` }) };
}

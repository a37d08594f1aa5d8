import type { GaugePoint, Gauges, MetricsGroup, MetricsPoint, MetricsQuery } from "@/api/gen";
import type { ChartData, Series } from "@/components/charts/model";
import { formatBytes, formatCount, formatDuration, formatMoney, formatWhole, parseBytes, parseDuration } from "@/components/format";
import { outcomes, startClasses, states, wordFor, type Word } from "./words";

/** The steps of an answer, in milliseconds. */
export interface Steps {
  times: number[];
  step: number;
  from: number;
  to: number;
}

/** One answer's group, and the steps it is told by. */
export interface Told {
  steps: Steps;
  group: MetricsGroup;
  points: MetricsPoint[];
}

const nothing: MetricsPoint = {
  time: "", invocations: 0, errors: 0, queue_ns: 0, start_ns: 0, init_ns: 0, run_ns: 0, billed_ns: 0, cpu_ns: 0,
  peak_memory: 0, bytes_in: 0, bytes_out: 0, cost: { total: 0, cpu: 0, memory: 0, currency: "USD" },
};

/** The group of an answer that is not grouped; one with nothing in it where nothing happened. */
export function onlyGroup(query: MetricsQuery): MetricsGroup {
  return query.groups[0] ?? { total: nothing, points: [] };
}

/** An answer's steps with the points of its only group, one for each step. */
export function told(query: MetricsQuery, step: number): Told {
  const group = onlyGroup(query);
  return { group, ...lineUp(query, group, step) };
}

/** The points of a group, one for each step of the answered range, also where the group tells of none. */
export function lineUp(query: MetricsQuery, group: MetricsGroup, step: number): { steps: Steps; points: MetricsPoint[] } {
  const from = Date.parse(query.from);
  const to = Date.parse(query.to);
  const length = query.step ? parseDuration(query.step) / 1e6 || step : step;
  const known = new Map((group.points ?? []).map((point) => [Date.parse(point.time), point]));
  const first = Math.min(from, ...known.keys());
  const times: number[] = [];
  for (let at = first; at < to && times.length < 2000; at += length) times.push(at);
  const points = times.map((at) => known.get(at) ?? { ...nothing, time: new Date(at).toISOString() });
  return { steps: { times, step: length, from, to }, points };
}

const sum = (values: number[]) => values.reduce((all, value) => all + value, 0);

/** Those words that occur in counts, and what else does, the words' order kept. */
export function present(words: Word[], counts: (Record<string, number> | undefined)[]): Word[] {
  const keys = new Set(counts.flatMap((count) => Object.entries(count ?? {}).flatMap(([key, value]) => (value > 0 ? [key] : []))));
  const known = words.filter((word) => keys.delete(word.key));
  return [...known, ...[...keys].sort().map((key) => wordFor(words, key))];
}

/** How many there were by word, over all points. */
export function totals(words: Word[], counts: (Record<string, number> | undefined)[]): Record<string, string> {
  return Object.fromEntries(present(words, counts).map(({ key }) => [key, formatWhole(sum(counts.map((count) => count?.[key] ?? 0)))]));
}

function piled(words: Word[], counts: (Record<string, number> | undefined)[]): Series[] {
  return present(words, counts).map((word) => ({ ...word, kind: "bars", values: counts.map((count) => count?.[word.key] ?? 0) }));
}

/** Invocations, those that were ok below those that were not. */
export function rateChart({ steps, points }: Pick<Told, "steps" | "points">): ChartData {
  return {
    ...steps, unit: "whole", format: formatCount,
    series: [
      { kind: "bars", key: "ok", label: "OK", color: "var(--chart-ok)", values: points.map((p) => p.invocations - p.errors) },
      { kind: "bars", key: "errors", label: "Errors", color: "var(--chart-function)", values: points.map((p) => p.errors) },
    ],
  };
}

export function errorsChart({ steps, points }: Pick<Told, "steps" | "points">): ChartData {
  return { ...steps, unit: "whole", format: formatCount, series: piled(outcomes.slice(1), points.map(errorsOf)) };
}

/** Outcomes without those that were ok. */
export function errorsOf(point: MetricsPoint): Record<string, number> {
  const { ok: _ok, ...rest } = point.outcomes ?? {};
  return rest;
}

export function startsChart({ steps, points }: Pick<Told, "steps" | "points">): ChartData {
  return { ...steps, unit: "whole", format: formatCount, series: piled(startClasses, points.map((p) => p.starts)) };
}

/** The percentiles of whole invocations, and the band between the middle and the slowest. */
export function latencyChart({ steps, points }: Pick<Told, "steps" | "points">): ChartData {
  const of = (pick: "p50_ns" | "p90_ns" | "p99_ns") => points.map((p) => p.latency?.[pick] ?? null);
  return {
    ...steps, unit: "duration", format: formatDuration,
    series: [
      { kind: "band", key: "band", label: "p50 to p99", color: "var(--chart-band)", low: of("p50_ns"), high: of("p99_ns") },
      { kind: "line", key: "p50", label: "p50", color: "var(--chart-p50)", values: of("p50_ns") },
      { kind: "line", key: "p90", label: "p90", color: "var(--chart-p90)", values: of("p90_ns") },
      { kind: "line", key: "p99", label: "p99", color: "var(--chart-p99)", values: of("p99_ns") },
    ],
  };
}

export function costChart({ steps, points }: Pick<Told, "steps" | "points">): ChartData {
  const currency = points[0]?.cost.currency ?? "USD";
  return {
    ...steps, unit: "number", format: (value) => formatMoney(value, currency),
    series: [
      { kind: "bars", key: "cpu", label: "Processor", color: "var(--chart-busy)", values: points.map((p) => p.cost.cpu) },
      { kind: "bars", key: "memory", label: "Memory", color: "var(--chart-idle)", values: points.map((p) => p.cost.memory) },
    ],
  };
}

/** Gauges by step; null where nothing was measured. */
export function gaugeSteps(gauges: Gauges, span: { from: number; to: number }): { steps: Steps; at: <T>(pick: (point: GaugePoint) => T) => (T | null)[] } {
  const step = parseDuration(gauges.step) / 1e6;
  const known = new Map(gauges.points.map((point) => [Date.parse(point.time), point]));
  const times: number[] = [];
  for (let at = Date.parse(gauges.from); at < Date.parse(gauges.to) && times.length < 2000; at += step) times.push(at);
  return {
    steps: { times, step, ...span },
    at: (pick) => times.map((time) => {
      const point = known.get(time);
      return point ? pick(point) : null;
    }),
  };
}

/** Instances over time, by what they did. */
export function instancesChart(gauges: Gauges, span: { from: number; to: number }): ChartData {
  const { steps, at } = gaugeSteps(gauges, span);
  const series = states
    .filter((word) => word.key !== "stopping")
    .map((word): Series => ({ ...word, kind: "bars", values: at((point) => point[word.key as "busy" | "idle" | "paused" | "starting"]) }));
  return { ...steps, unit: "number", format: formatSmall, series };
}

/** Processors that were used, and how many instances could have used. */
export function cpuChart(gauges: Gauges, span: { from: number; to: number }, perInstance: number | undefined): ChartData {
  const { steps, at } = gaugeSteps(gauges, span);
  const series: Series[] = [{ kind: "line", key: "cpu", label: "Used", color: "var(--chart-busy)", values: at((p) => p.cpu) }];
  if (perInstance) {
    const allowed = at((p) => (p.busy + p.idle + p.starting) * perInstance);
    series.push({ kind: "line", key: "allowed", label: "Allowed", color: "var(--chart-limit)", dashed: true, values: allowed });
  }
  return { ...steps, unit: "number", format: formatCpu, series };
}

/** Memory that sandboxes have, and what is set aside for them. */
export function memoryChart(gauges: Gauges, span: { from: number; to: number }): ChartData {
  const { steps, at } = gaugeSteps(gauges, span);
  return {
    ...steps, unit: "bytes", format: formatBytes,
    series: [
      { kind: "line", key: "memory", label: "Used", color: "var(--chart-busy)", values: at((p) => parseBytes(p.memory)) },
      { kind: "line", key: "reserved", label: "Set aside", color: "var(--chart-limit)", dashed: true, values: at((p) => parseBytes(p.reserved)) },
    ],
  };
}

/** The most memory that any sandbox of the function had, below its limit. */
export function peakChart({ steps, points }: Pick<Told, "steps" | "points">, limit: number | undefined): ChartData {
  return {
    ...steps, unit: "bytes", format: formatBytes,
    limit: limit ? { value: limit, label: `limit ${formatBytes(limit)}` } : undefined,
    series: [{ kind: "bars", key: "peak", label: "Largest sandbox", color: "var(--chart-idle)", values: points.map((p) => parseBytes(p.peak_memory) || null) }],
  };
}

/** A figure that may be small: "0.25", "1.5", "1,234". */
export function formatSmall(value: number): string {
  return value >= 100 ? formatCount(Math.round(value)) : Number(value.toPrecision(3)).toLocaleString("en", { maximumFractionDigits: 3 });
}

/** "0.25 CPU". */
export function formatCpu(value: number): string {
  return `${formatSmall(value)} CPU`;
}

/** Calls per second, or per minute or hour where that reads better. */
export function formatRate(perSecond: number | undefined): string {
  if (perSecond === undefined || !Number.isFinite(perSecond)) return "–";
  if (perSecond === 0) return "0/s";
  const [value, unit] = perSecond >= 0.995 ? [perSecond, "s"] : perSecond * 60 >= 0.995 ? [perSecond * 60, "min"] : [perSecond * 3600, "h"];
  return `${formatSmall(value)}/${unit}`;
}

/** A part of all; undefined of nothing. */
export function share(part: number, all: number): number | undefined {
  return all > 0 ? part / all : undefined;
}

/** Invocations that had to wait for a start: those that were neither warm nor thawed. */
export function slowStarts(point: MetricsPoint): number {
  return (point.starts?.stem ?? 0) + (point.starts?.cold ?? 0);
}

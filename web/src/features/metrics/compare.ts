import type { MetricsPoint } from "@/api/gen";
import type { ChartData, Series } from "@/components/charts/model";
import { formatBytes, formatCount, formatDuration, formatMoney, formatShare, formatWhole, parseBytes } from "@/components/format";
import { formatRate, share, slowStarts, type Told } from "@/lib/metrics";

/** One of the two things that are compared. */
export interface Side {
  label: string;
  color: string;
  told: Told;
  /** By how much later its steps are drawn, so that both lie over each other; in milliseconds. */
  shift: number;
}

export interface Row {
  label: string;
  a: string;
  b: string;
  /** a compared with b: 0.25 is a quarter more; undefined where there is nothing to compare. */
  change: number | undefined;
  /** Whether more is better, worse, or neither. */
  more: "better" | "worse" | "neither";
}

type Figure = Pick<Row, "label" | "more"> & { of: (total: MetricsPoint, seconds: number) => number | undefined; format: (value: number) => string };

const figures: Figure[] = [
  { label: "Invocations", more: "neither", of: (t) => t.invocations, format: formatWhole },
  { label: "Rate", more: "neither", of: (t, seconds) => t.invocations / seconds, format: formatRate },
  { label: "Errors", more: "worse", of: (t) => share(t.errors, t.invocations), format: formatShare },
  { label: "Latency p50", more: "worse", of: (t) => t.latency?.p50_ns, format: formatDuration },
  { label: "Latency p90", more: "worse", of: (t) => t.latency?.p90_ns, format: formatDuration },
  { label: "Latency p99", more: "worse", of: (t) => t.latency?.p99_ns, format: formatDuration },
  { label: "Run p50", more: "worse", of: (t) => t.run?.p50_ns, format: formatDuration },
  { label: "With a start", more: "worse", of: (t) => share(slowStarts(t), t.invocations), format: formatShare },
  { label: "CPU for each", more: "worse", of: (t) => share(t.cpu_ns, t.invocations), format: formatDuration },
  { label: "Largest sandbox", more: "worse", of: (t) => parseBytes(t.peak_memory) || undefined, format: formatBytes },
];

/** The figures of both sides, side by side. */
export function compareRows(a: Side, b: Side): Row[] {
  const rows = figures.map(({ label, more, of, format }) => row(label, more, of(total(a), seconds(a)), of(total(b), seconds(b)), format));
  const currency = total(a).cost.currency;
  const cost = (side: Side) => share(total(side).cost.total * 1e6, total(side).invocations);
  return [...rows, row("Cost of a million", "worse", cost(a), cost(b), (value) => formatMoney(value, currency))];
}

function row(label: string, more: Row["more"], a: number | undefined, b: number | undefined, format: (value: number) => string): Row {
  const text = (value: number | undefined) => (value === undefined ? "–" : format(value));
  return { label, more, a: text(a), b: text(b), change: b && a !== undefined ? a / b - 1 : undefined };
}

const total = (side: Side) => side.told.group.total;
const seconds = (side: Side) => Math.max(1, (side.told.steps.to - side.told.steps.from) / 1000);

/** "+25 %", "−3.1 %", "2.4×" where it is more than twice. */
export function formatChange(change: number | undefined): string {
  if (change === undefined) return "–";
  if (Math.abs(change) < 0.0005) return "same";
  if (change >= 1) return `${(change + 1).toFixed(change >= 9 ? 0 : 1)}×`;
  const percent = change * 100;
  return `${percent > 0 ? "+" : "−"}${Math.abs(percent).toFixed(Math.abs(percent) < 10 ? 1 : 0)} %`;
}

/** Whether a change is good, bad or too small or neutral to be either. */
export function judge(row: Row): "good" | "bad" | undefined {
  if (row.more === "neither" || row.change === undefined || Math.abs(row.change) < 0.05) return undefined;
  return row.change > 0 === (row.more === "better") ? "good" : "bad";
}

/** Both sides as lines over the time of the first. */
export function overlay(a: Side, b: Side, of: (point: MetricsPoint) => number | null, how: Pick<ChartData, "unit" | "format">): ChartData {
  const { steps } = a.told;
  const line = (side: Side, key: string): Series => {
    const at = new Map(side.told.steps.times.map((time, i) => [slot(time + side.shift, steps), side.told.points[i]]));
    const values = steps.times.map((time) => {
      const point = at.get(slot(time, steps));
      return point ? of(point) : null;
    });
    return { kind: "line", key, label: side.label, color: side.color, values, ...(key === "b" && { dashed: true }) };
  };
  return { ...steps, ...how, series: [line(a, "a"), line(b, "b")] };
}

/** The number of the step that a moment is in; a shift need not be whole steps. */
const slot = (time: number, steps: { from: number; step: number }) => Math.round((time - steps.from) / steps.step);

/** What is drawn of both sides: a figure of each step, and its axis. */
export interface Measure {
  of: (point: MetricsPoint) => number | null;
  how: Pick<ChartData, "unit" | "format">;
}

export const countsPerStep: Measure = { of: (p: MetricsPoint) => p.invocations, how: { unit: "whole", format: formatCount } };
export const errorShare: Measure = { of: (p: MetricsPoint) => share(p.errors, p.invocations) ?? null, how: { unit: "number", format: formatShare } };
export const middle: Measure = { of: (p: MetricsPoint) => p.latency?.p50_ns ?? null, how: { unit: "duration", format: formatDuration } };
export const slow: Measure = { of: (p: MetricsPoint) => p.latency?.p99_ns ?? null, how: { unit: "duration", format: formatDuration } };

import { memo } from "react";
import { formatClock, formatDay } from "@/lib/time";
import styles from "./chart.module.css";
import { type ChartData, type PileSeries, largest } from "./model";
import { type Scale, bandPath, durationTicks, linear, linePath, lonely, stack, ticks, timeTicks } from "./scale";

export const margin = { top: 10, right: 10, bottom: 22 };

export interface Frame {
  width: number;
  height: number;
  left: number;
  x: Scale;
  y: Scale;
  ticks: number[];
}

/** Where everything is in a chart of a size. */
export function frameOf(data: ChartData, width: number, height: number, hidden: ReadonlySet<string>): Frame {
  const most = largest(data, hidden);
  const drawn = most || (data.unit === "duration" ? 1e6 : data.unit === "bytes" ? 2 ** 20 : 1);
  // A limit far above everything would press the values to the ground.
  const max = data.limit && data.limit.value <= drawn * 8 ? Math.max(drawn, data.limit.value * 1.05) : drawn;
  const marks = data.unit === "duration" ? durationTicks(max) : ticks(max, 4, data.unit === "bytes" ? 1024 : 10, data.unit === "whole" || most === 0);
  const longest = Math.max(...marks.map((mark) => data.format(mark).length));
  const left = Math.max(34, longest * 6.4 + 12);
  const top = marks.at(-1) ?? 1;
  return {
    width, height, left,
    x: linear(data.from, data.to, left, Math.max(width - margin.right, left + 10)),
    y: linear(0, top, height - margin.bottom, margin.top),
    ticks: marks,
  };
}

interface Props {
  data: ChartData;
  frame: Frame;
  hidden: ReadonlySet<string>;
}

/** Everything of a chart that does not move with the pointer. */
export const Plot = memo(function Plot({ data, frame, hidden }: Props) {
  const shown = data.series.filter((series) => !hidden.has(series.key));
  const piles = shown.filter((series): series is PileSeries => series.kind === "bars" || series.kind === "area");
  const middles = data.times.map((time) => frame.x(Math.min(time + data.step / 2, data.to)));
  const levels = (values: (number | null)[]) => values.map((value) => (value === null ? null : frame.y(value)));
  return (
    <>
      <ValueAxis data={data} frame={frame} />
      <TimeAxis from={data.from} to={data.to} frame={frame} />
      <Piles data={data} frame={frame} piles={piles} middles={middles} />
      {shown.map((series) => {
        if (series.kind === "band") return <path key={series.key} d={bandPath(middles, levels(series.low), levels(series.high))} style={{ fill: series.color }} />;
        if (series.kind !== "line") return null;
        const ys = levels(series.values);
        return (
          <g key={series.key} style={{ stroke: series.color, fill: series.color }}>
            <path d={linePath(middles, ys)} fill="none" strokeWidth={1.75} strokeLinejoin="round" strokeLinecap="round" strokeDasharray={series.dashed ? "4 4" : undefined} />
            {lonely(ys).map((i) => <circle key={i} cx={middles[i]} cy={ys[i] as number} r={2.25} stroke="none" />)}
          </g>
        );
      })}
      <Limit data={data} frame={frame} />
    </>
  );
});

function ValueAxis({ data, frame }: { data: ChartData; frame: Frame }) {
  return (
    <g>
      {frame.ticks.map((tick, i) => (
        <g key={tick}>
          <line x1={frame.left} x2={frame.width - margin.right} y1={frame.y(tick)} y2={frame.y(tick)} style={{ stroke: i === 0 ? "var(--chart-axis)" : "var(--chart-grid)" }} shapeRendering="crispEdges" />
          <text x={frame.left - 8} y={frame.y(tick)} dy="0.32em" textAnchor="end">{tick === 0 ? "0" : data.format(tick)}</text>
        </g>
      ))}
    </g>
  );
}

/** The axis of times, with dates where days begin. */
export function TimeAxis({ from, to, frame }: { from: number; to: number; frame: Pick<Frame, "width" | "height" | "left" | "x"> }) {
  const marks = timeTicks(from, to, Math.max(2, Math.floor((frame.width - frame.left) / 90)));
  return (
    <g>
      {marks.map(({ at, day }) => {
        const x = frame.x(at);
        if (x < frame.left + 12 || x > frame.width - 16) return null;
        return <text key={at} x={x} y={frame.height - 6} textAnchor="middle" className={day ? styles.strong : undefined}>{day ? formatDay(at) : formatClock(at)}</text>;
      })}
    </g>
  );
}

function Piles({ data, frame, piles, middles }: { data: ChartData; frame: Frame; piles: PileSeries[]; middles: number[] }) {
  if (piles.length === 0) return null;
  const levels = stack(piles.map((series) => series.values));
  return (
    <>
      {piles.map((series, k) => {
        const level = levels[k] as { low: number[]; high: number[] };
        if (series.kind === "area") {
          const some = series.values.map((value) => value !== null);
          const at = (values: number[]) => values.map((value, i) => (some[i] ? frame.y(value) : null));
          return <path key={series.key} d={bandPath(middles, at(level.low), at(level.high))} style={{ fill: series.color }} />;
        }
        return <path key={series.key} d={barsPath(data, frame, series, level)} style={{ fill: series.color }} shapeRendering="geometricPrecision" />;
      })}
    </>
  );
}

/** All bars of a series as one path, each at least as high as can be seen. */
function barsPath(data: ChartData, frame: Frame, series: PileSeries, level: { low: number[]; high: number[] }): string {
  let path = "";
  data.times.forEach((time, i) => {
    if (!series.values[i]) return;
    const x0 = frame.x(Math.max(time, data.from));
    const x1 = frame.x(Math.min(time + data.step, data.to));
    const gap = x1 - x0 > 5 ? 1 : x1 - x0 > 2.5 ? 0.5 : 0;
    const bottom = frame.y(level.low[i] ?? 0);
    const top = Math.min(frame.y(level.high[i] ?? 0), bottom - 1);
    const width = Math.max(x1 - x0 - gap, 0.75);
    path += `M${x0.toFixed(1)},${bottom.toFixed(1)}V${top.toFixed(1)}h${width.toFixed(1)}V${bottom.toFixed(1)}Z`;
  });
  return path;
}

function Limit({ data, frame }: { data: ChartData; frame: Frame }) {
  const top = frame.ticks.at(-1) ?? 0;
  if (!data.limit || data.limit.value > top) return null;
  const y = frame.y(data.limit.value);
  return (
    <g>
      <line x1={frame.left} x2={frame.width - margin.right} y1={y} y2={y} strokeDasharray="6 4" strokeWidth={1.25} style={{ stroke: "var(--chart-limit)" }} />
      <text x={frame.width - margin.right} y={y - 5} textAnchor="end" style={{ fill: "var(--chart-limit)" }}>{data.limit.label}</text>
    </g>
  );
}

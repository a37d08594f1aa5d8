import { VisuallyHidden } from "@mantine/core";
import { memo, useMemo } from "react";
import { formatCount, formatDuration } from "@/components/format";
import { formatStep } from "@/lib/time";
import styles from "./chart.module.css";
import { type HeatRow, shade, shades } from "./heat";
import { TimeAxis, margin } from "./Plot";
import { linear } from "./scale";
import { Selection } from "./TimeChart";
import { Tip } from "./Tip";
import { usePointing } from "./usePointing";
import { useWidth } from "./useWidth";

interface Props {
  label: string;
  times: number[];
  step: number;
  from: number;
  to: number;
  rows: HeatRow[];
  height?: number;
  onZoom?: ((from: number, to: number) => void) | undefined;
}

/** How many calls took how long, over time: the stronger the colour, the more. */
export function HeatMap({ label, times, step, from, to, rows, height = 190, onZoom }: Props) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const left = 62;
  const right = width - margin.right;
  const x = useMemo(() => linear(from, to, left, Math.max(right, left + 10)), [from, to, right]);
  const { index, mine, drag, handlers } = usePointing({ times, step, from, to, left, right, onZoom });
  const time = times[index];
  const counted = time === undefined ? [] : rows.filter((row) => (row.counts[index] ?? 0) > 0).reverse();
  const tip = counted.map((row) => ({ key: String(row.low), label: rowText(row), value: formatCount(row.counts[index]) }));
  return (
    <div
      ref={ref} role="group" aria-roledescription="heat map" aria-label={label} tabIndex={0}
      className={onZoom ? `${styles.plot} ${styles.zoomable}` : styles.plot} style={{ height }} {...handlers}
    >
      {width > 0 && (
        <svg className={styles.svg} width={width} height={height} aria-hidden="true">
          <Cells times={times} step={step} from={from} to={to} rows={rows} height={height} x={x} />
          <TimeAxis from={from} to={to} frame={{ width, height, left, x }} />
          {drag && <Selection from={x(drag.from)} to={x(drag.to)} height={height} />}
          {time !== undefined && !drag && (
            <rect x={x(Math.max(time, from))} width={Math.max(2, x(Math.min(time + step, to)) - x(Math.max(time, from)))} y={margin.top} height={height - margin.top - margin.bottom} fill="none" style={{ stroke: "var(--chart-ink)" }} strokeDasharray="2 3" />
          )}
        </svg>
      )}
      {mine && !drag && time !== undefined && <Tip x={x(time + step / 2)} width={width} title={formatStep(time, step)} rows={tip}>{tip.length === 0 && "No calls"}</Tip>}
      <VisuallyHidden aria-live="polite">{mine && time !== undefined ? `${formatStep(time, step)}: ${tip.map((row) => `${row.label}: ${row.value}`).join(", ") || "no calls"}` : ""}</VisuallyHidden>
    </div>
  );
}

interface CellsProps extends Pick<Props, "times" | "step" | "from" | "to" | "rows"> {
  height: number;
  x: (at: number) => number;
}

/** The cells, one path for each shade: thousands of elements would be slow. */
const Cells = memo(function Cells({ times, step, from, to, rows, height, x }: CellsProps) {
  const max = Math.max(1, ...rows.flatMap((row) => row.counts));
  const room = height - margin.top - margin.bottom;
  const each = room / Math.max(rows.length, 6);
  const paths: string[] = Array.from({ length: shades + 1 }, () => "");
  rows.forEach((row, r) => {
    const y = height - margin.bottom - (r + 1) * each;
    row.counts.forEach((count, i) => {
      const level = shade(count, max);
      const time = times[i];
      if (level === 0 || time === undefined) return;
      const x0 = x(Math.max(time, from));
      const wide = Math.max(x(Math.min(time + step, to)) - x0 - 1, 1);
      paths[level] += `M${x0.toFixed(1)},${(y + 0.5).toFixed(1)}h${wide.toFixed(1)}v${(each - 1).toFixed(1)}h${(-wide).toFixed(1)}Z`;
    });
  });
  const every = Math.ceil(rows.length / Math.max(1, Math.floor(room / 22)));
  return (
    <>
      <line x1={x(from)} x2={x(to)} y1={height - margin.bottom} y2={height - margin.bottom} style={{ stroke: "var(--chart-axis)" }} shapeRendering="crispEdges" />
      {paths.map((d, level) => d && <path key={level} d={d} style={{ fill: `var(--chart-heat-${level})` }} />)}
      {rows.map((row, r) => r % every === 0 && (
        <text key={row.low} x={54} y={height - margin.bottom - r * each} dy="0.32em" textAnchor="end">{formatDuration(row.low)}</text>
      ))}
    </>
  );
});

export function rowText(row: HeatRow): string {
  if (row.high === Number.POSITIVE_INFINITY) return `over ${formatDuration(row.low)}`;
  return row.low === 0 ? `up to ${formatDuration(row.high)}` : `${formatDuration(row.low)} – ${formatDuration(row.high)}`;
}

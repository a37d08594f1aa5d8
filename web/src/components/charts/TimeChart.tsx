import { VisuallyHidden } from "@mantine/core";
import { useMemo } from "react";
import { formatStep } from "@/lib/time";
import styles from "./chart.module.css";
import { type ChartData, valueText } from "./model";
import { Plot, frameOf, margin } from "./Plot";
import { Tip } from "./Tip";
import { usePointing } from "./usePointing";
import { useWidth } from "./useWidth";

const none: ReadonlySet<string> = new Set();

interface Props {
  /** What a screen reader calls it. */
  label: string;
  data: ChartData;
  height?: number;
  hidden?: ReadonlySet<string>;
  /** Called with the range that was dragged over, in milliseconds. */
  onZoom?: ((from: number, to: number) => void) | undefined;
}

/** Values over time: lines, bands, bars and areas, with a crosshair that its group shares. */
export function TimeChart({ label, data, height = 190, hidden = none, onZoom }: Props) {
  const [ref, width] = useWidth<HTMLDivElement>();
  const frame = useMemo(() => frameOf(data, width, height, hidden), [data, width, height, hidden]);
  const { index, mine, drag, handlers } = usePointing({ ...data, left: frame.left, right: width - margin.right, onZoom });
  const time = data.times[index];
  // A band lies between lines that are told of themselves.
  const shown = data.series.filter((series) => !hidden.has(series.key) && series.kind !== "band");
  const rows = time === undefined ? [] : shown.map((s) => ({ key: s.key, label: s.label, color: s.color, value: valueText(s, index, data.format) })).reverse();
  return (
    <div
      ref={ref} role="group" aria-roledescription="chart" aria-label={label} tabIndex={0}
      className={onZoom ? `${styles.plot} ${styles.zoomable}` : styles.plot} style={{ height }} {...handlers}
    >
      {width > 0 && (
        <svg className={styles.svg} width={width} height={height} aria-hidden="true">
          <Plot data={data} frame={frame} hidden={hidden} />
          {drag && <Selection from={frame.x(drag.from)} to={frame.x(drag.to)} height={height} />}
          {time !== undefined && !drag && <Crosshair x={frame.x(Math.min(time + data.step / 2, data.to))} height={height} />}
        </svg>
      )}
      {mine && !drag && time !== undefined && <Tip x={frame.x(time + data.step / 2)} width={width} title={formatStep(time, data.step)} rows={rows} />}
      <VisuallyHidden aria-live="polite">
        {mine && time !== undefined ? `${formatStep(time, data.step)}: ${rows.map((row) => `${row.label} ${row.value}`).join(", ")}` : ""}
      </VisuallyHidden>
    </div>
  );
}

export function Crosshair({ x, height }: { x: number; height: number }) {
  return <line x1={x} x2={x} y1={margin.top} y2={height - margin.bottom} style={{ stroke: "var(--chart-ink)" }} strokeDasharray="2 3" />;
}

export function Selection({ from, to, height }: { from: number; to: number; height: number }) {
  return <rect x={Math.min(from, to)} width={Math.abs(to - from)} y={margin.top} height={height - margin.top - margin.bottom} style={{ fill: "var(--chart-select)", stroke: "var(--chart-ok)" }} />;
}

import { useState, type ReactNode } from "react";

import { formatStep } from "@/lib/time";
import styles from "./chart.module.css";
import { ChartCard, type TableData } from "./ChartCard";
import { type ChartData, type Series, isEmpty, valueText } from "./model";
import { TimeChart } from "./TimeChart";

interface Props {
  title: string;
  note?: ReactNode;
  /** Absent while it is loaded. */
  data: ChartData | undefined;
  /** Sums or the like that stand in the legend, by key of series. */
  totals?: Record<string, string> | undefined;
  height?: number;
  error?: unknown;
  onRetry?: () => void;
  onZoom?: ((from: number, to: number) => void) | undefined;
  empty?: string;
}

/** A time chart in its card, with a legend whose entries hide and show what they stand for. */
export function TimeChartCard({ title, note, data, totals, height = 190, error, onRetry, onZoom, empty = "Nothing in this time" }: Props) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const toggle = (key: string) =>
    setHidden((old) => {
      const next = new Set(old);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  const blank = data && isEmpty(data);
  return (
    <ChartCard
      title={title} note={note} height={height} loading={!data && !error} error={error} {...(onRetry && { onRetry })}
      empty={blank && empty} table={data && (() => tableOf(data))}
      legend={<Legend series={data?.series ?? []} totals={totals} hidden={hidden} onToggle={toggle} />}
    >
      {data && <TimeChart label={title} data={data} height={height} hidden={hidden} onZoom={onZoom} />}
    </ChartCard>
  );
}

interface LegendProps {
  series: Series[];
  totals?: Record<string, string> | undefined;
  hidden: ReadonlySet<string>;
  onToggle: (key: string) => void;
}

function Legend({ series, totals, hidden, onToggle }: LegendProps) {
  return (
    <ul className={styles.legend}>
      {series.map((one) => (
        <li key={one.key}>
          <button type="button" className={styles.entry} aria-pressed={!hidden.has(one.key)} onClick={() => onToggle(one.key)}>
            <Swatch series={one} />
            {one.label}
            {totals?.[one.key] && <span className={styles.entryValue}>{totals[one.key]}</span>}
          </button>
        </li>
      ))}
    </ul>
  );
}

function Swatch({ series }: { series: Series }) {
  if (series.kind !== "line") return <span className={styles.swatch} style={{ background: series.color }} />;
  return <span className={series.dashed ? styles.swatchDashed : styles.swatchLine} style={{ borderColor: series.color }} />;
}

/** The figures of a chart, the newest first. */
export function tableOf(data: ChartData): TableData {
  const told = data.series.filter((series) => series.kind !== "band");
  const rows = data.times.map((time, i) => [formatStep(time, data.step), ...told.map((series) => valueText(series, i, data.format))]);
  return { columns: ["Time", ...told.map((series) => series.label)], rows: rows.reverse() };
}

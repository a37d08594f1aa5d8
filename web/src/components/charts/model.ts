/** What a time chart draws. Values stand for the steps of `times`; null is none. */

interface Named {
  key: string;
  label: string;
  /** A CSS colour, as a rule one of the variables in charts.css. */
  color: string;
}

export interface LineSeries extends Named {
  kind: "line";
  values: (number | null)[];
  dashed?: boolean;
}

/** A surface between two rows of values. */
export interface BandSeries extends Named {
  kind: "band";
  low: (number | null)[];
  high: (number | null)[];
}

/** Bars and areas are piled up in their order, the first one lowest. */
export interface PileSeries extends Named {
  kind: "bars" | "area";
  values: (number | null)[];
}

export type Series = LineSeries | BandSeries | PileSeries;

/** What the values are, which decides on the axis. */
export type Unit = "number" | "whole" | "duration" | "bytes";

export interface ChartData {
  /** The beginnings of the steps, in milliseconds. */
  times: number[];
  step: number;
  from: number;
  to: number;
  series: Series[];
  unit: Unit;
  format: (value: number) => string;
  /** A line across the chart, such as the memory limit. */
  limit?: { value: number; label: string } | undefined;
}

/** The largest value that is drawn, piled up where it is so. */
export function largest(data: ChartData, hidden: ReadonlySet<string>): number {
  let max = 0;
  const pile: number[] = [];
  for (const series of data.series) {
    if (hidden.has(series.key)) continue;
    const values = series.kind === "band" ? series.high : series.values;
    values.forEach((value, i) => {
      if (value === null) return;
      if (series.kind === "bars" || series.kind === "area") {
        pile[i] = (pile[i] ?? 0) + value;
        max = Math.max(max, pile[i]);
      } else {
        max = Math.max(max, value);
      }
    });
  }
  return max;
}

/** Whether there is anything to draw. */
export function isEmpty(data: ChartData): boolean {
  return data.series.every((series) => (series.kind === "band" ? series.high : series.values).every((value) => value === null || value === 0));
}

/** The value of a series at a step as it is told: a band has two. */
export function valueText(series: Series, index: number, format: (value: number) => string): string {
  const one = (value: number | null | undefined) => (value === null || value === undefined ? "–" : format(value));
  return series.kind === "band" ? `${one(series.low[index])} – ${one(series.high[index])}` : one(series.values[index]);
}

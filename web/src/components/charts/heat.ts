/** The latency heat map's arithmetic: which rows are shown, and how dark a cell is. */

export interface HeatRow {
  /** Bounds of the row, in nanoseconds; the last one has no upper bound. */
  low: number;
  high: number;
  counts: number[];
}

/** How many shades there are, beside none. */
export const shades = 8;

/**
 * The rows of a heat map from the lowest latency to the highest: buckets in which
 * nothing happened are left out at both ends, and joined if there are too many.
 */
export function heatRows(bounds: number[], histograms: (number[] | undefined)[], most = 24): HeatRow[] {
  const used = (bucket: number) => histograms.some((h) => (h?.[bucket] ?? 0) > 0);
  const buckets = Array.from({ length: bounds.length + 1 }, (_, i) => i);
  const first = buckets.find(used);
  if (first === undefined) return [];
  const last = buckets.findLast(used) as number;
  const join = Math.ceil((last - first + 1) / most);
  const rows: HeatRow[] = [];
  for (let begin = first; begin <= last; begin += join) {
    const end = Math.min(begin + join - 1, last);
    const counts = histograms.map((h) => {
      let sum = 0;
      for (let i = begin; i <= end; i++) sum += h?.[i] ?? 0;
      return sum;
    });
    rows.push({ low: begin === 0 ? 0 : (bounds[begin - 1] as number), high: bounds[end] ?? Number.POSITIVE_INFINITY, counts });
  }
  return rows;
}

/** The shade of a cell, 0 for nothing to 8: by the logarithm, so that a single slow call is seen beside thousands of fast ones. */
export function shade(count: number, max: number): number {
  if (count <= 0) return 0;
  if (max <= 1) return Math.ceil(shades / 2);
  return Math.max(1, Math.ceil((Math.log(count + 1) / Math.log(max + 1)) * shades));
}

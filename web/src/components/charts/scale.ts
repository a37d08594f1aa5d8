/**
 * Scales and ticks of charts: pure functions from values to positions. A scale maps
 * its domain to pixels; ticks are the round values that are written at an axis.
 */

export type Scale = (value: number) => number;

/** A straight line from a domain to pixels; a domain of no length maps to the middle. */
export function linear(d0: number, d1: number, r0: number, r1: number): Scale {
  if (d0 === d1) return () => (r0 + r1) / 2;
  const slope = (r1 - r0) / (d1 - d0);
  return (value) => r0 + (value - d0) * slope;
}

/** The same by the logarithm; what is below the domain is at its beginning. */
export function logarithmic(d0: number, d1: number, r0: number, r1: number): Scale {
  const scale = linear(Math.log(d0), Math.log(d1), r0, r1);
  return (value) => scale(Math.log(Math.max(value, d0)));
}

/** The smallest of 1, 2, 2.5 and 5 times a power of `base` that is not below value. */
export function niceAbove(value: number, base = 10): number {
  if (!(value > 0)) return 1;
  const power = base ** Math.floor(Math.log(value) / Math.log(base));
  for (const factor of base === 10 ? [1, 2, 2.5, 5, 10] : [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]) {
    if (factor * power >= value * (1 - 1e-9)) return factor * power;
  }
  return base * power;
}

/** From 0 to at least max in steps that are round, about `count` of them. */
export function ticks(max: number, count = 4, base = 10, whole = false): number[] {
  let step = niceAbove(max > 0 ? max / count : 1 / count, base);
  if (whole) step = Math.max(1, Math.ceil(step));
  const out: number[] = [];
  for (let i = 0; ; i++) {
    out.push(i * step);
    if (i > 0 && i * step >= max * (1 - 1e-9)) return out;
  }
}

/** Ticks of durations in nanoseconds: round in the unit in which they are written. */
export function durationTicks(max: number, count = 4): number[] {
  const minutes = 60e9;
  if (max < minutes) return ticks(max, count);
  const unit = max < 60 * minutes ? minutes : 60 * minutes;
  const steps = [0.25, 0.5, 1, 2, 5, 10, 15, 30, 60];
  const step = (steps.find((s) => s * unit * count >= max) ?? Math.ceil(max / unit / count)) * unit;
  return Array.from({ length: Math.ceil(max / step) + 1 }, (_, i) => i * step);
}

/** The powers of ten between two values, both included as far as they are round. */
export function logTicks(min: number, max: number): number[] {
  const out: number[] = [];
  for (let power = Math.ceil(Math.log10(min) - 1e-9); power <= Math.floor(Math.log10(max) + 1e-9); power++) out.push(10 ** power);
  return out;
}

const minute = 60_000;
const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 4320, 10080, 20160].map((m) => m * minute);

export interface TimeTick {
  at: number;
  /** Whether a new day begins here, so that its date is to be written. */
  day: boolean;
}

/**
 * Round moments of local time between two, about `count` of them. `offset` is the local
 * time's distance from UTC at a moment, in milliseconds.
 */
export function timeTicks(from: number, to: number, count: number, offset = localOffset): TimeTick[] {
  const wanted = (to - from) / Math.max(1, count);
  const step = timeSteps.find((s) => s >= wanted) ?? Math.ceil(wanted / (1440 * minute)) * 1440 * minute;
  const shift = offset(from);
  const out: TimeTick[] = [];
  for (let at = Math.ceil((from + shift) / step) * step - shift; at <= to; at += step) {
    out.push({ at, day: (at + shift) % (1440 * minute) === 0 });
  }
  return out;
}

function localOffset(at: number): number {
  return -new Date(at).getTimezoneOffset() * minute;
}

/** The index of the step that a moment is in, or the nearest; -1 of none. */
export function stepAt(times: number[], step: number, at: number): number {
  if (times.length === 0) return -1;
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((times[middle] as number) <= at) low = middle;
    else high = middle - 1;
  }
  const next = times[low + 1];
  // In a gap between steps the nearer one counts.
  if (next !== undefined && at >= (times[low] as number) + step && next - at < at - (times[low] as number) - step) return low + 1;
  return low;
}

/** An SVG path through points, broken where a value is missing. */
export function linePath(xs: number[], ys: (number | null)[]): string {
  let path = "";
  let pen = false;
  xs.forEach((x, i) => {
    const y = ys[i];
    if (y === null || y === undefined) {
      pen = false;
      return;
    }
    path += `${pen ? "L" : "M"}${round(x)},${round(y)}`;
    pen = true;
  });
  return path;
}

/** The points that have no neighbour to be joined to with a line. */
export function lonely(ys: (number | null)[]): number[] {
  const there = (i: number) => ys[i] !== null && ys[i] !== undefined;
  return ys.flatMap((_, i) => (there(i) && !there(i - 1) && !there(i + 1) ? [i] : []));
}

/** The area between two rows of points, one closed path for each unbroken part. */
export function bandPath(xs: number[], lows: (number | null)[], highs: (number | null)[]): string {
  let path = "";
  let begin = -1;
  for (let i = 0; i <= xs.length; i++) {
    const there = i < xs.length && lows[i] != null && highs[i] != null;
    if (there && begin < 0) begin = i;
    if (there || begin < 0) continue;
    const part = Array.from({ length: i - begin }, (_, k) => begin + k);
    const top = part.map((k) => `${round(xs[k] as number)},${round(highs[k] as number)}`);
    const bottom = part.map((k) => `${round(xs[k] as number)},${round(lows[k] as number)}`).reverse();
    path += `M${[...top, ...bottom].join("L")}Z`;
    begin = -1;
  }
  return path;
}

/** Values piled up on each other: for each row the lower and upper ends. */
export function stack(rows: (number | null)[][]): { low: number[]; high: number[] }[] {
  const sums: number[] = [];
  return rows.map((row) => {
    const low = row.map((_, i) => sums[i] ?? 0);
    const high = row.map((value, i) => (sums[i] ?? 0) + (value ?? 0));
    high.forEach((value, i) => {
      sums[i] = value;
    });
    return { low, high };
  });
}

const round = (value: number) => Math.round(value * 10) / 10;

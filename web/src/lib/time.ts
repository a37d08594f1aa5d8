/** Moments and spans of charts, in milliseconds, and how they are written. */

export const minute = 60_000;
export const hour = 60 * minute;
export const day = 24 * hour;

export interface Span {
  from: number;
  to: number;
}

const steps = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 360, 720, 1440, 2880, 10080].map((m) => m * minute);

/** The shortest round step of whole minutes that gives no more than `points` points. */
export function stepFor(length: number, points = 90): number {
  const wanted = length / points;
  return steps.find((step) => step >= wanted) ?? Math.ceil(wanted / day) * day;
}

/** A step as the API reads it: "5m", "2h". */
export function stepText(step: number): string {
  return step % hour === 0 ? `${step / hour}h` : `${Math.round(step / minute)}m`;
}

/** The range of a drag over a chart: whole minutes, and at least two of them. */
export function zoomTo(from: number, to: number): { from: string; to: string } {
  const begin = Math.floor(Math.min(from, to) / minute) * minute;
  const end = Math.max(Math.ceil(Math.max(from, to) / minute) * minute, begin + 2 * minute);
  return { from: new Date(begin).toISOString(), to: new Date(end).toISOString() };
}

/** Twice as long a span around the same middle, not beyond now. */
export function zoomOut(span: Span, now: number): { from: string; to: string } {
  const length = span.to - span.from;
  const end = Math.min(span.to + length / 2, Math.ceil(now / minute) * minute);
  return zoomTo(end - 2 * length, end);
}

/** What a range is compared with. */
export const shifts = [
  { value: "previous", label: "The time before" },
  { value: "day", label: "A day earlier" },
  { value: "week", label: "A week earlier" },
] as const;

export type Shift = (typeof shifts)[number]["value"];

/** By how much a span is moved back to be compared. */
export function shiftBy(length: number, shift: Shift): number {
  if (shift === "day") return day;
  return shift === "week" ? 7 * day : length;
}

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayMonth = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

/** "14:05". */
export const formatClock = (at: number) => clock.format(at);
/** "12 Nov". */
export const formatDay = (at: number) => dayMonth.format(at);
/** "12 Nov 14:05". */
export const formatDateTime = (at: number) => `${dayMonth.format(at)} ${clock.format(at)}`;

/** A step in words: "12 Nov 14:05 – 14:10". */
export function formatStep(time: number, step: number): string {
  return `${formatDateTime(time)} – ${step >= day ? formatDateTime(time + step) : formatClock(time + step)}`;
}

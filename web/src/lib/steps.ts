import { parseDuration } from "@/components/format";

import { day, hour, minute, stepFor } from "./time";

/** The step that an answer was told by, in milliseconds. */
export function stepOfAnswer(answer: { step?: string }, length: number): number {
  const ns = parseDuration(answer.step);
  return Number.isNaN(ns) || ns === 0 ? stepFor(length) : ns / 1e6;
}

/** "minute", "5 minutes", "2 hours", "day": what stands after "per". */
export function formatStepLength(step: number): string {
  for (const [name, size] of [["day", day], ["hour", hour], ["minute", minute]] as const) {
    if (step >= size && step % size === 0) return step === size ? name : `${step / size} ${name}s`;
  }
  return `${Math.round(step / 1000)} s`;
}

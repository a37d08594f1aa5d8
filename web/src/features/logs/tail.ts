import type { LogLine } from "@/api/gen";

/** How many lines a page keeps of a log that goes on. */
export const kept = 3_000;

/**
 * Puts new lines behind those that are there, each once and in their order, and lets
 * the oldest go. Lines without an id are told only once and are always new.
 */
export function append(lines: LogLine[], more: LogLine[], most = kept): LogLine[] {
  if (more.length === 0) return lines;
  const last = lines.findLast((line) => line.id > 0)?.id ?? 0;
  const fresh = more.filter((line) => line.id === 0 || line.id > last);
  // After a lost connection the log is told from before where it was lost.
  const seen = new Set<number>();
  const once = fresh.filter((line) => line.id === 0 || (!seen.has(line.id) && seen.add(line.id)));
  if (once.length === 0) return lines;
  const all = [...lines, ...once];
  return all.length > most ? all.slice(all.length - most) : all;
}

/** Puts older lines before those that are there, each once. */
export function prepend(lines: LogLine[], older: LogLine[]): LogLine[] {
  const first = lines.find((line) => line.id > 0)?.id ?? Number.POSITIVE_INFINITY;
  return [...older.filter((line) => line.id < first), ...lines];
}

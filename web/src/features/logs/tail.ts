import type { LogLine } from "@/api/gen";

/** How many lines a page keeps of a log that goes on. */
export const kept = 3_000;

/** A part of a log. */
export interface Tail {
  /** In their order; those that have an id by their ids. */
  lines: LogLine[];
  /** Whether there is nothing before them. */
  done: boolean;
}

/** Those of more that are not among the lines, each once. Lines without an id are told only once and are always new. */
export function fresh(lines: LogLine[], more: LogLine[]): LogLine[] {
  const seen = new Set(lines.map((line) => line.id));
  return more.filter((line) => line.id === 0 || (!seen.has(line.id) && seen.add(line.id)));
}

/**
 * Puts more lines to those that are there, each once and in the order of their ids,
 * and lets the oldest go. After a lost connection the log is told from before where
 * it was lost, and what was missed may come after what is newer.
 */
export function append(tail: Tail, more: LogLine[], most = kept): Tail {
  const added = fresh(tail.lines, more);
  if (added.length === 0) return tail;
  const last = tail.lines.findLast((line) => line.id > 0)?.id ?? 0;
  const late = added.filter((line) => line.id > 0 && line.id < last);
  const lines = late.length > 0 ? insert(tail.lines, late) : [...tail.lines];
  lines.push(...added.filter((line) => line.id === 0 || line.id > last));
  return lines.length > most ? { lines: lines.slice(lines.length - most), done: false } : { lines, done: tail.done };
}

/** Puts lines where they belong by their ids. */
function insert(lines: LogLine[], late: LogLine[]): LogLine[] {
  const rest = late.toSorted((a, b) => a.id - b.id);
  const out: LogLine[] = [];
  for (const line of lines) {
    while (line.id > 0 && rest[0] && rest[0].id < line.id) out.push(rest.shift() as LogLine);
    out.push(line);
  }
  return [...out, ...rest];
}

/** Puts older lines before those that are there, each once. */
export function prepend(lines: LogLine[], older: LogLine[]): LogLine[] {
  const first = lines.find((line) => line.id > 0)?.id ?? Number.POSITIVE_INFINITY;
  return [...older.filter((line) => line.id < first), ...lines];
}

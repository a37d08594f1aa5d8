/** One part of a time line, in nanoseconds from its beginning. */
export interface Phase {
  key: string;
  label: string;
  color: string;
  help: string;
  begin: number;
  length: number;
}

interface Named {
  key: string;
  label: string;
  color: string;
  help: string;
}

/**
 * Lays parts that follow each other out from the beginning. What the total has beyond
 * their sum is the last of the names.
 */
export function layOut(names: Named[], lengths: Record<string, number>, total: number): Phase[] {
  const rest = names.at(-1);
  const out: Phase[] = [];
  let begin = 0;
  for (const name of names.slice(0, -1)) {
    const length = lengths[name.key] ?? 0;
    out.push({ ...name, begin, length });
    begin += length;
  }
  if (rest && total > begin) out.push({ ...rest, begin, length: total - begin });
  return out;
}

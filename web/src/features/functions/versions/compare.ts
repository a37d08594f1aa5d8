import type { Config } from "@/api/gen";

import type { VersionsSearch } from "../search";

/** The two versions that are compared: the older and the newer; undefined while there is only one. */
export function pairOf(search: VersionsSearch, numbers: number[], active: number): { from: number; to: number } | undefined {
  const known = (n: number | undefined) => (n !== undefined && numbers.includes(n) ? n : undefined);
  const to = known(search.new) ?? active;
  const older = [...numbers].sort((a, b) => b - a).find((n) => n < to);
  const from = known(search.old) ?? older ?? numbers.find((n) => n !== to);
  return from === undefined || from === to ? undefined : { from, to };
}

/** A configuration as text that can be compared: fields by name, one in a line. */
export function configText(config: Config): string {
  return `${JSON.stringify(sorted(config), null, 2)}\n`;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

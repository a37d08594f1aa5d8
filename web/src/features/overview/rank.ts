/** The groups with the largest values above nothing, the largest first; equal ones by name. */
export function ranked<G extends { function?: string }>(groups: G[], by: (group: G) => number, most: number): G[] {
  return groups
    .filter((group) => by(group) > 0)
    .sort((a, b) => by(b) - by(a) || (a.function ?? "").localeCompare(b.function ?? ""))
    .slice(0, most);
}

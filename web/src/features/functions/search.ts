const sorts = ["name", "calls", "errors", "p99", "updated"] as const;
const orders = ["asc", "desc"] as const;

/** What the URL of the table of functions holds: what is looked for, and the order. */
export interface FunctionsSearch {
  q?: string;
  runtime?: string;
  isolation?: string;
  state?: "enabled" | "disabled";
  sort?: (typeof sorts)[number];
  order?: (typeof orders)[number];
}

/** functionsSearch keeps what is known and drops the rest. */
export function functionsSearch(search: Record<string, unknown>): FunctionsSearch {
  const out: FunctionsSearch = {};
  for (const key of ["q", "runtime", "isolation"] as const) {
    const value = search[key];
    if (typeof value === "string" && value !== "") out[key] = value.slice(0, 200);
  }
  if (search.state === "enabled" || search.state === "disabled") out.state = search.state;
  const sort = sorts.find((s) => s === search.sort);
  if (sort) out.sort = sort;
  const order = orders.find((o) => o === search.order);
  if (order) out.order = order;
  return out;
}

/** What the URL of the page for a new function holds: what it is made of. */
export interface CreateSearch {
  /** Absent for a template. */
  from?: "folder" | "archive";
  template?: string;
}

export function createSearch(search: Record<string, unknown>): CreateSearch {
  if (search.from === "folder" || search.from === "archive") return { from: search.from };
  return typeof search.template === "string" && search.template !== "" ? { template: search.template.slice(0, 63) } : {};
}

/** What the URL of a function's versions holds: the two that are compared. */
export interface VersionsSearch {
  old?: number;
  new?: number;
}

export function versionsSearch(search: Record<string, unknown>): VersionsSearch {
  const out: VersionsSearch = {};
  for (const key of ["old", "new"] as const) {
    const n = Number(search[key]);
    if (Number.isInteger(n) && n > 0) out[key] = n;
  }
  return out;
}

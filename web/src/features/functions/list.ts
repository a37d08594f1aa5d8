import type { Function as Fn, Instances, MetricsGroup } from "@/api/gen";

import type { FunctionsSearch } from "./search";

/** A function with what it did in the last day. */
export interface Row {
  fn: Fn;
  spark: MetricsGroup | undefined;
}

/** rowsOf picks what is looked for and puts it in order; by name where all else is equal. */
export function rowsOf(all: Fn[], sparks: Record<string, MetricsGroup>, search: FunctionsSearch): Row[] {
  const words = (search.q ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const rows = all
    .filter((fn) => {
      const { config } = fn.version;
      const text = `${fn.name} ${config.description ?? ""} ${config.route ?? ""}`.toLowerCase();
      return (
        words.every((word) => text.includes(word)) &&
        (search.runtime === undefined || config.runtime === search.runtime) &&
        (search.isolation === undefined || config.isolation === search.isolation) &&
        (search.state === undefined || (search.state === "disabled") === Boolean(fn.disabled))
      );
    })
    .map((fn) => ({ fn, spark: Object.hasOwn(sparks, fn.name) ? sparks[fn.name] : undefined }));
  const key = keys[search.sort ?? "name"];
  const sign = (search.order ?? defaultOrder(search.sort)) === "desc" ? -1 : 1;
  return rows.sort((a, b) => sign * compare(key(a), key(b)) || compare(a.fn.name, b.fn.name));
}

const keys: Record<NonNullable<FunctionsSearch["sort"]>, (row: Row) => string | number> = {
  name: (row) => row.fn.name,
  calls: (row) => row.spark?.total.invocations ?? 0,
  errors: (row) => errorShare(row.spark) ?? 0,
  p99: (row) => row.spark?.total.latency?.p99_ns ?? 0,
  updated: (row) => row.fn.updated,
};

/** The order that a column has when it is first chosen: figures begin with the largest. */
export function defaultOrder(sort: FunctionsSearch["sort"]): "asc" | "desc" {
  return sort === undefined || sort === "name" ? "asc" : "desc";
}

/** What the URL holds after a click on a column's head. */
export function sortedBy(search: FunctionsSearch, sort: NonNullable<FunctionsSearch["sort"]>): FunctionsSearch {
  const { sort: old, order: oldOrder, ...rest } = search;
  const current = (old ?? "name") === sort;
  const order = current ? ((oldOrder ?? defaultOrder(old)) === "asc" ? "desc" : "asc") : defaultOrder(sort);
  return {
    ...rest,
    ...(sort === "name" ? {} : { sort }),
    ...(order === defaultOrder(sort) ? {} : { order }),
  };
}

function compare(a: string | number, b: string | number): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Errors among the calls; undefined where there were none. */
export function errorShare(group: MetricsGroup | undefined): number | undefined {
  const total = group?.total;
  return total && total.invocations > 0 ? total.errors / total.invocations : undefined;
}

/** How many instances there are, whatever they do. */
export function instanceCount(i: Instances): number {
  return i.starting + i.idle + i.busy + i.paused + i.stopping;
}

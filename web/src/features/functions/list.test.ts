import { describe, expect, it } from "vitest";

import type { Function as Fn, MetricsGroup } from "@/api/gen";

import { rowsOf, sortedBy } from "./list";
import { functionsSearch } from "./search";

function fn(name: string, config: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Fn {
  return { name, updated: `2026-01-0${name.length}T00:00:00Z`, version: { config: { runtime: "python3.13", isolation: "gvisor", ...config } }, ...more } as unknown as Fn;
}

function spark(invocations: number, errors: number, p99: number): MetricsGroup {
  return { total: { invocations, errors, latency: { p99_ns: p99 } } } as MetricsGroup;
}

const all = [fn("a", { description: "Sends mail" }), fn("bb", { route: "/shop/{id}", runtime: "node26" }), fn("ccc", {}, { disabled: true })];
const sparks = { a: spark(10, 5, 30), bb: spark(1000, 1, 10) };
const names = (search: Parameters<typeof rowsOf>[2]) => rowsOf(all, sparks, search).map((row) => row.fn.name);

describe("the table of functions", () => {
  it("finds every word in name, description or route", () => {
    expect(names({ q: "MAIL" })).toEqual(["a"]);
    expect(names({ q: "bb shop" })).toEqual(["bb"]);
    expect(names({ q: "bb mail" })).toEqual([]);
  });

  it("shows those of a runtime, an isolation or a state alone", () => {
    expect(names({ runtime: "node26" })).toEqual(["bb"]);
    expect(names({ isolation: "docker" })).toEqual([]);
    expect(names({ state: "disabled" })).toEqual(["ccc"]);
    expect(names({ state: "enabled" })).toEqual(["a", "bb"]);
  });

  it("begins with the largest of figures, and with a of names", () => {
    expect(names({})).toEqual(["a", "bb", "ccc"]);
    expect(names({ sort: "calls" })).toEqual(["bb", "a", "ccc"]);
    expect(names({ sort: "errors" })).toEqual(["a", "bb", "ccc"]);
    expect(names({ sort: "p99", order: "asc" })).toEqual(["ccc", "bb", "a"]);
    expect(names({ sort: "updated" })).toEqual(["ccc", "bb", "a"]);
  });

  it("turns the order round at the second click, and keeps the URL short", () => {
    expect(sortedBy({ q: "x" }, "calls")).toEqual({ q: "x", sort: "calls" });
    expect(sortedBy({ sort: "calls" }, "calls")).toEqual({ sort: "calls", order: "asc" });
    expect(sortedBy({ sort: "calls", order: "asc" }, "calls")).toEqual({ sort: "calls" });
    expect(sortedBy({}, "name")).toEqual({ order: "desc" });
  });

  it("takes nothing from the URL that it does not know", () => {
    expect(functionsSearch({ q: "a", sort: "constructor", order: 1, state: "x", evil: 1 })).toEqual({ q: "a" });
  });
});

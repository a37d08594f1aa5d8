import { describe, expect, it } from "vitest";

import { invocationsSearch } from "./search";

describe("the URL of a list of invocations", () => {
  it("keeps every filter", () => {
    const search = { range: "24h", function: "hello", isolation: "gvisor", outcome: "timeout", fault: "function", start: "cold", version: 3, min_ms: 250, q: "key error", before: "1764071345000000" };
    expect(invocationsSearch(search)).toEqual(search);
  });

  it("reads numbers and texts however the URL has them", () => {
    expect(invocationsSearch({ q: 12, version: "3", before: 17 })).toEqual({ q: "12", version: 3, before: "17" });
  });

  it("drops what is no filter", () => {
    expect(invocationsSearch({ start: "lukewarm", fault: "mine", version: -1, min_ms: "x", q: "", before: "x", other: 1 })).toEqual({});
  });
});

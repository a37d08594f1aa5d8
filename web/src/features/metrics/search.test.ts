import { describe, expect, it } from "vitest";

import { metricsSearch } from "./search";

describe("the URL of a function's charts", () => {
  it("keeps filters, comparison and range", () => {
    const search = { range: "6h", version: 3, isolation: "gvisor", compare: "version", a: "3", b: "2" };
    expect(metricsSearch(search)).toEqual(search);
  });

  it("reads numbers of versions however the URL has them", () => {
    expect(metricsSearch({ version: "4", compare: "version", a: 4, b: "3" })).toEqual({ version: 4, compare: "version", a: "4", b: "3" });
  });

  it("drops what is unknown, and sides without a comparison", () => {
    expect(metricsSearch({ version: "x", compare: "moon", a: "1", isolation: 7, other: true })).toEqual({});
  });
});

import { describe, expect, it } from "vitest";
import { heatRows, shade } from "./heat";

describe("heat map", () => {
  it("leaves out what is empty at both ends, and keeps what is empty within", () => {
    const rows = heatRows([1, 2, 4, 8], [[0, 3, 0, 1, 0], undefined]);
    expect(rows).toEqual([
      { low: 1, high: 2, counts: [3, 0] },
      { low: 2, high: 4, counts: [0, 0] },
      { low: 4, high: 8, counts: [1, 0] },
    ]);
  });

  it("has no upper bound on the last bucket, and nothing below the first", () => {
    expect(heatRows([1], [[1, 1]])).toEqual([{ low: 0, high: 1, counts: [1] }, { low: 1, high: Number.POSITIVE_INFINITY, counts: [1] }]);
  });

  it("joins buckets where there are too many, and loses nothing", () => {
    const rows = heatRows([1, 2, 3, 4], [[1, 1, 1, 1, 1]], 2);
    expect(rows.map((row) => row.counts[0])).toEqual([3, 2]);
  });

  it("of nothing has no rows", () => expect(heatRows([1, 2], [[0, 0, 0]])).toEqual([]));

  it("shows one call beside thousands", () => {
    expect([0, 1, 100, 10_000].map((n) => shade(n, 10_000))).toEqual([0, 1, 5, 8]);
    expect(shade(1, 1)).toBe(4);
  });
});

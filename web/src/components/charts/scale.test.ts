import { describe, expect, it } from "vitest";
import { bandPath, durationTicks, linePath, linear, logTicks, logarithmic, lonely, niceAbove, stack, stepAt, ticks, timeTicks } from "./scale";

const utc = () => 0;

describe("scales", () => {
  it("map a domain to pixels", () => {
    expect(linear(0, 10, 100, 0)(2.5)).toBe(75);
    expect(linear(3, 3, 0, 10)(3)).toBe(5);
    expect(logarithmic(1, 1000, 0, 300)(10)).toBeCloseTo(100);
    expect(logarithmic(1, 1000, 0, 300)(0)).toBe(0);
  });

  it("end at round values", () => {
    expect([0.03, 1, 1.1, 2.1, 2.6, 7].map((v) => niceAbove(v))).toEqual([0.05, 1, 2, 2.5, 5, 10]);
    expect(niceAbove(3 * 2 ** 20, 1024)).toBe(4 * 2 ** 20);
  });

  it("have ticks from nothing to at least the largest value", () => {
    expect(ticks(9)).toEqual([0, 2.5, 5, 7.5, 10]);
    expect(ticks(0)).toEqual([0, 0.25]);
    expect(ticks(2, 4, 10, true)).toEqual([0, 1, 2]);
    expect(ticks(100 * 2 ** 20, 4, 1024).at(-1)).toBe(128 * 2 ** 20);
  });

  it("have ticks of durations that are round when they are read", () => {
    expect(durationTicks(90e9)).toEqual([0, 30e9, 60e9, 90e9]);
    expect(durationTicks(8e6)).toEqual([0, 2e6, 4e6, 6e6, 8e6]);
  });

  it("have powers of ten on a logarithmic axis", () => expect(logTicks(3, 20_000)).toEqual([10, 100, 1000, 10_000]));

  it("have round moments on a time axis, the beginnings of days marked", () => {
    const from = Date.parse("2026-11-23T21:17:00Z");
    const found = timeTicks(from, from + 6 * 3600e3, 6, utc);
    expect(found.map((t) => new Date(t.at).toISOString().slice(11, 16))).toEqual(["22:00", "23:00", "00:00", "01:00", "02:00", "03:00"]);
    expect(found.map((t) => t.day)).toEqual([false, false, true, false, false, false]);
  });

  it("keep to local time", () => {
    const from = Date.parse("2026-11-23T00:10:00Z");
    expect(timeTicks(from, from + 86400e3, 2, () => 5.5 * 3600e3).map((t) => new Date(t.at).toISOString().slice(11, 16))).toEqual(["06:30", "18:30"]);
  });
});

describe("points", () => {
  it("are found by the step that a moment is in", () => {
    const times = [0, 10, 20, 60];
    expect([-5, 0, 9, 10, 29, 31, 59, 75].map((at) => stepAt(times, 10, at))).toEqual([0, 0, 0, 1, 2, 2, 3, 3]);
    expect(stepAt([], 10, 5)).toBe(-1);
  });

  it("are joined by a line that breaks where one is missing", () => {
    expect(linePath([0, 1, 2, 3], [5, null, 6, 7])).toBe("M0,5M2,6L3,7");
    expect(lonely([5, null, 6, 7, null, 8])).toEqual([0, 5]);
  });

  it("close a band for each unbroken part", () => {
    expect(bandPath([0, 1, 2, 3], [1, 1, null, 1], [2, 3, 4, 5])).toBe("M0,2L1,3L1,1L0,1ZM3,5L3,1Z");
  });

  it("pile up", () => {
    expect(stack([[1, 2], [null, 3]])).toEqual([{ low: [0, 0], high: [1, 2] }, { low: [1, 2], high: [1, 5] }]);
  });
});

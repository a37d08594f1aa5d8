import { describe, expect, it } from "vitest";

import type { MetricsPoint } from "@/api/gen";

import { compareRows, countsPerStep, formatChange, judge, overlay, type Side } from "./compare";

const minute = 60_000;

function point(change: Partial<MetricsPoint>): MetricsPoint {
  return {
    time: "", invocations: 0, errors: 0, queue_ns: 0, start_ns: 0, init_ns: 0, run_ns: 0, billed_ns: 0, cpu_ns: 0,
    peak_memory: 0, bytes_in: 0, bytes_out: 0, cost: { total: 0, cpu: 0, memory: 0, currency: "USD" }, ...change,
  };
}

function side(label: string, from: number, counts: number[], total: Partial<MetricsPoint> = {}, shift = 0): Side {
  const times = counts.map((_, i) => from + i * minute);
  return {
    label, color: "", shift,
    told: { steps: { times, step: minute, from, to: from + counts.length * minute }, points: counts.map((invocations) => point({ invocations })), group: { total: point(total) } },
  };
}

describe("comparing", () => {
  it("lays an earlier time over a later one", () => {
    const data = overlay(side("now", 600_000, [1, 2, 3]), side("before", 0, [4, 5, 6], {}, 600_000), countsPerStep.of, countsPerStep.how);
    expect(data.series.map((s) => s.kind === "line" && s.values)).toEqual([[1, 2, 3], [4, 5, 6]]);
  });

  it("leaves gaps where the other has nothing", () => {
    const data = overlay(side("a", 0, [1, 2, 3]), side("b", 60_000, [7]), countsPerStep.of, countsPerStep.how);
    expect(data.series[1]?.kind === "line" && data.series[1].values).toEqual([null, 7, null]);
  });

  it("tells changes of shares, not of sums", () => {
    const rows = compareRows(side("a", 0, [], { invocations: 1000, errors: 50 }), side("b", 0, [], { invocations: 100, errors: 10 }));
    const errors = rows.find((row) => row.label === "Errors");
    expect(errors).toMatchObject({ a: "5 %", b: "10 %", change: -0.5 });
    expect(errors && judge(errors)).toBe("good");
  });

  it("compares nothing with nothing as nothing", () => {
    const rows = compareRows(side("a", 0, []), side("b", 0, []));
    expect(rows.every((row) => row.change === undefined)).toBe(true);
  });

  it("writes changes", () => {
    expect([0.25, -0.031, 1.4, 0, undefined, 12].map(formatChange)).toEqual(["+25 %", "−3.1 %", "2.4×", "same", "–", "13×"]);
  });

  it("calls a small change neither good nor bad", () => {
    expect(judge({ label: "", a: "", b: "", change: 0.04, more: "worse" })).toBeUndefined();
    expect(judge({ label: "", a: "", b: "", change: 0.4, more: "worse" })).toBe("bad");
  });
});

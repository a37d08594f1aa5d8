import { describe, expect, it } from "vitest";

import { memoryGroups, readReport, runtimesOf, slowdownGroups, startGroups, type Report } from "./report";
import { isolationsSearch } from "./search";

const row = (isolation: string) => ({ subject: "no-op", runtime: "python3.13", isolation });

const report: Report = {
  schema: 1, form: "quick", started: "", took_ns: 1, machine: { cpu: "", cpus: 2, memory: "8GiB", kernel: "", os: "" }, isolations: [],
  starts: [
    { ...row("gvisor"), class: "cold", took: { n: 12, p50_ns: 300e6, p90_ns: 350e6 } },
    { ...row("gvisor"), class: "stem", took: { n: 5, p50_ns: 9e6 } },
    { ...row("docker"), class: "cold", took: { n: 0, p50_ns: 0 } },
  ],
  bursts: null, warm: null, throughput: null, cpu: null, remarks: null,
  overall: [{ runtime: "python3.13", isolation: "gvisor", ratio: { value: 1.2, low: 1.1, high: 1.3 }, workloads: 5 }],
  memory: [{ ...row("docker"), pss: "12MiB", per_gib: 85.3, processes: 2 }],
};

describe("a report of cove bench", () => {
  it("is read only in the form that is known", () => {
    expect(readReport(report)).toBe(report);
    expect([readReport(undefined), readReport({ schema: 2 }), readReport("x"), readReport({ schema: 1 })]).toEqual([undefined, undefined, undefined, undefined]);
  });

  it("shows classes from the fastest on, and leaves out what was not measured", () => {
    const groups = startGroups(report, "python3.13");
    expect(groups.map((group) => [group.key, group.bars.map((bar) => bar.key)])).toEqual([["stem", ["gvisor"]], ["cold", ["gvisor"]]]);
    expect(groups[0]?.bars[0]?.high).toBeUndefined();
    expect(groups[1]?.bars[0]).toMatchObject({ high: 350e6, note: "p90 350 ms" });
  });

  it("has no chart of what it did not measure", () => {
    expect(startGroups(report, "node26")).toEqual([]);
    expect(runtimesOf(report)).toEqual(["python3.13"]);
  });

  it("tells how sure a ratio is, and how many fit into memory", () => {
    expect(slowdownGroups(report, "python3.13")[0]?.bars[0]).toMatchObject({ text: "1.20×", low: 1.1, high: 1.3 });
    expect(memoryGroups(report, "python3.13")[0]?.bars[0]).toMatchObject({ text: "12 MiB", note: "85 in a GiB" });
    const newer = { ...report, memory: report.memory!.map((row) => ({ ...row, reserved_per_gib: 5.8 })) };
    expect(memoryGroups(newer, "python3.13")[0]?.bars[0]).toMatchObject({ note: "85 in a GiB, 5 by what is reserved" });
  });
});

describe("the URL of the isolations' page", () => {
  it("keeps what is reckoned, and drops what is none", () => {
    expect(isolationsSearch({ run: "r", rate: "0.5", min: 2, keep: "5m" })).toEqual({ run: "r", rate: 0.5, min: 2, keep: "5m" });
    expect(isolationsSearch({ rate: -1, min: 0.5, run: 7 })).toEqual({});
  });
});

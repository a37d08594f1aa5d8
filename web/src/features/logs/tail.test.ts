import { describe, expect, it } from "vitest";

import type { LogLine } from "@/api/gen";

import { append, prepend } from "./tail";

const line = (id: number): LogLine => ({ id, time: "", function: "f", version: 1, instance: "i", text: `line ${id}` });
const ids = (lines: LogLine[]) => lines.map((one) => one.id);

describe("a log that is followed", () => {
  it("has each line once, though a new connection begins before where the old one ended", () => {
    const before = [1, 2, 3].map(line);
    expect(ids(append(before, [2, 3, 4, 4, 5].map(line)))).toEqual([1, 2, 3, 4, 5]);
  });

  it("stays the same list when nothing is new, so that nothing is drawn anew", () => {
    const before = [1, 2].map(line);
    expect(append(before, [line(2)])).toBe(before);
    expect(append(before, [])).toBe(before);
  });

  it("keeps what says how many lines were missed", () => {
    expect(ids(append([line(1)], [line(0), line(7)]))).toEqual([1, 0, 7]);
  });

  it("lets the oldest go", () => expect(ids(append([1, 2, 3].map(line), [line(4)], 2))).toEqual([3, 4]));

  it("takes older lines before it, each once", () => expect(ids(prepend([3, 4].map(line), [1, 2, 3].map(line)))).toEqual([1, 2, 3, 4]));
});

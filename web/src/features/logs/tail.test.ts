import { describe, expect, it } from "vitest";

import type { LogLine } from "@/api/gen";

import { append, fresh, prepend } from "./tail";

const line = (id: number): LogLine => ({ id, time: "", function: "f", version: 1, instance: "i", text: `line ${id}` });
const ids = (lines: LogLine[]) => lines.map((one) => one.id);

const tail = (lines: LogLine[]) => ({ lines, done: true });
const after = (before: LogLine[], more: LogLine[], most?: number) => ids(append(tail(before), more, most).lines);

describe("a log that is followed", () => {
  it("has each line once, though a new connection begins before where the old one ended", () => {
    expect(after([1, 2, 3].map(line), [2, 3, 4, 4, 5].map(line))).toEqual([1, 2, 3, 4, 5]);
  });

  it("has what was missed where it belongs, though what is newer came first", () => {
    expect(after([1, 2, 9].map(line), [7, 8, 3, 9, 10].map(line))).toEqual([1, 2, 3, 7, 8, 9, 10]);
    expect(after([1, 0, 9].map(line), [4, 12].map(line))).toEqual([1, 0, 4, 9, 12]);
  });

  it("stays the same when nothing is new, so that nothing is drawn anew", () => {
    const before = tail([1, 2].map(line));
    expect(append(before, [line(2)])).toBe(before);
    expect(append(before, [])).toBe(before);
  });

  it("keeps what says how many lines were missed", () => {
    expect(after([line(1)], [line(0), line(7)])).toEqual([1, 0, 7]);
  });

  it("lets the oldest go, which can be asked for again then", () => {
    expect(append(tail([1, 2, 3].map(line)), [line(4)], 2)).toMatchObject({ lines: [{ id: 3 }, { id: 4 }], done: false });
    expect(append(tail([1].map(line)), [line(2)], 2).done).toBe(true);
  });

  it("counts what waits without what is there", () => expect(ids(fresh([1, 2].map(line), [0, 2, 3, 3].map(line)))).toEqual([0, 3]));

  it("takes older lines before it, each once", () => expect(ids(prepend([3, 4].map(line), [1, 2, 3].map(line)))).toEqual([1, 2, 3, 4]));
});

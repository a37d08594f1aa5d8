import { expect, it } from "vitest";

import { layOut } from "./phases";

const names = ["queue", "run", "rest"].map((key) => ({ key, label: key, color: "", help: "" }));

it("lays phases behind each other, and what is left at the end", () => {
  expect(layOut(names, { queue: 10, run: 30 }, 45).map(({ key, begin, length }) => [key, begin, length])).toEqual([["queue", 0, 10], ["run", 10, 30], ["rest", 40, 5]]);
});

it("has no rest where the phases are all, or more by rounding", () => {
  expect(layOut(names, { queue: 10, run: 30 }, 39)).toHaveLength(2);
});

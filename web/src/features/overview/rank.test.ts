import { expect, it } from "vitest";

import { ranked } from "./rank";

it("ranks by value, then by name, and leaves out what has none", () => {
  const groups = [{ function: "b", n: 1 }, { function: "c", n: 3 }, { function: "z", n: 0 }, { function: "a", n: 1 }];
  expect(ranked(groups, (group) => group.n, 3).map((group) => group.function)).toEqual(["c", "a", "b"]);
  expect(ranked(groups, (group) => group.n, 1)).toHaveLength(1);
});

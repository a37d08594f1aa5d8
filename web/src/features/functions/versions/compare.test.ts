import { describe, expect, it } from "vitest";

import { configText, pairOf } from "./compare";

describe("the versions that are compared", () => {
  it("are the active one and the one before it, if the URL names none", () => {
    expect(pairOf({}, [3, 2, 1], 3)).toEqual({ from: 2, to: 3 });
    expect(pairOf({}, [3, 2, 1], 2)).toEqual({ from: 1, to: 2 });
  });

  it("are those of the URL, as far as they are kept", () => {
    expect(pairOf({ old: 1, new: 2 }, [3, 2, 1], 3)).toEqual({ from: 1, to: 2 });
    expect(pairOf({ old: 9 }, [3, 2, 1], 3)).toEqual({ from: 2, to: 3 });
  });

  it("are another one and the first, when the first is active again", () => {
    expect(pairOf({}, [2, 1], 1)).toEqual({ from: 2, to: 1 });
  });

  it("are none while there is one version", () => {
    expect(pairOf({}, [1], 1)).toBeUndefined();
    expect(pairOf({ old: 1, new: 1 }, [2, 1], 2)).toBeUndefined();
  });
});

describe("a configuration as text", () => {
  it("does not depend on the order of its fields", () => {
    expect(configText({ runtime: "a", name: "b", scaling: { min: 1, max: 2 } })).toBe(configText({ scaling: { max: 2, min: 1 }, name: "b", runtime: "a" }));
  });
});

import { describe, expect, it } from "vitest";

import { badPassword } from "@/components/password";

import { settingsSearch } from "./search";
import { readTime, writeTime } from "./times";

describe("settings", () => {
  it("write times in days where they are whole days", () => {
    expect(["168h", "36h", "90m", "168h0m0s", undefined].map(writeTime)).toEqual(["7d", "36h", "90m", "7d", ""]);
  });

  it("read times with days, which the API does not know", () => {
    expect(["7d", "1.5 days", "36h", "1h 30m", "soon", ""].map(readTime)).toEqual(["168h", "36h", "36h", "1h30m", undefined, undefined]);
  });

  it("want passwords that are long enough and twice the same", () => {
    expect(badPassword("short", "short")).toBe("10 characters at least");
    expect(badPassword("long enough", "long enougj")).toBe("The two are not the same");
    expect(badPassword("long enough", "long enough")).toBeUndefined();
    expect(badPassword("🔑".repeat(5), "🔑".repeat(5))).toBe("10 characters at least");
  });

  it("keep tab and filters in the URL, and drop what is unknown", () => {
    expect(settingsSearch({ tab: "audit", actor: "user ada", before: 12, x: 1 })).toEqual({ tab: "audit", actor: "user ada", before: "12" });
    expect(settingsSearch({ tab: "nothing" })).toEqual({});
  });
});

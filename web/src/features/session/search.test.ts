import { describe, expect, it } from "vitest";

import { loginSearch, safePath } from "./search";

describe("safePath", () => {
  it.each(["/", "/functions", "/functions/hello?range=6h", "/logs?q=a%20b"])("keeps %s", (path) => {
    expect(safePath(path)).toBe(path);
  });

  it.each([
    "//evil.example",
    "/\\evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/..//evil.example",
    "functions",
    "",
    "/login?to=/login",
    "/api/v1/session",
    7,
    undefined,
  ])("refuses %j", (path) => {
    expect(safePath(path)).toBeUndefined();
  });
});

describe("loginSearch", () => {
  it("drops a target that is not of the console", () => {
    expect(loginSearch({ to: "//evil.example", other: true })).toEqual({});
  });
});

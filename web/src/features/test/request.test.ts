import { describe, expect, it } from "vitest";

import { badJson, examplePath, goodName, headersOf, readEvents, readResult, tidy } from "./request";
import { testSearch } from "./search";

describe("a request that is composed", () => {
  it.each([["/hello/{name}", "/hello/name"], ["/items/{id...}", "/items/"], ["/{path...}", "/"], ["/a/{b}/{c...}", "/a/b/"], ["/exact/{$}", "/exact/"], [undefined, "/"]])("for the route %s begins with %s", (route, path) =>
    expect(examplePath(route)).toBe(path));

  it("has those headers that have a name, each once", () => {
    expect(headersOf([{ name: "X-A", value: "1" }, { name: "  ", value: "2" }, { name: "x-a", value: "3" }])).toEqual({ "x-a": "3" });
  });

  it("says what is wrong with an event", () => {
    expect(badJson("{}")).toBeUndefined();
    expect(badJson("")).toContain("An event is needed");
    expect(badJson("{a}")).toContain("This is no JSON");
  });

  it("takes names of events as the API does", () => {
    expect(["a greeting", "größe-1", "x"].every(goodName)).toBe(true);
    expect([" x", "x/", "", "a".repeat(64)].some(goodName)).toBe(false);
  });

  it("shows JSON over several lines and leaves everything else alone", () => {
    expect(tidy('{"a":[1]}')).toBe('{\n  "a": [\n    1\n  ]\n}');
    expect(tidy("<h1>hi</h1>")).toBe("<h1>hi</h1>");
    expect(tidy("{broken")).toBe("{broken");
  });

  it("tells answers and saved events with every digit", () => {
    const { result, answer } = readResult('{"request_id":"r","outcome":"ok","answer":{"n":9007199254740993},"logs":[],"invocation":{}}');
    expect([result.outcome, answer]).toEqual(["ok", '{\n  "n": 9007199254740993\n}']);
    expect(readResult('{"outcome":"timeout","logs":[]}').answer).toBe("null");
    expect(tidy('{"n":12345678901234567890}')).toContain("12345678901234567890");
    expect(readEvents('{"items":[{"name":"a \\"b\\"","body":[12345678901234567890],"updated":""},{"name":"c","body":null}]}')).toEqual([
      { name: 'a "b"', body: "[\n  12345678901234567890\n]" },
      { name: "c", body: "null" },
    ]);
    expect(readEvents('{"items":[]}')).toEqual([]);
  });

  it("keeps in the URL what is sent", () => {
    expect(testSearch({ mode: "http", event: 7, x: 1 })).toEqual({ mode: "http", event: "7" });
    expect(testSearch({ mode: "other" })).toEqual({});
  });
});

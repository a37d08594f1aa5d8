import { describe, expect, it } from "vitest";

import { partsOf, pretty } from "./json";

describe("JSON as it is written", () => {
  it.each(["{}", "[]", "7", "null", '"a, {b}: \\"c\\""', '{"a":[1,{"b":[],"c":{}}],"d":"x\\\\"}', '[[1],[],{"":[true]}]'])("stands over the same lines as what is written anew: %s", (text) => {
    expect(pretty(text)).toBe(JSON.stringify(JSON.parse(text), null, 2));
    expect(pretty(` ${text}\n`)).toBe(pretty(text));
  });

  it("keeps every digit, every key and every escape", () => {
    expect(pretty('{"n":9007199254740993,"x":1.0,"n":1e400,"s":"\\u00e9"}')).toBe('{\n  "n": 9007199254740993,\n  "x": 1.0,\n  "n": 1e400,\n  "s": "\\u00e9"\n}');
  });

  it("is none where it cannot be read", () => expect(["{a}", "", "[1,]", "1 2"].map(pretty)).toEqual([undefined, undefined, undefined, undefined]));

  it("is told by its parts, each as it is written", () => {
    expect([...partsOf('{"a": {"b":[1, 2]}, "c\\n":12345678901234567890 ,"d":"x,y}","e":[]}')]).toEqual([
      ["a", '{"b":[1, 2]}'],
      ["c\n", "12345678901234567890"],
      ["d", '"x,y}"'],
      ["e", "[]"],
    ]);
    expect([...partsOf('[1.0, {"a":[2]}, "]" ]').values()]).toEqual(["1.0", '{"a":[2]}', '"]"']);
    expect([partsOf("{}").size, partsOf("[]").size, partsOf("7").size]).toEqual([0, 0, 0]);
    expect(partsOf('{"a":1,"a":2}').get("a")).toBe("2");
  });
});

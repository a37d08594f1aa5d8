import { describe, expect, it } from "vitest";

import { changesOf, handlerFile, rename, sizeOf, treeOf, without, wrongPath } from "./files";

describe("changes", () => {
  it("tell what was added, changed and removed, by path", () => {
    const before = { "main.py": "a", "gone.py": "b", "same.bin": { base64: "AAAA" } };
    const after = { "main.py": "c", "new.py": "", "same.bin": { base64: "AAAA" } };
    expect(changesOf(before, after).map((c) => `${c.kind} ${c.path}`)).toEqual(["removed gone.py", "changed main.py", "added new.py"]);
  });

  it("see a file that became empty, and one whose bytes changed", () => {
    expect(changesOf({ a: "x", b: { base64: "AAAA" } }, { a: "", b: { base64: "AAAB" } })).toHaveLength(2);
  });

  it("are not fooled by the names that every object has", () => {
    expect(changesOf({}, { constructor: "x" } as never)).toMatchObject([{ kind: "added" }]);
  });
});

describe("the name of a file", () => {
  const files = { "main.py": "", "lib/util.py": "" };
  it.each(["helper.py", "lib/more.py", "a/b/c.txt", ".coveignore", "ü.txt"])("may be %s", (path) => {
    expect(wrongPath(path, files)).toBeUndefined();
  });
  it.each(["", "/abs", "dir/", "a//b", "../up", "a/./b", "main.py", "lib", "main.py/x", "a\\b", "x\u0000"])("may not be %j", (path) => {
    expect(wrongPath(path, files)).toBeTypeOf("string");
  });
  it("may stay what it is", () => {
    expect(wrongPath("main.py", files, "main.py")).toBeUndefined();
  });
});

describe("a set of files", () => {
  it("is a tree with folders first", () => {
    const tree = treeOf(["z.py", "lib/b.py", "a.py", "lib/deep/c.py"]);
    expect(tree.map((n) => n.name)).toEqual(["lib", "a.py", "z.py"]);
    expect(tree[0]?.children?.map((n) => n.path)).toEqual(["lib/deep", "lib/b.py"]);
  });

  it("can have one renamed or removed without changing the others", () => {
    const files = { a: "1", b: "2" };
    expect(rename(files, "a", "c")).toEqual({ c: "1", b: "2" });
    expect(without(files, "a")).toEqual({ b: "2" });
    expect(files).toEqual({ a: "1", b: "2" });
  });

  it("is opened at the handler's file", () => {
    expect(handlerFile("main.handler", ["a.py", "main.py"])).toBe("main.py");
    expect(handlerFile("src/app.run", ["src/app.mjs", "a.js"])).toBe("src/app.mjs");
    expect(handlerFile(undefined, ["b", "a"])).toBe("a");
  });

  it("knows sizes in bytes", () => {
    expect([sizeOf("ü"), sizeOf({ base64: "AAA=" }), sizeOf({ base64: "AA==" })]).toEqual([2, 2, 1]);
  });
});

import { describe, expect, it } from "vitest";

import { ignoredBy, leftOut } from "./ignore";

const kept = (text: string, paths: string[]) => paths.filter((path) => leftOut(path, ignoredBy(text)) === undefined);

describe("what belongs into a package", () => {
  it("is not what no function needs", () => {
    const all = ["main.py", ".git/HEAD", "a/__pycache__/x.txt", "a/x.pyc", ".env", "a/.env", "cove.yaml", ".coveignore", "lib/cove.yaml", "node_modules/x/index.js"];
    expect(kept("", all)).toEqual(["main.py", "lib/cove.yaml", "node_modules/x/index.js"]);
  });

  it.each([
    ["*.log", ["a.log", "b/c.log"], ["a.log.txt"]],
    ["/build", ["build", "build/x"], ["a/build"]],
    ["build/", ["build/x", "a/build/x"], ["build"]],
    ["docs/*.md", ["docs/a.md"], ["docs/a/b.md", "x/docs/a.md"]],
    ["docs/**/x.md", ["docs/x.md", "docs/a/b/x.md"], ["docs/x.mdx"]],
    ["a/**", ["a/b", "a/b/c"], ["b/a"]],
    ["?.txt", ["a.txt", "ü.txt", "b/c.txt"], ["ab.txt"]],
    ["a+(b).[c]{d}|^$", ["a+(b).[c]{d}|^$"], ["aab.c"]],
    ["  # no rule\r", [], ["# no rule"]],
    ["tests\r", ["tests/a", "b/tests"], ["test"]],
  ])("is by %j without %j and with %j", (text, out, within) => {
    expect(kept(text, [...out, ...within])).toEqual(within);
  });

  it("is decided by the last line that matches, but nothing is kept in a folder that is left out", () => {
    expect(kept("*.txt\n!keep.txt", ["a.txt", "keep.txt", "b/keep.txt"])).toEqual(["keep.txt", "b/keep.txt"]);
    expect(kept("lib/\n!lib/keep.txt", ["lib/keep.txt"])).toEqual([]);
    expect(kept("!.env", [".env"])).toEqual([".env"]);
  });

  it("is told by the outermost folder that is left out", () => {
    const ignored = ignoredBy("");
    expect([leftOut("a/.git/objects/x", ignored), leftOut(".env", ignored), leftOut("a/b", ignored)]).toEqual(["a/.git", ".env", undefined]);
  });
});

import { unzipSync } from "fflate";
import { describe, expect, it } from "vitest";

import { archiveType, guessLanguage, nameFrom, pack, readConfig, readDrop, readPicker, type Found } from "./source";

function picked(all: Record<string, string>): Found {
  const files = Object.entries(all).map(([path, text]) => ({ path, file: new File([text], path.split("/").pop() ?? "") }));
  return { files, passed: [] };
}

const file = (name: string, text = "") => ({ name, isFile: true, isDirectory: false, file: (done: (file: File) => void) => done(new File([text], name)) });

/** A folder as browsers tell of it: some entries at a time. */
function dir(name: string, children: object[]) {
  const createReader = () => {
    const rest = [...children];
    return { readEntries: (done: (some: object[]) => void) => done(rest.splice(0, 2)) };
  };
  return { name, isFile: false, isDirectory: true, createReader };
}

const dropped = (entries: object[]) => entries.map((entry) => ({ webkitGetAsEntry: () => entry })) as unknown as DataTransferItemList;

describe("a dropped folder", () => {
  it("is read without its own name, and not where its .coveignore leaves folders out", async () => {
    const folder = dir("shop", [file("main.py"), file(".coveignore", "data/\n!.git/"), dir("data", [file("x")]), dir(".git", [file("HEAD")]), dir("lib", [dir("deep", [file("a.py")])])]);
    const found = await readDrop(dropped([folder]));
    expect(found.files.map((p) => p.path)).toEqual(["main.py", ".coveignore", ".git/HEAD", "lib/deep/a.py"]);
    expect((await pack(found)).skipped).toEqual(["data"]);
    expect((await readDrop(dropped([file("main.py"), dir("lib", [file("a.py")])]))).files.map((p) => p.path)).toEqual(["main.py", "lib/a.py"]);
  });

  it("is told by a picker in the same way", () => {
    const list = ["shop/main.py", "shop/lib/a.py"].map((path) => Object.assign(new File([""], path.split("/").pop() ?? ""), { webkitRelativePath: path }));
    expect(readPicker(list as never).files.map((p) => p.path)).toEqual(["main.py", "lib/a.py"]);
  });

  it("is packed by the rules of its .coveignore", async () => {
    const made = await pack(picked({ "main.py": "", ".coveignore": "*.md\ntests/\n", "README.md": "", "tests/a.py": "", "tests/b.py": "" }));
    expect([made.paths, made.skipped]).toEqual([["main.py"], ["README.md", "tests"]]);
  });

  it("is packed without what no function needs, and with what cove.yaml says", async () => {
    const made = await pack(picked({ "main.py": "print(1)", "cove.yaml": "name: shop\nruntime: python\n", ".env": "SECRET=1", "lib/a.py": "" }));
    expect(Object.keys(unzipSync(new Uint8Array(await made.archive.arrayBuffer()))).sort()).toEqual(["lib/a.py", "main.py"]);
    expect(made.config).toEqual({ name: "shop", runtime: "python" });
    expect(made.skipped).toEqual([".env"]);
  });

  it("is refused when nothing in it is of a function", async () => {
    await expect(pack(picked({ ".git/HEAD": "x" }))).rejects.toThrow("no file");
  });

  it("is refused with a reason when its cove.yaml is none", () => {
    expect(() => readConfig("- a\n- b")).toThrow("map of settings");
    expect(() => readConfig("a: [")).toThrow("cannot be read");
  });
});

describe("what a function is made of", () => {
  it("is known by its bytes and not by its name", async () => {
    expect(await archiveType(new File([new Uint8Array([0x50, 0x4b, 3, 4])], "a.tar.gz"))).toBe("application/zip");
    expect(await archiveType(new File([new Uint8Array([0x1f, 0x8b])], "a"))).toBe("application/gzip");
    expect(await archiveType(new File(["hello"], "a.zip"))).toBeUndefined();
  });

  it("tells its language", () => {
    expect(guessLanguage(["main.py", "x.js"])).toBe("python");
    expect(guessLanguage(["index.mjs", "package.json", "setup.py"])).toBe("node");
    expect(guessLanguage(["README.md"])).toBeUndefined();
  });

  it.each([
    ["My Shop (1).zip", "my-shop-1"],
    ["2nd.tar.gz", "nd"],
    ["--", ""],
    ["a".repeat(80), "a".repeat(63)],
  ])("gives %s a name", (text, name) => expect(nameFrom(text)).toBe(name));
});

import { describe, expect, it } from "vitest";

import { dropDraft, loadDraft, saveDraft } from "./draft";

function storage(full = false): Storage {
  const map = new Map<string, string>();
  return {
    getItem: (key: string) => map.get(key) ?? null,
    setItem: (key: string, value: string) => {
      if (full) throw new DOMException("full", "QuotaExceededError");
      map.set(key, value);
    },
    removeItem: (key: string) => void map.delete(key),
  } as unknown as Storage;
}

describe("a draft", () => {
  it("is there again until it is dropped", () => {
    const s = storage();
    const draft = { base: 3, files: { "main.py": "x", "logo.png": { base64: "AAAA" } }, by: "ada" };
    expect(saveDraft("hello", draft, s)).toBe(true);
    expect(loadDraft("hello", "ada", s)).toEqual(draft);
    expect(loadDraft("other", "ada", s)).toBeUndefined();
    dropDraft("hello", s);
    expect(loadDraft("hello", "ada", s)).toBeUndefined();
  });

  it("is not there for somebody else", () => {
    const s = storage();
    saveDraft("hello", { base: 3, files: {}, by: "ada" }, s);
    expect(loadDraft("hello", "bob", s)).toBeUndefined();
  });

  it("that is no draft is none", () => {
    const s = storage();
    for (const text of ["", "null", "7", '{"base":"3","files":{},"by":"ada"}', '{"base":3,"files":null,"by":"ada"}', '{"base":3,"files":{}}', "{"]) {
      s.setItem("cove-draft:hello", text);
      expect(loadDraft("hello", "ada", s)).toBeUndefined();
    }
  });

  it("is not kept where there is no room, and that is told", () => {
    expect(saveDraft("hello", { base: 1, files: {}, by: "ada" }, storage(true))).toBe(false);
    expect(saveDraft("hello", { base: 1, files: { a: "x".repeat(3_000_000) }, by: "ada" }, storage())).toBe(false);
  });
});

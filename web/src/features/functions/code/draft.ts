/**
 * What somebody has edited and not deployed yet. It is kept for the tab's life, so
 * that a reload or a session that ends does not lose it, and it is forgotten when
 * somebody signs out.
 */
import type { FileMap } from "../files";

export interface Draft {
  /** The version that the files were when the editing began. */
  base: number;
  files: FileMap;
  /** The id of who edited: what one left in the tab is not for the next who signs in there. */
  by: string;
}

const prefix = "cove-draft:";
/** Browsers give about 5 MiB to a page. */
const mostCharacters = 2_000_000;

/** What somebody's draft of a function is; undefined where there is none, or none that can be read. */
export function loadDraft(name: string, by: string, storage: Storage = sessionStorage): Draft | undefined {
  try {
    const value: unknown = JSON.parse(storage.getItem(prefix + name) ?? "null");
    if (value === null || typeof value !== "object") return undefined;
    const { base, files, by: author } = value as Partial<Draft>;
    if (author !== by || typeof base !== "number" || files === null || typeof files !== "object") return undefined;
    return { base, files, by };
  } catch {
    return undefined;
  }
}

/** Keeps the draft, as far as there is room. */
export function saveDraft(name: string, draft: Draft, storage: Storage = sessionStorage): boolean {
  const text = JSON.stringify(draft);
  if (text.length > mostCharacters) return false;
  try {
    storage.setItem(prefix + name, text);
    return true;
  } catch {
    return false; // Full, or closed to pages.
  }
}

/** Forgets the draft of a function. */
export function dropDraft(name: string, storage: Storage = sessionStorage): void {
  try {
    storage.removeItem(prefix + name);
  } catch {
    // Closed to pages: there is none.
  }
}

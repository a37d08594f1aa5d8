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
}

const prefix = "cove-draft:";
/** Browsers give about 5 MiB to a page. */
const mostCharacters = 2_000_000;

/** The draft of a function; undefined where there is none, or none that can be read. */
export function loadDraft(name: string, storage: Storage = sessionStorage): Draft | undefined {
  try {
    const value: unknown = JSON.parse(storage.getItem(prefix + name) ?? "null");
    if (value === null || typeof value !== "object") return undefined;
    const { base, files } = value as Partial<Draft>;
    if (typeof base !== "number" || files === null || typeof files !== "object") return undefined;
    return { base, files };
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

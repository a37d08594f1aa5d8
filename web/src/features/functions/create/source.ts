import { zip, type AsyncZippable } from "fflate";
import { parse } from "yaml";

import { ignoredBy, ignoreFile, leftOut } from "./ignore";

/** A file of a folder, by its path within. */
export interface Picked {
  path: string;
  file: File;
}

/** What was found in a folder. */
export interface Found {
  files: Picked[];
  /** Folders that were not looked into, since nothing in them belongs into a package. */
  passed: string[];
}

/** Nothing that is larger is read into the page; the command line has no such bound. */
export const mostBytes = 64 * 1024 * 1024;
export const mostFiles = 5_000;

/** The settings of the function, which are about the package and not in it. */
const configFile = "cove.yaml";

/** The files of a folder that was dropped on the page, however deep, but for what is left out with its folder. */
export async function readDrop(items: DataTransferItemList): Promise<Found> {
  // Entries must be taken before the first wait: afterwards the list is empty.
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const [first] = entries;
  const top = entries.length === 1 && first?.isDirectory ? await childrenOf(first) : entries;
  const rules = top.find((entry) => entry.isFile && entry.name === ignoreFile);
  const ignored = ignoredBy(rules ? await (await fileOf(rules)).text() : "");
  const [files, passed]: [Picked[], string[]] = [[], []];
  let kept = 0;
  const walk = async (entry: FileSystemEntry, folder: string): Promise<void> => {
    const path = folder + entry.name;
    // One more than may be is enough to refuse it.
    if (kept > mostFiles) return;
    if (entry.isFile) {
      files.push({ path, file: await fileOf(entry) });
      if (!ignored(path, false)) kept++;
      return;
    }
    // What is never packed is not walked through either: .git has thousands of files.
    if (ignored(path, true)) {
      passed.push(path);
      return;
    }
    for (const child of await childrenOf(entry)) await walk(child, `${path}/`);
  };
  for (const entry of top) await walk(entry, "");
  return { files, passed };
}

function fileOf(entry: FileSystemEntry): Promise<File> {
  return new Promise((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
}

async function childrenOf(entry: FileSystemEntry): Promise<FileSystemEntry[]> {
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const all: FileSystemEntry[] = [];
  for (;;) {
    // A reader tells a hundred at a time, and none at the end.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}

/** The files that were chosen by a folder picker, by their paths within the folder. */
export function readPicker(list: FileList): Found {
  const files = [...list].map((file) => ({ path: file.webkitRelativePath.split("/").slice(1).join("/") || file.name, file }));
  return { files, passed: [] };
}

export interface Package {
  /** The zip, made of the files that belong into it. */
  archive: Blob;
  paths: string[];
  /** What was left out: files, and folders with all that is in them. */
  skipped: string[];
  bytes: number;
  /** What cove.yaml says, if there is one. */
  config: Record<string, unknown>;
}

/** Packs the files of a folder as the command line would. Rejects with words for people. */
export async function pack({ files: picked, passed }: Found): Promise<Package> {
  const rules = picked.find((p) => p.path === ignoreFile);
  const ignored = ignoredBy(rules ? await rules.file.text() : "");
  const kept = picked.filter((p) => leftOut(p.path, ignored) === undefined);
  const bytes = kept.reduce((sum, p) => sum + p.file.size, 0);
  if (kept.length === 0) throw new Error("There is no file in it that belongs to a function.");
  if (kept.length > mostFiles) throw new Error(`It has more than ${mostFiles.toLocaleString("en")} files. Deploy it with cove deploy.`);
  if (bytes > mostBytes) throw new Error("It is larger than 64 MiB. Deploy it with cove deploy.");
  const yaml = picked.find((p) => p.path === configFile);
  const config = yaml ? readConfig(await yaml.file.text()) : {};
  const tree: AsyncZippable = {};
  for (const p of kept) tree[p.path] = new Uint8Array(await p.file.arrayBuffer());
  const zipped = await new Promise<Uint8Array>((resolve, reject) => {
    zip(tree, { level: 6, consume: true }, (error, data) => (error ? reject(error) : resolve(data)));
  });
  return {
    archive: new Blob([zipped as BlobPart], { type: "application/zip" }),
    paths: kept.map((p) => p.path).sort(),
    skipped: [...new Set([...passed, ...picked.flatMap((p) => leftOut(p.path, ignored) ?? [])])].filter((path) => path !== configFile && path !== ignoreFile),
    bytes,
    config,
  };
}

/** A cove.yaml as an object. Rejects with words for people. */
export function readConfig(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new Error(`cove.yaml cannot be read: ${error instanceof Error ? error.message.split("\n")[0] : ""}`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) throw new Error("cove.yaml must be a map of settings: name, runtime and so on.");
  return value as Record<string, unknown>;
}

/** What kind of archive it is by its first bytes and its name; undefined for none that Cove takes. */
export async function archiveType(file: File): Promise<"application/zip" | "application/gzip" | undefined> {
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  if (head[0] === 0x50 && head[1] === 0x4b) return "application/zip";
  if (head[0] === 0x1f && head[1] === 0x8b) return "application/gzip";
  return undefined;
}

/** The language that a folder's files are most likely of. */
export function guessLanguage(paths: string[]): "python" | "node" | undefined {
  const count = (pattern: RegExp) => paths.filter((p) => pattern.test(p) && !p.includes("node_modules/")).length;
  const python = count(/\.py$/);
  const node = count(/\.(m?js|cjs|m?ts)$/) + (paths.includes("package.json") ? 1 : 0);
  if (python === 0 && node === 0) return undefined;
  return python >= node ? "python" : "node";
}

/** A name for a function from that of a folder or archive: "My Shop (1).zip" is my-shop-1. */
export function nameFrom(text: string): string {
  const base = text.replace(/\.(zip|tar\.gz|tgz)$/i, "").toLowerCase();
  return base
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+/, "")
    .slice(0, 63)
    .replace(/-+$/, "");
}

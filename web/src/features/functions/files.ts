/** The files of a package, and what was changed in them. Pure: nothing here knows a page. */

/** The content of a file: text, or what is no text in base64, as the API has it. */
export type FileContent = string | { base64: string };

/** Contents by path. */
export type FileMap = Record<string, FileContent>;

export type ChangeKind = "added" | "changed" | "removed";

export interface FileChange {
  path: string;
  kind: ChangeKind;
  before: FileContent | undefined;
  after: FileContent | undefined;
}

/** Whether a file can be shown and edited as text. */
export function isText(content: FileContent | undefined): content is string {
  return typeof content === "string";
}

/** The text for a diff; what is no text is told by its size. */
export function textOf(content: FileContent | undefined): string {
  if (content === undefined) return "";
  return isText(content) ? content : `(no text: ${sizeOf(content)} bytes)`;
}

/** The size in bytes. */
export function sizeOf(content: FileContent): number {
  if (isText(content)) return new TextEncoder().encode(content).length;
  const padding = content.base64.endsWith("==") ? 2 : content.base64.endsWith("=") ? 1 : 0;
  return (content.base64.length / 4) * 3 - padding;
}

function same(a: FileContent | undefined, b: FileContent | undefined): boolean {
  if (a === undefined || b === undefined || isText(a) || isText(b)) return a === b;
  return a.base64 === b.base64;
}

/** What changed from before to after, by path. */
export function changesOf(before: FileMap, after: FileMap): FileChange[] {
  const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return paths.flatMap((path): FileChange[] => {
    const [a, b] = [own(before, path), own(after, path)];
    if (same(a, b)) return [];
    return [{ path, kind: a === undefined ? "added" : b === undefined ? "removed" : "changed", before: a, after: b }];
  });
}

function own(files: FileMap, path: string): FileContent | undefined {
  return Object.hasOwn(files, path) ? files[path] : undefined;
}

/** Why path cannot be the name of a file of a package; undefined if it can. */
export function wrongPath(path: string, files: FileMap, except?: string): string | undefined {
  if (path === "") return "Write a name, such as helper.py or lib/util.js";
  if (path.length > 255) return "At most 255 characters";
  if (/[\u0000-\u001f\u007f\\]/.test(path)) return "No control characters and no \\";
  if (path.startsWith("/") || path.endsWith("/")) return "A path within the package: no / at its ends";
  if (path.split("/").some((part) => part === "" || part === "." || part === "..")) return "No empty parts, no . and no ..";
  if (path !== except && Object.hasOwn(files, path)) return "There is a file of that name";
  for (const other of Object.keys(files)) {
    if (other === except) continue;
    if (other.startsWith(`${path}/`)) return "There is a folder of that name";
    if (path.startsWith(`${other}/`)) return `${other} is a file and no folder`;
  }
  return undefined;
}

/** files with another name for one of them. */
export function rename(files: FileMap, from: string, to: string): FileMap {
  return Object.fromEntries(Object.entries(files).map(([path, content]) => [path === from ? to : path, content]));
}

/** files without one of them. */
export function without(files: FileMap, path: string): FileMap {
  return Object.fromEntries(Object.entries(files).filter(([other]) => other !== path));
}

export interface TreeNode {
  name: string;
  path: string;
  /** Undefined for a file. */
  children?: TreeNode[];
}

/** The paths as a tree: folders before files, each by name. */
export function treeOf(paths: string[]): TreeNode[] {
  const root: TreeNode = { name: "", path: "", children: [] };
  for (const path of paths) {
    let folder = root;
    const parts = path.split("/");
    parts.forEach((name, i) => {
      const children = (folder.children ??= []);
      if (i === parts.length - 1) {
        children.push({ name, path });
        return;
      }
      const at = parts.slice(0, i + 1).join("/");
      let next = children.find((child) => child.children && child.name === name);
      if (!next) {
        next = { name, path: at, children: [] };
        children.push(next);
      }
      folder = next;
    });
  }
  const sort = (nodes: TreeNode[]): TreeNode[] => {
    nodes.sort((a, b) => Number(b.children !== undefined) - Number(a.children !== undefined) || a.name.localeCompare(b.name, "en"));
    for (const node of nodes) if (node.children) sort(node.children);
    return nodes;
  };
  return sort(root.children ?? []);
}

/** The file that a handler such as "main.handler" or "lib/app.run" is in, by the files there are. */
export function handlerFile(handler: string | undefined, paths: string[]): string | undefined {
  const dot = handler?.lastIndexOf(".") ?? -1;
  const stem = dot > 0 ? handler!.slice(0, dot) : "";
  const found = paths.find((path) => stem !== "" && path.slice(0, Math.max(path.lastIndexOf("."), 0)) === stem);
  return found ?? [...paths].sort()[0];
}

/**
 * Which files of a folder belong into a package: the rules of `cove deploy`, in the
 * manner of .gitignore. See internal/cli/pack.go, which these are to agree with.
 */

/** The file at a folder's top that says what does not belong into its package. */
export const ignoreFile = ".coveignore";

/** What no function needs; secrets do not belong into packages. A line of .coveignore that begins with ! can take it in again. */
const never = [
  ".git/", ".hg/", ".svn/", "__pycache__/", "*.pyc", ".venv/", ".pytest_cache/", ".mypy_cache/", ".DS_Store",
  ".env", ".idea/", ".vscode/", "/cove.yaml", `/${ignoreFile}`,
];

interface Rule {
  pattern: RegExp;
  /** For folders only. */
  folders: boolean;
  /** Keeps what an earlier rule leaves out. */
  keep: boolean;
}

/** Whether a path of the folder is left out. */
type Ignored = (path: string, folder: boolean) => boolean;

/** What is left out by the text of a .coveignore, "" for none; the last line that matches decides. */
export function ignoredBy(text: string): Ignored {
  const rules = [...never, ...text.split("\n")].flatMap((line) => ruleOf(line) ?? []);
  return (path, folder) => {
    const last = rules.findLast((rule) => (!rule.folders || folder) && rule.pattern.test(path));
    return last !== undefined && !last.keep;
  };
}

/**
 * A line as a rule: * and ? within a name, ** across folders, a / at its beginning or
 * within for the top folder only, one at its end for folders only, a leading ! to keep.
 */
function ruleOf(text: string): Rule | undefined {
  let line = text.trim();
  if (line === "" || line.startsWith("#")) return undefined;
  const keep = line.startsWith("!");
  if (keep) line = line.slice(1);
  const folders = line.endsWith("/");
  if (folders) line = line.slice(0, -1);
  const anywhere = line.includes("/") ? "" : "(.*/)?";
  if (line.startsWith("/")) line = line.slice(1);
  const pattern = line.replaceAll(/\*\*\/|\*\*|[*?]|[$()+.[\\\]^{|}]/g, (part) => wild[part] ?? `\\${part}`);
  return { pattern: new RegExp(`^${anywhere}${pattern}$`, "u"), folders, keep };
}

const wild: Record<string, string> = { "**/": "(.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]" };

/** What is left out of a path, itself or the outermost folder that it is in; undefined if it belongs into the package. */
export function leftOut(path: string, ignored: Ignored): string | undefined {
  for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
    const folder = path.slice(0, slash);
    if (ignored(folder, true)) return folder;
  }
  return ignored(path, false) ? path : undefined;
}

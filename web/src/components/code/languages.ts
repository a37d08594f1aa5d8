import { javascript } from "@codemirror/lang-javascript";
import { json } from "@codemirror/lang-json";
import { python } from "@codemirror/lang-python";
import { yaml } from "@codemirror/lang-yaml";
import type { Extension } from "@codemirror/state";

/** The language that a file's name says it is written in; none for what is not known. */
export function languageOf(path: string): Extension {
  const name = path.slice(path.lastIndexOf("/") + 1).toLowerCase();
  const extension = name.slice(name.lastIndexOf(".") + 1);
  switch (extension) {
    case "py":
      return python();
    case "js":
    case "mjs":
    case "cjs":
    case "jsx":
      return javascript({ jsx: extension === "jsx" });
    case "ts":
    case "mts":
    case "cts":
    case "tsx":
      return javascript({ typescript: true, jsx: extension === "tsx" });
    case "json":
      return json();
    case "yaml":
    case "yml":
      return yaml();
    default:
      return [];
  }
}

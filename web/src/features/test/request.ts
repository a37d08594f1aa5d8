/** A header as it is edited. */
export interface Header {
  name: string;
  value: string;
}

/** A request as it is composed on the page. */
export interface Composed {
  method: string;
  path: string;
  headers: Header[];
  body: string;
}

export const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/** What is wrong with a text that should be JSON, with the place where browsers tell it; undefined if nothing. */
export function badJson(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    return text.trim() === "" ? "An event is needed: any JSON, such as {}" : `This is no JSON: ${error instanceof Error ? error.message : "it cannot be read"}`;
  }
}

/** A path that a route matches: "/hello/{name}" becomes "/hello/name". */
export function examplePath(route: string | undefined): string {
  if (!route) return "/";
  return route.replaceAll(/\{([^}.]*)(\.\.\.)?\}/g, (_all, name: string) => (name === "$" ? "" : name));
}

/** The headers that are sent: those that have a name, the last of equal ones. */
export function headersOf(headers: Header[]): Record<string, string> {
  const out: Record<string, string> = {};
  for (const { name, value } of headers) {
    if (name.trim() === "") continue;
    for (const key of Object.keys(out)) if (key.toLowerCase() === name.trim().toLowerCase()) delete out[key];
    out[name.trim()] = value;
  }
  return out;
}

/** Whether requests of a method have a body as a rule. */
export const hasBody = (method: string) => method !== "GET" && method !== "HEAD";

/** Whether a name is one that a saved event can have. */
export const goodName = (name: string) => /^[\p{L}\p{N}]([\p{L}\p{N} ._-]{0,61}[\p{L}\p{N}])?$/u.test(name);

/** A text as it is shown: JSON over several lines, everything else as it is. */
export function tidy(text: string): string {
  if (!/^\s*[[{"]/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

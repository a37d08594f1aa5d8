import type { Result } from "@/api/gen";
import { partsOf, pretty } from "@/lib/json";

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

/**
 * A path that a route matches: "/hello/{name}" becomes "/hello/name". A wildcard for
 * the rest of the path matches nothing too, which is more likely to be there than
 * anything that could be made up: "/items/{id...}" becomes "/items/".
 */
export function examplePath(route: string | undefined): string {
  if (!route) return "/";
  return route.replace(/\{([^}]*\.\.\.|\$)\}$/, "").replaceAll(/\{([^}]*)\}/g, "$1");
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
  return (/^\s*[[{"]/.test(text) ? pretty(text) : undefined) ?? text;
}

/** What the API answers to a direct call, with the function's answer as it is written there. */
export function readResult(text: string): { result: Result; answer: string } {
  const answer = partsOf(text).get("answer") ?? "null";
  return { result: JSON.parse(text) as Result, answer: pretty(answer) ?? answer };
}

/** A saved event, its body as it was written but for its lines. */
export interface Saved {
  name: string;
  body: string;
}

/** The saved events of the API's list. */
export function readEvents(text: string): Saved[] {
  return [...partsOf(partsOf(text).get("items") ?? "[]").values()].map((item) => {
    const parts = partsOf(item);
    const body = parts.get("body") ?? "null";
    return { name: String(JSON.parse(parts.get("name") ?? '""')), body: pretty(body) ?? body };
  });
}

/** What the URL of the sign-in page holds. */
export interface LoginSearch {
  /** Where to go afterwards: a path of the console. */
  to?: string;
}

export function loginSearch(search: Record<string, unknown>): LoginSearch {
  const out: LoginSearch = {};
  const to = safePath(search.to);
  if (to !== undefined) out.to = to;
  return out;
}

const origin = "http://cove.invalid";

/**
 * safePath is path if it leads to a page of this console, and undefined for
 * everything else: other hosts ("//evil", "/\evil"), other schemes, and the
 * sign-in page itself, which would lead in a circle.
 */
export function safePath(path: unknown): string | undefined {
  if (typeof path !== "string" || !path.startsWith("/") || /[\\\u0000-\u001f]/.test(path)) return undefined;
  let url: URL;
  try {
    url = new URL(path, origin);
  } catch {
    return undefined;
  }
  if (url.origin !== origin || path.startsWith("//") || url.pathname.startsWith("//")) return undefined;
  if (url.pathname === "/login" || url.pathname.startsWith("/api/")) return undefined;
  return url.pathname + url.search;
}

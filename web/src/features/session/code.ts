/**
 * takeCode takes the one-time code from behind the address' '#' and removes it
 * from there and from the history at once, so that neither a look at the screen
 * nor the browser's memory has it. Undefined where there is none.
 */
export function takeCode(): string | undefined {
  const hash = window.location.hash;
  if (!hash.startsWith("#code=")) return undefined;
  const code = new URLSearchParams(hash.slice(1)).get("code") ?? "";
  window.history.replaceState(window.history.state, "", window.location.pathname + window.location.search);
  return code === "" ? undefined : code;
}

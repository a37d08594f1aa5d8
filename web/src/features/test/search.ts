/** What the URL of a function's test page holds: what is sent, and which saved event. */
export interface TestSearch {
  mode?: "http";
  event?: string;
}

/** testSearch keeps what is known and drops the rest. */
export function testSearch(search: Record<string, unknown>): TestSearch {
  const out: TestSearch = {};
  if (search.mode === "http") out.mode = "http";
  const event = typeof search.event === "number" ? String(search.event) : search.event;
  if (typeof event === "string" && event !== "") out.event = event.slice(0, 63);
  return out;
}

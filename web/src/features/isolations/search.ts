/** What the URL of the isolations' page holds: which run and language are shown, and what is reckoned. */
export interface IsolationsSearch {
  run?: string;
  runtime?: string;
  /** Calls per second, how long an idle instance is kept, and how many always are. */
  rate?: number;
  keep?: string;
  min?: number;
}

/** isolationsSearch keeps what is known and drops the rest. */
export function isolationsSearch(search: Record<string, unknown>): IsolationsSearch {
  const out: IsolationsSearch = {};
  for (const key of ["run", "runtime", "keep"] as const) {
    const value = search[key];
    if (typeof value === "string" && value !== "") out[key] = value.slice(0, 63);
  }
  const rate = Number(search.rate);
  if (search.rate !== undefined && Number.isFinite(rate) && rate >= 0 && rate <= 1e5) out.rate = rate;
  const min = Number(search.min);
  if (Number.isInteger(min) && min > 0 && min <= 1000) out.min = min;
  return out;
}

/**
 * JSON as it is written. JavaScript reads every number as a float, so that integers
 * beyond 2^53 lose digits; what is shown to people is therefore cut out of the text
 * and never read and written anew.
 */

/** Where the string ends that begins at `at`. */
function stringEnd(text: string, at: number): number {
  for (let i = at + 1; i < text.length; i++) {
    if (text[i] === "\\") i++;
    else if (text[i] === '"') return i + 1;
  }
  return text.length;
}

/** The tokens of a JSON text: strings, brackets, commas, colons, and whatever stands between them. */
function* tokens(text: string): Generator<{ begin: number; end: number }> {
  for (let begin = 0; begin < text.length; ) {
    let end = begin + 1;
    const first = text[begin] as string;
    if (first === '"') end = stringEnd(text, begin);
    else if (!/[\s{}[\],:]/.test(first)) while (end < text.length && !/[\s{}[\],:"]/.test(text[end] as string)) end++;
    if (first.trim() !== "") yield { begin, end };
    begin = end;
  }
}

/** The text over several lines, each value as it is written; undefined for a text that is no JSON. */
export function pretty(text: string): string | undefined {
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  const out: string[] = [];
  let depth = 0;
  let before = "";
  const line = () => out.push("\n", "  ".repeat(depth));
  for (const { begin, end } of tokens(text)) {
    const token = text.slice(begin, end);
    const opens = before === "{" || before === "[";
    if (token === "}" || token === "]") {
      depth--;
      if (!opens) line();
    } else if (opens || before === ",") line();
    out.push(token);
    if (token === ":") out.push(" ");
    if (token === "{" || token === "[") depth++;
    before = token;
  }
  return out.join("");
}

/** The values of a JSON object or list as they are written, by key or number; of the last where a key is there twice. */
export function partsOf(text: string): Map<string, string> {
  const parts = new Map<string, string>();
  let depth = 0;
  let list = false;
  let key = "";
  let index = 0;
  let from: number | undefined;
  const done = (to: number) => {
    if (from !== undefined) parts.set(list ? String(index++) : key, text.slice(from, to).trim());
    from = undefined;
  };
  for (const { begin, end } of tokens(text)) {
    const token = text[begin];
    if (token === "}" || token === "]") {
      depth--;
      if (depth === 0) done(begin);
      continue;
    }
    if (depth === 1) {
      if (token === ",") {
        done(begin);
        continue;
      }
      if (list) from ??= begin;
      else if (token === ":" && from === undefined) from = end;
      else if (from === undefined) key = String(JSON.parse(text.slice(begin, end)));
    }
    if (token === "{" || token === "[") {
      if (depth === 0) list = token === "[";
      depth++;
    }
  }
  return parts;
}

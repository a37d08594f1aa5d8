import { parseDuration } from "@/components/format";

const hourNs = 3600e9;

/** What the API tells of a time ("168h") as it is written in the form: "7d", "36h", "90m". */
export function writeTime(text: string | undefined): string {
  const ns = parseDuration(text);
  if (Number.isNaN(ns)) return text ?? "";
  if (ns > 0 && ns % (24 * hourNs) === 0) return `${ns / (24 * hourNs)}d`;
  if (ns > 0 && ns % hourNs === 0) return `${ns / hourNs}h`;
  return text ?? "";
}

/** What is written in the form as the API reads it, which knows no days; undefined if it is no time. */
export function readTime(text: string): string | undefined {
  const days = /^\s*(\d+(?:\.\d+)?)\s*d(?:ays?)?\s*$/i.exec(text);
  if (days?.[1]) return `${Number(days[1]) * 24}h`;
  const ns = parseDuration(text.replaceAll(" ", ""));
  return Number.isNaN(ns) ? undefined : text.replaceAll(" ", "");
}

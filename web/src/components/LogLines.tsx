import { UnstyledButton } from "@mantine/core";
import { memo, useState, type ReactNode } from "react";

import { pretty as overLines } from "@/lib/json";

import { formatTime } from "./format";
import classes from "./LogLines.module.css";

/** One line as it is shown; what a function printed is only ever text. */
export interface ShownLine {
  id: number;
  time: string;
  text: string;
  level?: string | undefined;
  stream?: string | undefined;
  platform?: boolean | undefined;
}

interface Props<L extends ShownLine> {
  lines: L[];
  /** What is searched for, to be marked. */
  mark?: string;
  /** What stands before the text, such as the function's name. */
  before?: (line: L) => ReactNode;
  /** Whether the date is shown too. */
  date?: boolean;
}

/** Lines of a log. One that is JSON opens when it is clicked. */
export function LogLines<L extends ShownLine>({ lines, mark, before, date }: Props<L>) {
  return (
    <div className={classes.lines} role="log" aria-live="off">
      {lines.map((line, i) => <Line key={line.id || `${line.time} ${i}`} line={line} mark={mark} before={before?.(line)} date={date} />)}
    </div>
  );
}

interface LineProps {
  line: ShownLine;
  mark: string | undefined;
  before: ReactNode;
  date: boolean | undefined;
}

const Line = memo(
  function Line({ line, mark, before, date }: LineProps) {
    const [open, setOpen] = useState(false);
    const json = pretty(line.text);
    const kind = line.platform ? "platform" : line.level ?? (line.stream === "stderr" ? "stderr" : undefined);
    return (
      <div className={classes.line} data-kind={kind}>
        <time className={classes.time} dateTime={line.time} title={formatTime(line.time, { ms: true })}>{formatTime(line.time, { ms: true, date: date ?? false })}</time>
        <span className={classes.kind}>{kind === "stderr" ? "err" : kind === "platform" ? "cove" : kind}</span>
        {before}
        <span className={classes.text}>
          {json !== undefined ? (
            <UnstyledButton className={classes.json} aria-expanded={open} onClick={() => setOpen(!open)}>{open ? json : <Marked text={line.text} mark={mark} />}</UnstyledButton>
          ) : (
            <Marked text={line.text} mark={mark} />
          )}
        </span>
      </div>
    );
  },
  (a, b) => a.line === b.line && a.mark === b.mark && a.date === b.date,
);

/** A line that is a JSON object or list, over several lines; undefined for any other. */
export function pretty(text: string): string | undefined {
  return /^\s*[[{]/.test(text) ? overLines(text) : undefined;
}

/** The places of a text where something is found, in capitals or not. */
export function split(text: string, mark: string | undefined): { text: string; found: boolean }[] {
  if (!mark) return [{ text, found: false }];
  const out: { text: string; found: boolean }[] = [];
  const low = text.toLowerCase();
  const wanted = mark.toLowerCase();
  // Some letters change their length when they are made small.
  if (low.length !== text.length) return [{ text, found: false }];
  let done = 0;
  for (let at = low.indexOf(wanted); at >= 0; at = low.indexOf(wanted, done)) {
    if (at > done) out.push({ text: text.slice(done, at), found: false });
    out.push({ text: text.slice(at, at + wanted.length), found: true });
    done = at + wanted.length;
  }
  if (done < text.length) out.push({ text: text.slice(done), found: false });
  return out;
}

function Marked({ text, mark }: { text: string; mark: string | undefined }) {
  return <>{split(text, mark).map((part, i) => (part.found ? <mark key={i} className={classes.mark}>{part.text}</mark> : part.text))}</>;
}

import { useMemo, type ReactNode } from "react";

import classes from "./Bars.module.css";
import rows from "./rows.module.css";
import { logTicks, logarithmic, linear, ticks } from "./scale";

export interface Bar {
  key: string;
  label: ReactNode;
  color: string;
  value: number;
  /** Ends of the thin line beside the value: a percentile, or an interval. */
  low?: number | undefined;
  high?: number | undefined;
  /** What is written at its end. */
  text: string;
  /** What is written behind that, smaller. */
  note?: string | undefined;
}

export interface BarGroup {
  key: string;
  label: ReactNode;
  bars: Bar[];
}

interface Props {
  label: string;
  groups: BarGroup[];
  format: (value: number) => string;
  /** Sizes have round values of their own. */
  bytes?: boolean;
  /** By the logarithm, where values differ by more than a hundred times. */
  log?: boolean;
  /** A line across all, such as "as fast as without". */
  reference?: { value: number; label: string };
}

/** Values of several things beside each other, by groups. Every value is written too. */
export function Bars({ label, groups, format, bytes, log, reference }: Props) {
  const { place, marks } = useMemo(() => axis(groups, log ?? false, bytes ?? false, reference?.value), [groups, log, bytes, reference?.value]);
  return (
    <div className={rows.root} role="table" aria-label={label}>
      {groups.map((group) => (
        <div key={group.key} role="rowgroup" className={classes.group}>
          {group.label !== "" && <div className={classes.head} role="row"><span role="rowheader">{group.label}</span></div>}
          {group.bars.map((bar) => (
            <div key={bar.key} role="row" className={classes.row}>
              <span role="rowheader" className={`${rows.name} ${classes.name}`}><i style={{ background: bar.color }} />{bar.label}</span>
              <span className={`${rows.track} ${classes.track}`} role="cell" aria-hidden="true">
                {marks.map((mark) => <b key={mark} style={{ left: `${place(mark)}%` }} />)}
                {reference && <b className={classes.reference} style={{ left: `${place(reference.value)}%` }} />}
                <span className={`${rows.bar} ${classes.bar}`} style={{ width: `${place(bar.value)}%`, background: bar.color }} />
                {bar.high !== undefined && <span className={classes.whisker} style={{ left: `${place(bar.low ?? bar.value)}%`, width: `${Math.max(0, place(bar.high) - place(bar.low ?? bar.value))}%` }} />}
              </span>
              <span role="cell" className={classes.text}>{bar.text}{bar.note && <small>{bar.note}</small>}</span>
            </div>
          ))}
        </div>
      ))}
      <div className={classes.row} aria-hidden="true">
        <span />
        <span className={`${rows.axis} ${classes.axis}`}>{marks.map((mark) => <span key={mark} style={{ left: `${place(mark)}%` }}>{mark === 0 ? "0" : format(mark)}</span>)}</span>
        <span />
      </div>
    </div>
  );
}

/** Where values are, in percent of the width, and the round ones among them. */
function axis(groups: BarGroup[], log: boolean, bytes: boolean, reference: number | undefined) {
  const values = groups.flatMap((group) => group.bars.flatMap((bar) => [bar.value, bar.high ?? bar.value])).filter((value) => value > 0);
  const max = Math.max(reference ?? 0, ...values, 0) || 1;
  if (!log) {
    const marks = ticks(max, 3, bytes ? 1024 : 10);
    const scale = linear(0, marks.at(-1) ?? 1, 0, 100);
    return { place: scale, marks };
  }
  const min = 10 ** Math.floor(Math.log10(Math.min(...values, max)) - 0.2);
  const top = 10 ** Math.ceil(Math.log10(max));
  return { place: logarithmic(min, top, 0, 100), marks: logTicks(min, top) };
}

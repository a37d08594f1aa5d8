import type { ReactNode } from "react";

import classes from "./Meter.module.css";

interface Part {
  label: string;
  value: number;
  color: string;
}

interface Props {
  label: string;
  /** What is written at the right: "3.2 of 8 GiB". */
  text: ReactNode;
  parts: Part[];
  total: number;
  /** A mark at a place of the bar, such as a budget. */
  mark?: { value: number; label: string } | undefined;
  format: (value: number) => string;
}

/** How much of something is taken, and by what. */
export function Meter({ label, text, parts, total, mark, format }: Props) {
  const part = (value: number) => `${Math.max(0, Math.min(100, total > 0 ? (value / total) * 100 : 0)).toFixed(2)}%`;
  return (
    <div>
      <div className={classes.head}>
        <span>{label}</span>
        <span className={classes.text}>{text}</span>
      </div>
      <div className={classes.bar} role="img" aria-label={`${label}: ${parts.map((p) => `${p.label} ${format(p.value)}`).join(", ")}, of ${format(total)}`}>
        {parts.map((p) => (
          <span key={p.label} style={{ width: part(p.value), background: p.color }} />
        ))}
        {mark && mark.value < total && <i className={classes.mark} style={{ left: part(mark.value) }} />}
      </div>
      <div className={classes.legend}>
        {parts.map((p) => (
          <span key={p.label} className={classes.entry}>
            <span className={classes.dot} style={{ background: p.color }} />
            {p.label} <b>{format(p.value)}</b>
          </span>
        ))}
        {mark && (
          <span className={classes.entry}>
            <span className={classes.tick} />
            {mark.label} <b>{format(mark.value)}</b>
          </span>
        )}
      </div>
    </div>
  );
}

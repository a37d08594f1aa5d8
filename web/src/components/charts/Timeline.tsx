import { Tooltip } from "@mantine/core";

import { formatDuration, formatShare } from "@/components/format";

import type { Phase } from "./phases";
import { durationTicks } from "./scale";
import rows from "./rows.module.css";
import classes from "./Timeline.module.css";

/** The phases of one invocation, each where it began and as long as it took. */
export function Timeline({ phases, total }: { phases: Phase[]; total: number }) {
  const marks = durationTicks(total, 5).filter((mark) => mark <= total);
  const place = (ns: number) => `${((ns / Math.max(1, total)) * 100).toFixed(3)}%`;
  return (
    <div className={rows.root} role="table" aria-label="Phases of the invocation">
      <div className={classes.axis} aria-hidden="true">
        <span />
        <div className={rows.axis}>
          {marks.map((mark) => (
            <span key={mark} style={{ left: place(mark) }}>{mark === 0 ? "0" : formatDuration(mark)}</span>
          ))}
        </div>
        <span />
      </div>
      {phases.map((phase) => (
        <div key={phase.key} role="row" className={classes.row} data-none={phase.length === 0 || undefined}>
          <Tooltip label={phase.help} position="top-start">
            <span role="rowheader" className={`${rows.name} ${classes.name}`}><i style={{ background: phase.color }} />{phase.label}</span>
          </Tooltip>
          <div className={rows.track} role="cell" aria-label={phase.length === 0 ? "did not happen" : `began after ${formatDuration(phase.begin)}`}>
            {marks.map((mark) => <b key={mark} style={{ left: place(mark) }} />)}
            {phase.length > 0 && (
              <Tooltip label={`${formatDuration(phase.begin)} to ${formatDuration(phase.begin + phase.length)}, ${formatShare(phase.length / total)} of the time`}>
                <span className={`${rows.bar} ${classes.bar}`} style={{ left: place(phase.begin), width: place(phase.length), background: phase.color }} />
              </Tooltip>
            )}
          </div>
          <span role="cell" className={classes.took}>{phase.length === 0 ? "–" : formatDuration(phase.length)}</span>
        </div>
      ))}
      <div role="row" className={classes.total}>
        <span role="rowheader">Total</span>
        <span role="cell" />
        <span role="cell" className={classes.took}>{formatDuration(total)}</span>
      </div>
    </div>
  );
}

/** The same in a line of a table. */
export function MiniTimeline({ phases, total, scale }: { phases: Phase[]; total: number; scale: number }) {
  const text = phases.filter((phase) => phase.length > 0).map((phase) => `${phase.label} ${formatDuration(phase.length)}`).join(", ");
  return (
    <span className={classes.mini} role="img" aria-label={text} title={text}>
      <span className={classes.miniBar} style={{ width: `${Math.max(1.5, Math.min(100, (total / Math.max(1, scale)) * 100)).toFixed(2)}%` }}>
        {phases.map((phase) => phase.length > 0 && <i key={phase.key} style={{ flexGrow: phase.length, background: phase.color }} />)}
      </span>
    </span>
  );
}

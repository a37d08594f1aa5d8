import { Tooltip } from "@mantine/core";

import { outcomes, startClasses, wordFor } from "@/lib/words";

import classes from "./Outcome.module.css";

/** How an invocation ended, in a word; its colour only underlines it. */
export function Outcome({ outcome, type }: { outcome: string; type?: string | undefined }) {
  const word = wordFor(outcomes, outcome);
  return (
    <Tooltip label={word.help} disabled={word.help === ""}>
      <span className={classes.root} data-ok={outcome === "ok" || undefined}>
        <span className={classes.dot} style={{ background: word.color }} />
        {type ? type : word.label}
      </span>
    </Tooltip>
  );
}

/** How the instance of an invocation was got. */
export function StartClass({ start }: { start: string | undefined }) {
  const word = wordFor(startClasses, start ?? "none");
  return (
    <Tooltip label={word.help} disabled={word.help === ""}>
      <span className={classes.root} data-ok>
        <span className={classes.square} style={{ background: word.color }} />
        {start === undefined ? "–" : word.label.toLowerCase()}
      </span>
    </Tooltip>
  );
}

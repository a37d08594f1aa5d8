import { Skeleton, Tooltip } from "@mantine/core";
import type { ReactNode } from "react";

import classes from "./Stat.module.css";

interface Props {
  label: string;
  /** What the figure is, in a sentence. */
  help?: string;
  /** Absent while it is loaded. */
  value: ReactNode | undefined;
  /** A line beneath it. */
  note?: ReactNode;
  tone?: "bad" | "warn" | undefined;
  children?: ReactNode;
}

/** One figure with what it is. Its height does not depend on what it shows. */
export function Stat({ label, help, value, note, tone, children }: Props) {
  const title = <div className={classes.label}>{label}</div>;
  return (
    <div className={classes.root}>
      {help ? <Tooltip label={help} multiline maw={260} position="top-start">{title}</Tooltip> : title}
      <div className={classes.value} data-tone={tone}>
        {value === undefined ? <Skeleton height={22} width={72} my={5} /> : value}
      </div>
      <div className={classes.note}>{value === undefined ? "\u00a0" : (note ?? "\u00a0")}</div>
      {children}
    </div>
  );
}

/** Figures side by side, as many as fit. */
export function Stats({ children }: { children: ReactNode }) {
  return <div className={classes.row}>{children}</div>;
}

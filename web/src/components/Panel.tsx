import type { ReactNode } from "react";
import { useId } from "react";

import classes from "./Panel.module.css";

interface Props {
  title: string;
  note?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
  /** Lets what is inside reach the edges, for tables. */
  flush?: boolean;
}

/** A titled part of a page. */
export function Panel({ title, note, actions, children, flush }: Props) {
  const id = useId();
  return (
    <section className={classes.root} aria-labelledby={id}>
      <div className={classes.head}>
        <div className={classes.words}>
          <h2 id={id} className={classes.title}>{title}</h2>
          {note !== undefined && <div className={classes.note}>{note}</div>}
        </div>
        {actions}
      </div>
      <div className={flush ? classes.flush : classes.body}>{children}</div>
    </section>
  );
}

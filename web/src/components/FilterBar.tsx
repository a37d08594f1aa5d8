import type { ReactNode } from "react";

import classes from "./FilterBar.module.css";
import { RangeBar } from "./RangeBar";

/** Across the whole bar in a narrow window. */
export const wholeRow = classes.whole;
/** For a button of an icon, which is not as wide as its place. */
export const asItIs = classes.asItIs;

/** What a page shows, chosen side by side, in two columns in a narrow window; with the page's range of time where it has none above. */
export function FilterBar({ range, children }: { range: boolean; children: ReactNode }) {
  return (
    <div className={classes.bar}>
      <div className={classes.filters}>{children}</div>
      {range && <RangeBar />}
    </div>
  );
}

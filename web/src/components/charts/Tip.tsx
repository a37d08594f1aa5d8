import { useLayoutEffect, useRef, type ReactNode } from "react";
import styles from "./chart.module.css";

export interface TipRow {
  key: string;
  label: string;
  value: string;
  color?: string;
}

interface Props {
  /** Where it points to, and the width that it has to stay within. */
  x: number;
  width: number;
  title: string;
  rows: TipRow[];
  children?: ReactNode;
}

/** What stands beside the pointer; it never leaves its chart. */
export function Tip({ x, width, title, rows, children }: Props) {
  const ref = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) return;
    const own = element.offsetWidth;
    const right = x + 14;
    const left = right + own <= width ? right : x - 14 - own;
    element.style.transform = `translate(${Math.round(Math.max(0, Math.min(left, width - own)))}px, 4px)`;
  });
  return (
    <div ref={ref} className={styles.tip} aria-hidden="true">
      <div className={styles.tipTime}>{title}</div>
      {rows.map((row) => (
        <div key={row.key} className={styles.tipRow}>
          {row.color && <span className={styles.swatch} style={{ background: row.color }} />}
          <span>{row.label}</span>
          <span className={styles.tipValue}>{row.value}</span>
        </div>
      ))}
      {children}
    </div>
  );
}

import { useMemo } from "react";
import styles from "./chart.module.css";
import { bandPath, linear, linePath } from "./scale";

interface Props {
  values: number[];
  /** Drawn over it in the colour of errors. */
  errors?: number[];
  label: string;
  width?: number;
  height?: number;
}

/** The shape of a series in a line of text, without axes. */
export function Sparkline({ values, errors, label, width = 120, height = 28 }: Props) {
  const paths = useMemo(() => {
    const max = Math.max(...values, 0);
    const y = linear(0, max || 1, height - 1.5, 2);
    const x = linear(0, Math.max(1, values.length - 1), 0, width);
    const xs = values.map((_, i) => x(i));
    const ys = values.map(y);
    const bad = errors?.some((value) => value > 0) ? errors.map(y) : null;
    return { line: linePath(xs, ys), area: bandPath(xs, values.map(() => height), ys), bad: bad && bandPath(xs, values.map(() => height), bad) };
  }, [values, errors, width, height]);
  return (
    <svg className={styles.spark} viewBox={`0 0 ${width} ${height}`} style={{ height }} preserveAspectRatio="none" role="img" aria-label={label}>
      <path d={paths.area} style={{ fill: "var(--chart-band)" }} />
      {paths.bad && <path d={paths.bad} style={{ fill: "var(--chart-function)" }} opacity={0.75} />}
      <path d={paths.line} fill="none" strokeWidth={1.5} vectorEffect="non-scaling-stroke" strokeLinejoin="round" style={{ stroke: "var(--chart-ok)" }} />
    </svg>
  );
}

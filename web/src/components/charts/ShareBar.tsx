import { Tooltip } from "@mantine/core";
import { formatCount, formatShare } from "@/components/format";
import styles from "./chart.module.css";

export interface Share {
  key: string;
  label: string;
  value: number;
  color: string;
}

interface Props {
  label: string;
  shares: Share[];
  height?: number;
  /** What all of it is, where the shares are not all: the rest stays empty. */
  total?: number;
  format?: (value: number) => string;
}

/** Parts of a whole as one bar. */
export function ShareBar({ label, shares, height = 10, total, format = formatCount }: Props) {
  const sum = total ?? shares.reduce((all, share) => all + share.value, 0);
  const text = shares.filter((share) => share.value > 0).map((share) => `${share.label} ${format(share.value)}`).join(", ");
  return (
    <div className={styles.share} style={{ height }} role="img" aria-label={`${label}: ${text || "nothing"}`}>
      {sum > 0 && shares.map((share) => share.value > 0 && (
        <Tooltip key={share.key} label={`${share.label}: ${format(share.value)} (${formatShare(share.value / sum)})`}>
          <span style={{ width: `max(2px, ${(Math.min(1, share.value / sum) * 100).toFixed(2)}%)`, background: share.color }} />
        </Tooltip>
      ))}
    </div>
  );
}

import { ActionIcon, Button, Skeleton, Table, Tooltip } from "@mantine/core";
import { IconChartLine, IconTable } from "@tabler/icons-react";
import { useId, useState, type ReactNode } from "react";

import { asApiError } from "@/api/problem";
import panel from "../Panel.module.css";
import styles from "./chart.module.css";

export interface TableData {
  columns: string[];
  rows: string[][];
}

interface Props {
  title: string;
  note?: ReactNode;
  legend?: ReactNode;
  /** The same as a table, for those who cannot see the chart or want the figures. */
  table?: (() => TableData) | undefined;
  height?: number;
  loading?: boolean;
  error?: unknown;
  onRetry?: () => void;
  /** What is said where there is nothing to draw. */
  empty?: string | false | undefined;
  children: ReactNode;
}

/** The frame of a chart: its title, legend, the same as a table, and what is said while there is none. */
export function ChartCard({ title, note, legend, table, height = 190, loading, error, onRetry, empty, children }: Props) {
  const [asTable, setAsTable] = useState(false);
  const id = useId();
  const ready = !loading && !error;
  return (
    <section className={`${panel.root} ${styles.card}`} aria-labelledby={id} aria-busy={loading}>
      <div className={styles.head}>
        <div>
          <h3 id={id} className={panel.title}>{title}</h3>
          {note && <div className={panel.note}>{note}</div>}
        </div>
        {table && (
          <Tooltip label={asTable ? "Show as a chart" : "Show as a table"}>
            <ActionIcon variant="subtle" color="gray" aria-label={asTable ? `Show ${title} as a chart` : `Show ${title} as a table`} aria-pressed={asTable} onClick={() => setAsTable(!asTable)} disabled={!ready}>
              {asTable ? <IconChartLine size={16} /> : <IconTable size={16} />}
            </ActionIcon>
          </Tooltip>
        )}
      </div>
      {legend}
      <div style={{ position: "relative", height }}>
        {loading && <Skeleton height={height - 10} radius="sm" />}
        {Boolean(error) && (
          <div className={styles.over} style={{ pointerEvents: "auto", flexDirection: "column", gap: 8 }} role="alert">
            <span>{asApiError(error).detail || asApiError(error).title}</span>
            {onRetry && <Button size="compact-xs" variant="default" onClick={onRetry}>Try again</Button>}
          </div>
        )}
        {ready && asTable && table && <DataTable {...table()} label={title} height={height} />}
        {ready && !asTable && children}
        {ready && !asTable && empty && <div className={styles.over}>{empty}</div>}
      </div>
    </section>
  );
}

function DataTable({ columns, rows, label, height }: TableData & { label: string; height: number }) {
  return (
    <div className={styles.table} style={{ height }} tabIndex={0} role="region" aria-label={`${label}, as a table`}>
      <Table stickyHeader fz="xs" verticalSpacing={3} aria-label={label}>
        <Table.Thead>
          <Table.Tr>{columns.map((column) => <Table.Th key={column}>{column}</Table.Th>)}</Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {rows.map((row) => <Table.Tr key={row[0]}>{row.map((cell, i) => <Table.Td key={columns[i]}>{cell}</Table.Td>)}</Table.Tr>)}
        </Table.Tbody>
      </Table>
    </div>
  );
}

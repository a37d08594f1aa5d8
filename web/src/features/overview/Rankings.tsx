import { Skeleton } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { MetricsGroup } from "@/api/gen";
import { useTotals, type AskedRange } from "@/api/metrics";
import { formatCount, formatDuration, formatShare } from "@/components/format";
import { Panel } from "@/components/Panel";
import { ErrorState } from "@/components/states";
import grid from "@/components/grid.module.css";
import { ranked } from "./rank";
import classes from "./Rankings.module.css";

const shown = 5;

/** The busiest, slowest and most failing functions. */
export function Rankings({ range }: { range: AskedRange }) {
  const totals = useTotals({ group_by: "function" }, range);
  if (totals.error && !totals.data) return <ErrorState error={totals.error} retry={() => void totals.refetch()} />;
  const groups = totals.data?.groups;
  return (
    <div className={grid.three}>
      <Ranking title="Busiest functions" groups={groups} by={(g) => g.total.invocations} none="Nothing was called in this time"
        figure={(g) => formatCount(g.total.invocations)} detail={() => "calls"} color="var(--chart-ok)" />
      <Ranking title="Slowest functions" groups={groups} by={(g) => g.total.latency?.p99_ns ?? 0} none="Nothing was called in this time"
        figure={(g) => formatDuration(g.total.latency?.p99_ns)} detail={(g) => `p99, half within ${formatDuration(g.total.latency?.p50_ns)}`} color="var(--chart-p90)" />
      <Ranking title="Most failing functions" groups={groups} by={(g) => g.total.errors} none="Nothing failed in this time"
        figure={(g) => formatCount(g.total.errors)} detail={(g) => `errors, ${formatShare(g.total.errors / g.total.invocations)} of its calls`} color="var(--chart-function)" />
    </div>
  );
}

interface Props {
  title: string;
  groups: MetricsGroup[] | undefined;
  by: (group: MetricsGroup) => number;
  figure: (group: MetricsGroup) => string;
  detail: (group: MetricsGroup) => string;
  none: string;
  color: string;
}

function Ranking({ title, groups, by, figure, detail, none, color }: Props) {
  const rows = groups && ranked(groups, by, shown);
  const most = rows?.[0] ? by(rows[0]) : 1;
  let body: ReactNode;
  if (!rows) body = Array.from({ length: shown }, (_, i) => <Skeleton key={i} height={30} my={5} />);
  else if (rows.length === 0) body = <div className={classes.none}>{none}</div>;
  else body = rows.map((group) => (
    <Link key={group.function} to="/functions/$name" params={{ name: group.function ?? "" }} search={keepRange as never} className={classes.row}>
      <span className={classes.name}>{group.function}</span>
      <span className={classes.figure}>{figure(group)}</span>
      <span className={classes.detail}>{detail(group)}</span>
      <span className={classes.bar} aria-hidden="true"><i style={{ width: `${Math.max(1, (by(group) / most) * 100)}%`, background: color }} /></span>
    </Link>
  ));
  return <Panel title={title}><div className={classes.rows}>{body}</div></Panel>;
}

/** The range of time goes along to the function's page. */
function keepRange({ range, from, to }: { range?: string; from?: string; to?: string }) {
  return { ...(range !== undefined && { range }), ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

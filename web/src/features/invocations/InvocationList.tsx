import { Anchor, Button, Group, Paper, Table, Text } from "@mantine/core";
import { IconActivity, IconArrowLeft, IconArrowRight } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";

import type { Invocation } from "@/api/gen";
import { listInvocationsOptions } from "@/api/gen/@tanstack/react-query.gen";
import { rangeParameters, useLiveMetrics } from "@/api/metrics";
import { MiniTimeline, layOut } from "@/components/charts";
import { formatDuration, formatTime } from "@/components/format";
import { Outcome, StartClass } from "@/components/Outcome";
import { useSetSearch } from "@/components/RangeBar";
import { EmptyState, ErrorState, LoadingRows } from "@/components/states";
import { useTimeRange } from "@/components/timeRange";
import { day, formatDay } from "@/lib/time";
import { phases } from "@/lib/words";

import { Filters } from "./Filters";
import classes from "./InvocationList.module.css";
import type { InvocationsSearch } from "./search";

const perPage = 50;

/** A table of invocations, of one function or of all, page by page. */
export function InvocationList({ search, fn }: { search: InvocationsSearch; fn?: string }) {
  const [range] = useTimeRange();
  const { range: _range, from: _from, to: _to, ...filters } = search;
  const live = range.live && search.before === undefined;
  useLiveMetrics(live, fn);
  const list = useQuery({
    ...listInvocationsOptions({ query: { ...filters, ...(fn !== undefined && { function: fn }), ...rangeParameters(range), limit: perPage } }),
    refetchInterval: live ? 15_000 : false,
    placeholderData: keepPreviousData,
  });
  const items = list.data?.items;
  return (
    <>
      <Filters search={search} fixed={fn !== undefined} />
      {list.error && !items && <ErrorState error={list.error} retry={() => void list.refetch()} />}
      {!list.error && !items && <Paper><LoadingRows rows={12} height={40} /></Paper>}
      {items?.length === 0 && <Nothing filtered={Object.keys(filters).length > 0} />}
      {items && items.length > 0 && (
        <Paper style={{ overflow: "hidden", opacity: list.isPlaceholderData ? 0.6 : 1 }}>
          <Rows items={items} all={fn === undefined} days={range.length > day} />
        </Paper>
      )}
      <Pages before={search.before} next={list.data?.next} shown={items?.length ?? 0} />
    </>
  );
}

function Nothing({ filtered }: { filtered: boolean }) {
  return (
    <EmptyState icon={<IconActivity size={22} />} title={filtered ? "Nothing matches" : "No invocations in this time"}>
      {filtered ? "No invocation in this time passes all filters." : "Records appear here as soon as a function is called. Choose a longer time to look further back."}
    </EmptyState>
  );
}

function Rows({ items, all, days }: { items: Invocation[]; all: boolean; days: boolean }) {
  const slowest = Math.max(...items.map((one) => one.timings.total_ns));
  const navigate = useNavigate();
  return (
    <Table.ScrollContainer minWidth={0} type="native" tabIndex={0}>
      <Table highlightOnHover verticalSpacing={7} horizontalSpacing="md" className={classes.table} data-all={all || undefined}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Began</Table.Th>
            {all && <Table.Th>Function</Table.Th>}
            <Table.Th>Outcome</Table.Th>
            <Table.Th className={classes.request}>Request</Table.Th>
            <Table.Th className={classes.start}>Start</Table.Th>
            <Table.Th ta="right">Took</Table.Th>
            <Table.Th className={classes.phases}>Phases</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {items.map((one) => (
            <Table.Tr key={one.id} className={classes.row} onClick={(event) => { if (!(event.target as Element).closest("a")) void navigate({ to: "/invocations/$id", params: { id: one.id } }); }}>
              <Table.Td className="num" style={{ whiteSpace: "nowrap" }}>
                <Anchor size="sm" renderRoot={(props) => <Link to="/invocations/$id" params={{ id: one.id }} {...props} />} title={formatTime(one.time, { ms: true })}>{days && `${formatDay(Date.parse(one.time))} `}{formatTime(one.time, { ms: !days, date: false })}</Anchor>
              </Table.Td>
              {all && <Table.Td style={{ whiteSpace: "nowrap" }}><Anchor c="inherit" size="sm" fw={550} renderRoot={(props) => <Link to="/functions/$name" params={{ name: one.function }} {...props} />}>{one.function}</Anchor> <Text span size="xs" c="var(--cove-muted)" visibleFrom="xs">v{one.version}</Text></Table.Td>}
              <Table.Td><Outcome outcome={one.outcome} type={one.error_type} /></Table.Td>
              <Table.Td className={classes.request}><Request invocation={one} /></Table.Td>
              <Table.Td className={classes.start}><StartClass start={one.start} /></Table.Td>
              <Table.Td ta="right" className="num" style={{ whiteSpace: "nowrap" }}>{formatDuration(one.timings.total_ns)}</Table.Td>
              <Table.Td className={classes.phases}><MiniTimeline phases={phasesOf(one)} total={one.timings.total_ns} scale={slowest} /></Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function Request({ invocation: { method, path, status, error } }: { invocation: Invocation }) {
  if (error) return <div className="truncate" title={error}>{error}</div>;
  if (!path) return <Text span size="sm" c="var(--cove-muted)">direct</Text>;
  return <div className="truncate" title={`${method} ${path}`}><span className={classes.method}>{method}</span> {path}{status ? <Text span size="xs" c="var(--cove-muted)"> {status}</Text> : null}</div>;
}

/** The phases of an invocation, as a time line has them. */
export function phasesOf({ timings }: Pick<Invocation, "timings">) {
  const { queue_ns, start_ns, init_ns, run_ns, total_ns } = timings;
  return layOut(phases, { queue: queue_ns, start: start_ns, init: init_ns, run: run_ns }, total_ns);
}

function Pages({ before, next, shown }: { before: string | undefined; next: string | undefined; shown: number }) {
  const set = useSetSearch<InvocationsSearch>();
  const navigate = useNavigate();
  if (before === undefined && next === undefined) return shown > 0 ? <Text size="xs" c="var(--cove-muted)" ta="center">That is all of them.</Text> : null;
  // Older pages are steps of the browser's history, so that back goes back.
  const older = () => void navigate({ to: ".", search: ((previous: Record<string, unknown>) => ({ ...previous, before: next })) as never });
  return (
    <Group justify="center" gap="xs">
      <Button variant="default" size="xs" leftSection={<IconArrowLeft size={14} />} disabled={before === undefined} onClick={() => set({ before: undefined })}>Newest</Button>
      <Button variant="default" size="xs" rightSection={<IconArrowRight size={14} />} disabled={next === undefined} onClick={older}>Older</Button>
    </Group>
  );
}

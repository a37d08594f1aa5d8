import { Anchor, Breadcrumbs, Button, CopyButton, Group, Text } from "@mantine/core";
import { IconCheck, IconCopy } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { InvocationDetail } from "@/api/gen";
import { getInvocationOptions } from "@/api/gen/@tanstack/react-query.gen";
import { asApiError } from "@/api/problem";
import { Timeline } from "@/components/charts";
import { formatBytes, formatDuration, formatMoney, formatTime } from "@/components/format";
import grid from "@/components/grid.module.css";
import { LogLines } from "@/components/LogLines";
import { Outcome, StartClass } from "@/components/Outcome";
import { PageHeader } from "@/components/PageHeader";
import { Panel } from "@/components/Panel";
import { ErrorState, LoadingBox } from "@/components/states";
import { faults, outcomes, wordFor } from "@/lib/words";

import classes from "./InvocationPage.module.css";
import { phasesOf } from "./InvocationList";

/** One invocation: its phases, its error, its request and its log. */
export function InvocationPage() {
  const id = useParams({ strict: false }).id ?? "";
  const query = useQuery({
    ...getInvocationOptions({ path: { id } }),
    // One that has just ended is written within a second.
    retry: (count, error) => count < 2 && (asApiError(error).status === 404 || asApiError(error).status >= 500),
    retryDelay: 600,
  });
  const one = query.data;
  return (
    <div className={grid.page}>
      <PageHeader
        title={one ? `${one.function}: ${wordFor(outcomes, one.outcome).label.toLowerCase()}` : "Invocation"}
        lead={<Breadcrumbs separatorMargin={6} fz="sm">
          <Anchor size="sm" renderRoot={(props) => <Link to="/invocations" {...props} />}>Invocations</Anchor>
          <Text size="sm" className="mono truncate" maw={330}>{id}</Text>
        </Breadcrumbs>}
        actions={<Actions id={id} one={one} />}
      />
      {query.error && !one && <ErrorState error={query.error} retry={() => void query.refetch()} />}
      {!one && !query.error && <><LoadingBox height={250} /><LoadingBox height={220} /></>}
      {one && <Detail one={one} />}
    </div>
  );
}

function Actions({ id, one }: { id: string; one: InvocationDetail | undefined }) {
  return (
    <>
      <CopyButton value={id}>
        {({ copied, copy }) => <Button variant="default" size="xs" leftSection={copied ? <IconCheck size={14} /> : <IconCopy size={14} />} onClick={copy}>{copied ? "Copied" : "Copy id"}</Button>}
      </CopyButton>
      {one && <Button size="xs" variant="default" renderRoot={(props) => <Link to="/functions/$name" params={{ name: one.function }} {...props} />}>Open function</Button>}
    </>
  );
}

function Detail({ one }: { one: InvocationDetail }) {
  return (
    <>
      {one.outcome !== "ok" && <Failure one={one} />}
      <div className={grid.wide}>
        <Panel title="Timeline" note={`Began ${formatTime(one.time, { ms: true })}`}><Timeline phases={phasesOf(one)} total={one.timings.total_ns} /></Panel>
        <Panel title="Used"><Facts facts={used(one)} /></Panel>
      </div>
      <Panel title="Request"><Facts facts={request(one)} columns /></Panel>
      <Panel title="Log" note={one.logs.length > 0 ? `${one.logs.length} ${one.logs.length === 1 ? "line" : "lines"}` : undefined} flush
        actions={<Anchor size="xs" renderRoot={(props) => <Link to="/functions/$name/logs" params={{ name: one.function }} search={{ request_id: one.id }} {...props} />}>In the function's log</Anchor>}>
        {one.logs.length === 0 ? <Text size="sm" c="var(--cove-muted)" ta="center" py={28}>It printed nothing, or its lines are kept no more.</Text> : <LogLines lines={one.logs} />}
      </Panel>
    </>
  );
}

function Failure({ one }: { one: InvocationDetail }) {
  const fault = wordFor(faults, one.fault);
  return (
    <section className={classes.failure} aria-label="Error">
      <Group gap="sm" mb={6}>
        <Outcome outcome={one.outcome} />
        {one.error_type && <code className={classes.type}>{one.error_type}</code>}
        {one.fault && <Text size="xs" c="var(--cove-muted)">fault of the {fault.label.toLowerCase()}: {fault.help}</Text>}
      </Group>
      <pre className={classes.message}>{one.error ?? wordFor(outcomes, one.outcome).help}</pre>
    </section>
  );
}

type Fact = [name: string, value: ReactNode];

function used(one: InvocationDetail): Fact[] {
  return [
    ["Processor time", formatDuration(one.cpu_ns)],
    ["Most memory", formatBytes(one.peak_memory)],
    ["Billed", formatDuration(one.billed_ns)],
    ["Cost", formatMoney(one.cost.total, one.cost.currency)],
    ["Payload in", formatBytes(one.bytes_in)],
    ["Answer out", formatBytes(one.bytes_out)],
  ];
}

function request(one: InvocationDetail): Fact[] {
  const facts: Fact[] = [
    ["Came in", one.kind === "http" ? "through its route" : "through the API"],
    ["Request", one.path ? <code key="path">{one.method} {one.path}</code> : undefined],
    ["Status", one.status ? String(one.status) : undefined],
    ["Function", <Anchor key="fn" size="sm" renderRoot={(props) => <Link to="/functions/$name" params={{ name: one.function }} {...props} />}>{one.function}</Anchor>],
    ["Version", `v${one.version}`],
    ["Isolation", one.isolation],
    ["Start class", <StartClass key="start" start={one.start} />],
    ["Instance", one.instance && <Anchor key="instance" size="sm" className="mono" renderRoot={(props) => <Link to="/invocations" search={{ instance: one.instance ?? "" }} {...props} />}>{one.instance}</Anchor>],
    ["Trace", one.trace && <code key="trace">{one.trace}</code>],
  ];
  return facts.filter(([, value]) => value !== undefined && value !== "");
}

function Facts({ facts, columns }: { facts: Fact[]; columns?: boolean }) {
  return (
    <dl className={columns ? classes.columns : classes.facts}>
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

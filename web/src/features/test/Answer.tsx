import { Anchor, Loader, Table, Tabs, Text } from "@mantine/core";
import { IconFlask } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useState, type ReactNode } from "react";

import type { Invocation, LogLine, Result, RouteResult } from "@/api/gen";
import { Timeline, layOut } from "@/components/charts";
import { formatBytes, formatDuration } from "@/components/format";
import { LogLines } from "@/components/LogLines";
import { Outcome, StartClass } from "@/components/Outcome";
import { EmptyState, ErrorState } from "@/components/states";
import { phases } from "@/lib/words";

import classes from "./Answer.module.css";
import { tidy } from "./request";

export type Answered = { kind: "event"; result: Result; answer: string } | { kind: "http"; result: RouteResult };

interface Props {
  answered: Answered | undefined;
  error: unknown;
  pending: boolean;
}

/** What came back: the answer as text, never as a document; its times, its log, its record. */
export function Answer({ answered, error, pending }: Props) {
  return (
    <section className={classes.root} aria-label="Answer" aria-busy={pending} aria-live="polite">
      {pending && <div className={classes.wait}><Loader size="sm" /><Text size="sm" c="var(--cove-muted)">Running…</Text></div>}
      {!pending && Boolean(error) && <div className={classes.pad}><ErrorState error={error} /></div>}
      {!pending && !error && !answered && <EmptyState bare icon={<IconFlask size={22} />} title="Nothing was called yet">The answer, where its time went and what it printed appear here.</EmptyState>}
      {!pending && !error && answered && <Answers answered={answered} />}
    </section>
  );
}

function Answers({ answered }: { answered: Answered }) {
  const [tab, setTab] = useState<string | null>("answer");
  const { result } = answered;
  const record = result.invocation;
  const tabs: [string, string, ReactNode][] = [
    ["answer", "Answer", answered.kind === "event" ? <EventAnswer result={answered.result} answer={answered.answer} /> : <Body result={answered.result} />],
    ...(answered.kind === "http" ? [["headers", "Headers", <Headers key="headers" headers={answered.result.headers} />] as [string, string, ReactNode]] : []),
    ["log", `Log (${result.logs.length})`, <Log key="log" logs={result.logs} />],
    ["time", "Timings", record ? <Timings key="time" record={record} /> : <Text size="sm" c="var(--cove-muted)">No function was called.</Text>],
  ];
  const shown = tabs.some(([value]) => value === tab) ? tab : "answer";
  return (
    <>
      <Head answered={answered} />
      <Tabs value={shown} onChange={setTab}>
        <Tabs.List px="md">{tabs.map(([value, label]) => <Tabs.Tab key={value} value={value}>{label}</Tabs.Tab>)}</Tabs.List>
        {tabs.map(([value, , body]) => <Tabs.Panel key={value} value={value} className={value === "log" ? classes.flush : classes.pad}>{body}</Tabs.Panel>)}
      </Tabs>
    </>
  );
}

function Head({ answered }: { answered: Answered }) {
  const { result } = answered;
  const record = result.invocation;
  return (
    <div className={classes.head}>
      {answered.kind === "http" && <span className={classes.status} data-class={Math.floor(answered.result.status / 100)}>{answered.result.status}</span>}
      {record && <Outcome outcome={record.outcome} />}
      <span className="num">{formatDuration(record ? record.timings.total_ns : answered.kind === "http" ? answered.result.took_ns : undefined)}</span>
      {record && <StartClass start={record.start} />}
      <span className={classes.space} />
      <Anchor size="xs" className="mono" renderRoot={(props) => <Link to="/invocations/$id" params={{ id: result.request_id }} {...props} />}>…{result.request_id.slice(-8)}</Anchor>
    </div>
  );
}

function EventAnswer({ result, answer }: { result: Result; answer: string }) {
  if (result.error) {
    const stack = result.error.error?.stackTrace?.join("\n");
    return (
      <>
        <ErrorState error={result.error} compact />
        {stack && <pre className={`${classes.text} ${classes.stack}`} tabIndex={0} aria-label="Stack">{stack}</pre>}
      </>
    );
  }
  return <pre className={classes.text} tabIndex={0} aria-label="Answer as text">{answer}</pre>;
}

function Body({ result }: { result: RouteResult }) {
  return (
    <>
      {result.body_base64 && <Text size="xs" c="var(--cove-muted)" mb={6}>This is no text; it is shown in base64.</Text>}
      {result.body === "" ? <Text size="sm" c="var(--cove-muted)">The answer has no body.</Text> : <pre className={classes.text} tabIndex={0} aria-label="Body as text">{result.body_base64 ? result.body : tidy(result.body)}</pre>}
      {result.cut && <Text size="xs" c="var(--cove-warn)" mt={6}>There was more: it is cut at 1 MiB.</Text>}
      {result.broken && <Text size="xs" c="var(--cove-bad)" mt={6}>The answer broke off before its end.</Text>}
    </>
  );
}

function Headers({ headers }: { headers: RouteResult["headers"] }) {
  const rows = Object.entries(headers).sort(([a], [b]) => a.localeCompare(b)).flatMap(([name, values]) => (values ?? []).map((value) => [name, value] as const));
  return (
    <Table fz="sm" verticalSpacing={4}>
      <Table.Tbody>
        {rows.map(([name, value], i) => (
          <Table.Tr key={`${name} ${i}`}>
            <Table.Td w="34%" c="var(--cove-muted)" style={{ verticalAlign: "top" }}>{name}</Table.Td>
            <Table.Td className="mono" style={{ overflowWrap: "anywhere" }} fz="xs">{value}</Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function Log({ logs }: { logs: LogLine[] }) {
  if (logs.length === 0) return <Text size="sm" c="var(--cove-muted)" p="md">It printed nothing.</Text>;
  return <LogLines lines={logs} />;
}

function Timings({ record }: { record: Invocation }) {
  const { queue_ns, start_ns, init_ns, run_ns, total_ns } = record.timings;
  const facts = [["Processor time", formatDuration(record.cpu_ns)], ["Most memory", formatBytes(record.peak_memory)], ["Billed", formatDuration(record.billed_ns)], ["Instance", record.instance ?? "none"], ["Version", `v${record.version}`], ["Isolation", record.isolation]];
  return (
    <>
      <Timeline phases={layOut(phases, { queue: queue_ns, start: start_ns, init: init_ns, run: run_ns }, total_ns)} total={total_ns} />
      <dl className={classes.facts}>{facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
    </>
  );
}

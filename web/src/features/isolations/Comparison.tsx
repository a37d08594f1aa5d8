import { Alert, Button, Group, Progress, SegmentedControl, Select, Stack, Text } from "@mantine/core";
import { IconGauge } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";

import type { BenchRun } from "@/api/gen";
import { deleteBenchRunMutation, listBenchRunsQueryKey } from "@/api/gen/@tanstack/react-query.gen";
import { useMay } from "@/api/who";
import { Bars, type BarGroup } from "@/components/charts";
import { formatBytes, formatCount, formatDuration, formatTime } from "@/components/format";
import grid from "@/components/grid.module.css";
import { notifyError } from "@/components/notify";
import { Panel } from "@/components/Panel";
import { useSetSearch } from "@/components/RangeBar";
import { EmptyState, ErrorState, LoadingBox } from "@/components/states";

import { Calculator } from "./Calculator";
import { burstGroups, cpuGroups, memoryGroups, peakGroups, runtimesOf, slowdownGroups, startGroups, warmGroups, type Report } from "./report";
import { isolationsSearch, type IsolationsSearch } from "./search";
import type { Runs } from "./useRuns";

/** The comparison that was measured last, or another one that is kept; and the one that is under way. */
export function Comparison({ runs }: { runs: Runs }) {
  const last = runs.items?.[0];
  return (
    <>
      {runs.running && <Running run={runs.running} />}
      {last && (last.state === "failed" || last.state === "cancelled") && <Ended run={last} />}
      {Boolean(runs.error) && !runs.items && <ErrorState error={runs.error} retry={runs.retry} />}
      {runs.items && !runs.shown && !runs.running && (
        <EmptyState icon={<IconGauge size={22} />} title="They were not compared yet">A comparison measures every isolation on this very machine. Start one above; the quick form takes about two minutes.</EmptyState>
      )}
      {runs.shown && runs.report && <Shown runs={runs} report={runs.report} />}
      {runs.shown && !runs.report && (runs.reportError ? <ErrorState error={runs.reportError} /> : <LoadingBox height={480} />)}
    </>
  );
}

function useEndRun() {
  const queryClient = useQueryClient();
  return useMutation({ ...deleteBenchRunMutation(), onError: notifyError, onSettled: () => queryClient.invalidateQueries({ queryKey: listBenchRunsQueryKey() }) });
}

function Running({ run }: { run: BenchRun }) {
  const may = useMay("developer");
  const end = useEndRun();
  return (
    <Panel title={`Comparing, ${run.quick ? "quick" : "thorough"} form`} note={run.step ? `Now: ${run.step}` : "Beginning"}
      actions={may && <Button size="xs" variant="default" loading={end.isPending} onClick={() => end.mutate({ path: { id: run.id } })}>Cancel</Button>}>
      <Progress value={Math.max(1, run.progress * 100)} size="lg" radius="sm" animated aria-label="Progress of the comparison" />
      <Text size="xs" c="var(--cove-muted)" mt={6} className="num">{Math.round(run.progress * 100)} %, begun {formatTime(run.started)}</Text>
    </Panel>
  );
}

function Ended({ run }: { run: BenchRun }) {
  const may = useMay("developer");
  const end = useEndRun();
  return (
    <Alert variant="light" color={run.state === "failed" ? "red" : "gray"} title={run.state === "failed" ? "The last comparison failed" : "The last comparison was cancelled"}
      withCloseButton={may} closeButtonLabel="Remove it from the list" onClose={() => end.mutate({ path: { id: run.id } })}>
      {run.error ?? `It was at ${Math.round(run.progress * 100)} %.`}
    </Alert>
  );
}

function Shown({ runs, report }: { runs: Runs; report: Report }) {
  const search = isolationsSearch(useSearch({ strict: false }));
  const set = useSetSearch<IsolationsSearch>();
  const runtimes = runtimesOf(report);
  const runtime = runtimes.find((one) => one === search.runtime) ?? runtimes[0] ?? "";
  const kept = (runs.items ?? []).filter((run) => run.state === "done").map((run) => ({ value: run.id, label: `${formatTime(run.started)}, ${run.quick ? "quick" : "thorough"}` }));
  const { machine } = report;
  return (
    <Stack gap="md">
      <Group justify="space-between" mt="xs">
        <div>
          <Text fw={620} size="lg" component="h2" m={0}>Side by side</Text>
          <Text size="xs" c="var(--cove-muted)">Measured on this machine: {machine.cpu}, {machine.cpus} processors, {formatBytes(machine.memory)}, in {formatDuration(report.took_ns)}. Bars are medians, lines reach to the 90th percentile.</Text>
        </div>
        <Group gap={8}>
          {runtimes.length > 1 && <SegmentedControl size="sm" data={runtimes} value={runtime} onChange={(value) => set({ runtime: value })} aria-label="Language" />}
          {kept.length > 1 && <Select aria-label="Comparison" size="sm" w={270} data={kept} value={runs.shown?.id ?? null} onChange={(value) => set({ run: value ?? undefined })} allowDeselect={false} />}
        </Group>
      </Group>
      {report.broken_off && <Alert color="yellow" variant="light">It was broken off: {report.broken_off}. What is there is right, but not all.</Alert>}
      <div className={grid.two} style={{ alignItems: "start" }}>
        <div className={grid.page}>
          <Chart title="First answer" note="By what the call found; the whole way there and back" groups={startGroups(report, runtime)} format={formatDuration} log />
          <Chart title="Memory of an idle instance" note="With all that it causes on the host" groups={memoryGroups(report, runtime)} format={formatBytes} bytes />
          <Chart title="The function's own time" note="How many times as long as in a bare process, over all workloads" groups={slowdownGroups(report, runtime)} format={(value) => `${value}×`} reference={{ value: 1, label: "bare process" }} />
        </div>
        <div className={grid.page}>
          <Chart title="Warm call" note="An instance waits; the whole way there and back" groups={warmGroups(report, runtime)} format={formatDuration} />
          <Chart title="A burst" note="Many first calls at once, to a function without an instance" groups={burstGroups(report, runtime)} format={formatDuration} />
          <Chart title="Throughput" note="The most calls in a second; more is better" groups={peakGroups(report, runtime)} format={(value) => `${formatCount(value)}/s`} />
          <Chart title="Processor time" note="Of the whole machine" groups={cpuGroups(report, runtime)} format={formatDuration} />
        </div>
      </div>
      <Calculator run={runs.shown?.id ?? ""} runtime={runtime} />
      {report.remarks && report.remarks.length > 0 && (
        <Alert variant="light" color="gray" title="What did not go as it should">{report.remarks.map((remark) => <Text size="sm" key={remark}>{remark}</Text>)}</Alert>
      )}
    </Stack>
  );
}

interface ChartProps {
  title: string;
  note?: string;
  groups: BarGroup[];
  format: (value: number) => string;
  log?: boolean;
  bytes?: boolean;
  reference?: { value: number; label: string };
}

function Chart({ title, note, groups, ...rest }: ChartProps) {
  return (
    <Panel title={title} {...(note !== undefined && { note })}>
      {groups.length === 0 ? <Text size="sm" c="var(--cove-muted)" py="lg" ta="center">This run did not measure it.</Text> : <Bars label={title} groups={groups} {...rest} />}
    </Panel>
  );
}

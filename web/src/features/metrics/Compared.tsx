import { Group, Select, Table, Text } from "@mantine/core";
import { IconArrowsDiff } from "@tabler/icons-react";

import { useSteps, type AskedRange } from "@/api/metrics";
import { ChartGroup, Key, ShareBar, TimeChartCard } from "@/components/charts";
import grid from "@/components/grid.module.css";
import { Panel } from "@/components/Panel";
import { useSetSearch, useZoom } from "@/components/RangeBar";
import { EmptyState, ErrorState, LoadingBox } from "@/components/states";
import { told } from "@/lib/metrics";
import { stepOfAnswer } from "@/lib/steps";
import { shiftBy, shifts } from "@/lib/time";
import { startClasses } from "@/lib/words";

import { LatencyMap } from "./Charts";
import { compareRows, countsPerStep, errorShare, formatChange, judge, middle, overlay, slow, type Measure, type Side } from "./compare";
import { useIsolations, useVersions } from "./Controls";
import type { MetricsSearch } from "./search";
import classes from "./Compared.module.css";

interface Props {
  name: string;
  search: MetricsSearch;
  range: AskedRange;
  activeVersion: number | undefined;
}

const colorA = "var(--chart-p90)";
const colorB = "var(--chart-other)";

/** Two ranges, versions or isolations of a function, side by side and over each other. */
export function Compared({ name, search, range, activeVersion }: Props) {
  const versions = useVersions(name);
  const isolations = useIsolations();
  const set = useSetSearch<MetricsSearch>();
  const zoom = useZoom();
  const choices = search.compare === "version" ? versions : isolations;
  const byTime = search.compare !== "version" && search.compare !== "isolation";
  const [a, b] = byTime ? ["", ""] : sides(search, choices.map((one) => one.value), activeVersion);
  const asked = (value: string) => ({
    function: name, histogram: true,
    ...(search.version !== undefined && { version: search.version }), ...(search.isolation !== undefined && { isolation: search.isolation }),
    ...(search.compare === "version" && value !== "" && { version: Number(value) }), ...(search.compare === "isolation" && value !== "" && { isolation: value }),
  });
  const shift = search.compare === "day" || search.compare === "week" || search.compare === "previous" ? shiftBy(range.length, search.compare) : 0;
  const ready = byTime || (a !== "" && b !== "");
  const first = useSteps(asked(a), range, { enabled: ready });
  const second = useSteps(asked(b), range, { enabled: ready, back: shift });
  const failed = first.error ?? second.error;
  const label = (value: string) => (search.compare === "version" ? `v${value}` : value);
  const make = (answer: NonNullable<typeof first.data>, words: string, color: string, by: number): Side =>
    ({ label: words, color, shift: by, told: told(answer, stepOfAnswer(answer, range.length)) });
  const sideA = first.data && make(first.data, byTime ? "Chosen time" : label(a), colorA, 0);
  const sideB = second.data && make(second.data, byTime ? (shifts.find((one) => one.value === search.compare)?.label ?? "") : label(b), colorB, shift);
  return (
    <>
      {!byTime && (
        <Group gap={8}>
          <Select aria-label="First" size="sm" w={150} data={choices} value={a || null} onChange={(value) => set({ a: value ?? undefined, b })} allowDeselect={false} />
          <Text size="sm" c="var(--cove-muted)">compared with</Text>
          <Select aria-label="Second" size="sm" w={150} data={choices} value={b || null} onChange={(value) => set({ a, b: value ?? undefined })} allowDeselect={false} />
        </Group>
      )}
      {!ready && <EmptyState icon={<IconArrowsDiff size={22} />} title="There is only one">There is nothing to compare it with yet: the function has one {search.compare} so far.</EmptyState>}
      {failed && !(sideA && sideB) && <ErrorState error={failed} retry={() => { void first.refetch(); void second.refetch(); }} />}
      {ready && !failed && !(sideA && sideB) && <LoadingBox height={420} />}
      {sideA && sideB && <Both a={sideA} b={sideB} bounds={[first.data?.bounds_ns ?? [], second.data?.bounds_ns ?? []]} onZoom={zoom} />}
    </>
  );
}

/** What is compared: what the URL says, else the active version or the first and the next other. */
function sides(search: MetricsSearch, choices: string[], active: number | undefined): [string, string] {
  const a = search.a ?? (search.compare === "version" && active !== undefined ? String(active) : (choices[0] ?? ""));
  return [a, search.b ?? choices.find((value) => value !== a) ?? ""];
}

function Both({ a, b, bounds, onZoom }: { a: Side; b: Side; bounds: [number[], number[]]; onZoom: (from: number, to: number) => void }) {
  const chart = (title: string, what: Measure, height = 190) => (
    <TimeChartCard title={title} data={overlay(a, b, what.of, what.how)} onZoom={onZoom} height={height} empty="No invocations in this time" />
  );
  return (
    <ChartGroup>
      <div className={grid.two}>
        <Figures a={a} b={b} />
        {chart("Invocations", countsPerStep, 338)}
        {chart("Latency p50", middle)}
        {chart("Latency p99", slow)}
        {chart("Share of errors", errorShare)}
        <Panel title="Start classes" note="Of all invocations in the time">
          {[a, b].map((side) => (
            <div key={side.label} className={classes.starts}>
              <span className={classes.side}>{side.label}</span>
              <ShareBar label={side.label} height={22} shares={startClasses.map((word) => ({ ...word, value: side.told.group.total.starts?.[word.key] ?? 0 }))} />
            </div>
          ))}
          <Key words={startClasses} />
        </Panel>
        {[a, b].map((side, i) => (
          <LatencyMap key={side.label} title={`Latency: ${side.label}`} data={side.told} bounds={bounds[i] ?? []} error={null} onRetry={() => {}} onZoom={onZoom} />
        ))}
      </div>
    </ChartGroup>
  );
}

function Figures({ a, b }: { a: Side; b: Side }) {
  return (
    <Panel title="Figures" flush>
      <Table.ScrollContainer minWidth={0} type="native" tabIndex={0}>
      <Table verticalSpacing={5} horizontalSpacing="md" fz="sm" className={`num ${classes.figures}`}>
        <Table.Thead>
          <Table.Tr>
            <Table.Th />
            <Table.Th ta="right" className={classes.th}><span className={classes.key} style={{ background: a.color }} />{a.label}</Table.Th>
            <Table.Th ta="right" className={classes.th}><span className={classes.key} style={{ background: b.color }} />{b.label}</Table.Th>
            <Table.Th ta="right">Change</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {compareRows(a, b).map((row) => (
            <Table.Tr key={row.label}>
              <Table.Td className={classes.what}>{row.label}</Table.Td>
              <Table.Td ta="right">{row.a}</Table.Td>
              <Table.Td ta="right">{row.b}</Table.Td>
              <Table.Td ta="right" className={classes.change} data-judged={judge(row)}>{formatChange(row.change)}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      </Table.ScrollContainer>
    </Panel>
  );
}

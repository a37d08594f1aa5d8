import type { Config } from "@/api/gen";
import { useGauges, useSteps, type AskedRange } from "@/api/metrics";
import { ChartCard, ChartGroup, HeatMap, TimeChartCard, heatRows, rowText, type TableData } from "@/components/charts";
import grid from "@/components/grid.module.css";
import { useZoom } from "@/components/RangeBar";
import { formatBytes, formatCount, formatMoney, formatWhole, parseBytes } from "@/components/format";
import { costChart, cpuChart, errorsChart, errorsOf, instancesChart, latencyChart, memoryChart, peakChart, rateChart, startsChart, told, totals, type Told } from "@/lib/metrics";
import { formatStepLength, stepOfAnswer } from "@/lib/steps";
import { formatStep } from "@/lib/time";
import { outcomes, startClasses } from "@/lib/words";

import { FunctionFigures } from "./FunctionFigures";

interface Props {
  name: string;
  range: AskedRange;
  filter: { version?: number; isolation?: string };
  config: Config | undefined;
}

const none = "No invocations in this time";

/** All charts of one function; they share their crosshair, and dragging over one zooms the page. */
export function Charts({ name, range, filter, config }: Props) {
  const zoom = useZoom();
  const steps = useSteps({ function: name, histogram: true, ...filter }, range);
  const gauges = useGauges({ function: name }, range);
  const data = steps.data && told(steps.data, stepOfAnswer(steps.data, range.length));
  const shared = { error: data ? null : steps.error, onRetry: () => void steps.refetch(), onZoom: zoom };
  const measured = { error: gauges.data ? null : gauges.error, onRetry: () => void gauges.refetch(), onZoom: zoom };
  const span = gauges.data && { from: Date.parse(gauges.data.from), to: Date.parse(gauges.data.to) };
  const total = data?.group.total;
  const limit = config ? parseBytes(config.memory) || undefined : undefined;
  return (
    <>
      <FunctionFigures total={total} range={range} failed={steps.error !== null && !data} />
      <ChartGroup>
        <div className={grid.two}>
          <TimeChartCard title="Invocations" note={data ? `Per ${formatStepLength(data.steps.step)}; drag over a chart to zoom in` : "\u00a0"} data={data && rateChart(data)} empty={none} {...shared}
            totals={total && { ok: formatWhole(total.invocations - total.errors), errors: formatWhole(total.errors) }} />
          <TimeChartCard title="Errors by kind" note="Invocations that did not end well" data={data && errorsChart(data)} totals={data && totals(outcomes, data.points.map(errorsOf))} empty="No errors in this time" {...shared} />
          <TimeChartCard title="Latency" note="Whole invocations, arrival to answer" data={data && latencyChart(data)} empty={none} {...shared} />
          <LatencyMap data={data} bounds={steps.data?.bounds_ns ?? []} {...shared} />
          <TimeChartCard title="Start classes" note="What each request found" data={data && startsChart(data)} totals={data && totals(startClasses, data.points.map((p) => p.starts))} empty={none} {...shared} />
          <TimeChartCard title="Instances" note={config ? `At most ${config.scaling?.max ?? "–"}` : "\u00a0"} data={gauges.data && span && instancesChart(gauges.data, span)} empty="No instances in this time" {...measured} />
          <TimeChartCard title="Processors" note={config ? `Each instance may use ${config.cpu ?? 1}` : "\u00a0"} data={gauges.data && span && cpuChart(gauges.data, span, config?.cpu)} empty="Nothing was used in this time" {...measured} />
          <TimeChartCard title="Memory of all instances" note="Against what is set aside for them" data={gauges.data && span && memoryChart(gauges.data, span)} empty="Nothing was used in this time" {...measured} />
          <TimeChartCard title="Memory of the largest instance" note={limit ? `Its limit is ${formatBytes(limit)}` : "\u00a0"} data={data && peakChart(data, limit)} empty={none} {...shared} />
          <TimeChartCard title="Cost" note="Of this machine's processors and memory, at the prices of the settings" data={data && costChart(data)} empty="Nothing was used in this time" {...shared}
            totals={total && { cpu: formatMoney(total.cost.cpu, total.cost.currency), memory: formatMoney(total.cost.memory, total.cost.currency) }} />
        </div>
      </ChartGroup>
    </>
  );
}

interface MapProps {
  data: Told | undefined;
  bounds: number[];
  error: unknown;
  onRetry: () => void;
  onZoom: (from: number, to: number) => void;
}

/** The latencies of all invocations, not only percentiles of them. */
export function LatencyMap({ data, bounds, error, onRetry, onZoom, title = "Latency of every invocation" }: MapProps & { title?: string }) {
  const rows = data ? heatRows(bounds, data.points.map((point) => point.histogram)) : [];
  const table = (): TableData => ({
    columns: ["Time", ...rows.map(rowText)],
    rows: (data?.steps.times ?? []).map((time, i) => [formatStep(time, data?.steps.step ?? 0), ...rows.map((row) => formatCount(row.counts[i]))]).reverse(),
  });
  return (
    <ChartCard title={title} note="The stronger the colour, the more of them" loading={!data && !error} error={data ? null : error} onRetry={onRetry} table={table} empty={rows.length === 0 && none} height={224}>
      {data && <HeatMap label={title} {...data.steps} rows={rows} height={224} onZoom={onZoom} />}
    </ChartCard>
  );
}

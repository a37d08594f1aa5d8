import { useLiveMetrics, useSteps } from "@/api/metrics";
import { useSystem } from "@/api/live";
import { PageHeader } from "@/components/PageHeader";
import { RangeBar, useZoom } from "@/components/RangeBar";
import { ChartGroup, TimeChartCard } from "@/components/charts";
import { formatWhole } from "@/components/format";
import { ErrorState } from "@/components/states";
import grid from "@/components/grid.module.css";
import { useTimeRange } from "@/components/timeRange";
import { formatStepLength, stepOfAnswer } from "@/lib/steps";
import { errorsChart, errorsOf, latencyChart, rateChart, startsChart, told, totals } from "@/lib/metrics";
import { outcomes, startClasses } from "@/lib/words";

import { Failures } from "./Failures";
import { Figures } from "./Figures";
import { FirstFunction } from "./FirstFunction";
import { HostPanel } from "./HostPanel";
import { InstancesPanel } from "./InstancesPanel";
import { Rankings } from "./Rankings";

/** The system at a glance; it moves as things happen. */
export function OverviewPage() {
  const system = useSystem();
  if (system.data?.functions === 0) return <FirstFunction />;
  return (
    <div className={grid.page}>
      <PageHeader title="Overview" lead="What this Cove does, as it happens." actions={<RangeBar />} />
      {system.error && !system.data ? <ErrorState error={system.error} retry={() => void system.refetch()} /> : <Overview />}
    </div>
  );
}

function Overview() {
  const [range] = useTimeRange();
  const zoom = useZoom();
  useLiveMetrics(range.live);
  const steps = useSteps({}, range);
  const data = steps.data && told(steps.data, stepOfAnswer(steps.data, range.length));
  const shared = { error: data ? null : steps.error, onRetry: () => void steps.refetch(), onZoom: zoom };
  const per = data ? `Per ${formatStepLength(data.steps.step)}; drag over a chart to zoom in` : "\u00a0";
  return (
    <>
      <Figures range={range} told={data} failed={steps.error !== null && !data} />
      <ChartGroup>
        <div className={grid.wide}>
          <TimeChartCard title="Invocations" note={per} data={data && rateChart(data)} height={262} {...shared}
            totals={data && { ok: formatWhole(data.group.total.invocations - data.group.total.errors), errors: formatWhole(data.group.total.errors) }} empty="No invocations in this time" />
          <HostPanel />
        </div>
        <div className={grid.two}>
          <TimeChartCard title="Latency" note="Whole invocations, arrival to answer" data={data && latencyChart(data)} {...shared} empty="No invocations in this time" />
          <TimeChartCard title="Start classes" note="What each request found" data={data && startsChart(data)} totals={data && totals(startClasses, data.points.map((p) => p.starts))} {...shared} empty="No invocations in this time" />
          <TimeChartCard title="Errors by kind" note="Invocations that did not end well" data={data && errorsChart(data)} totals={data && totals(outcomes, data.points.map(errorsOf))} {...shared} empty="No errors in this time" />
          <InstancesPanel range={range} onZoom={zoom} />
        </div>
      </ChartGroup>
      <Rankings range={range} />
      <Failures range={range} />
    </>
  );
}

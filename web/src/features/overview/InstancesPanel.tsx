import { useQuery } from "@tanstack/react-query";

import { listInstancesOptions } from "@/api/gen/@tanstack/react-query.gen";
import { useGauges, type AskedRange } from "@/api/metrics";
import { TimeChartCard } from "@/components/charts";
import { instancesChart } from "@/lib/metrics";

/** Instances over time by what they did; how many there are in which isolation now. */
export function InstancesPanel({ range, onZoom }: { range: AskedRange; onZoom: (from: number, to: number) => void }) {
  const gauges = useGauges({}, range);
  const instances = useQuery({ ...listInstancesOptions(), refetchInterval: 5_000 });
  const byIsolation = new Map<string, number>();
  for (const { isolation } of instances.data?.items ?? []) byIsolation.set(isolation, (byIsolation.get(isolation) ?? 0) + 1);
  const now = [...byIsolation].sort(([, a], [, b]) => b - a).map(([name, number]) => `${number} in ${name}`);
  const data = gauges.data && instancesChart(gauges.data, { from: Date.parse(gauges.data.from), to: Date.parse(gauges.data.to) });
  return (
    <TimeChartCard title="Instances" note={instances.data ? `Now: ${now.join(", ") || "none"}` : "\u00a0"} data={data} error={data ? null : gauges.error}
      onRetry={() => void gauges.refetch()} onZoom={onZoom} empty="No instances in this time" />
  );
}

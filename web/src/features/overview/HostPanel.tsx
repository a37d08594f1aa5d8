import { Skeleton, Stack } from "@mantine/core";

import { useHost, useSystem } from "@/api/live";
import { formatBytes, formatCount, parseBytes } from "@/components/format";
import { Meter } from "@/components/Meter";
import { Panel } from "@/components/Panel";
import { ErrorState } from "@/components/states";
import { formatCpu } from "@/lib/metrics";

/** The machine's memory, processors and disk, against what functions hold of them. */
export function HostPanel() {
  const host = useHost();
  const system = useSystem().data;
  return (
    <Panel title="Machine" note={host.data ? `${host.data.cpus} processors, load ${formatCount(Math.round(host.data.load1 * 100) / 100)}` : "\u00a0"}>
      {host.error && !host.data ? <ErrorState error={host.error} retry={() => void host.refetch()} compact /> : host.data && system ? <Meters host={host.data} system={system} /> : <Skeleton height={236} />}
    </Panel>
  );
}

type Of<T> = NonNullable<T>;

function Meters({ host, system }: { host: Of<ReturnType<typeof useHost>["data"]>; system: Of<ReturnType<typeof useSystem>["data"]> }) {
  const memory = parseBytes(host.memory);
  const used = parseBytes(host.memory_used);
  const sandboxes = Math.min(parseBytes(host.sandbox_memory), used);
  const reserved = parseBytes(system.memory_reserved);
  const budget = parseBytes(system.memory_budget);
  const disk = parseBytes(host.disk_total);
  const free = parseBytes(host.disk_free);
  const stems = system.stems.reduce((sum, stem) => sum + stem.ready, 0);
  return (
    <Stack gap={14}>
      <Meter label="Memory" text={`${formatBytes(used)} of ${formatBytes(memory)}`} total={memory} format={formatBytes}
        parts={[{ label: "Functions", value: sandboxes, color: "var(--chart-busy)" }, { label: "Else", value: used - sandboxes, color: "var(--chart-none)" }]} />
      <Meter label="Set aside for sandboxes" text={`${formatBytes(reserved)} of ${formatBytes(budget)}`} total={budget} format={formatBytes}
        parts={[{ label: `Instances and ${formatCount(stems)} stem cells`, value: reserved, color: "var(--chart-idle)" }]} />
      <Meter label="Processors" text={`${formatCpu(host.cpu)} of ${host.cpus}`} total={host.cpus} format={formatCpu}
        parts={[
          { label: "Functions", value: Math.min(host.sandbox_cpu, host.cpu), color: "var(--chart-busy)" },
          { label: "Else", value: Math.max(0, host.cpu - host.sandbox_cpu), color: "var(--chart-none)" },
        ]} />
      <Meter label="Disk" text={`${formatBytes(free)} free`} total={disk} format={formatBytes} parts={[{ label: "Used", value: disk - free, color: "var(--chart-none)" }]} />
    </Stack>
  );
}

import { recent, useLiveRate, useSystem } from "@/api/live";
import type { AskedRange } from "@/api/metrics";
import { formatCount, formatDuration, formatShare } from "@/components/format";
import { Stat, Stats } from "@/components/Stat";
import { ShareBar, Sparkline } from "@/components/charts";
import { formatRate, share, slowStarts, type Told } from "@/lib/metrics";
import { startClasses, states } from "@/lib/words";

interface Props {
  range: AskedRange;
  told: Told | undefined;
  failed: boolean;
}

/** The figures at the top of the overview. */
export function Figures({ range, told, failed }: Props) {
  const system = useSystem().data;
  const live = useLiveRate();
  const total = told?.group.total;
  const known = <T,>(value: T): T | string | undefined => (failed ? "–" : total ? value : undefined);
  const errors = total && share(total.errors, total.invocations);
  const now = recent(live.calls);
  const instances = system?.instances;
  const living = instances ? instances.busy + instances.idle + instances.paused + instances.starting : undefined;
  return (
    <Stats>
      <Stat label="Right now" help="Invocations that ended in the last 10 seconds, and second by second in the last minute." value={formatRate(now)} note="last minute">
        <Sparkline values={live.calls} errors={live.errors} height={22} label={`${formatRate(now)} in the last 10 seconds`} />
      </Stat>
      <Stat label="Invocations" help="All that ended in the chosen time." value={known(formatCount(total?.invocations))} note={total && `${formatRate(total.invocations / (range.length / 1000))} on average`} />
      <Stat label="Errors" help="Invocations that did not end well, whoever's fault it was." value={known(total?.invocations === 0 ? "–" : formatShare(errors))}
        note={total && `${formatCount(total.errors)} of ${formatCount(total.invocations)}`} tone={errors ? "bad" : undefined} />
      <Stat label="Latency, p50" help="Half of all invocations took no longer; 99 of 100 took no longer than p99." value={known(formatDuration(total?.latency?.p50_ns))}
        note={total?.latency ? `p99 ${formatDuration(total.latency.p99_ns)}` : "no invocations"} />
      <Stat label="Without a start" help="Invocations that found an idle or a paused instance." value={known(total?.invocations ? formatShare(1 - slowStarts(total) / total.invocations) : "–")}
        note={total && `${formatCount(total.starts?.cold ?? 0)} cold, ${formatCount(total.starts?.stem ?? 0)} stem`}>
        <ShareBar label="Start classes" height={6} shares={startClasses.map((word) => ({ ...word, value: total?.starts?.[word.key] ?? 0 }))} />
      </Stat>
      <Stat label="Instances" help="Sandboxes that run a function now." value={living} note={instances && (instances.queued > 0 ? `${formatCount(instances.queued)} requests wait` : "nobody waits")} tone={instances && instances.queued > 0 ? "warn" : undefined}>
        <ShareBar label="Instances" height={6} shares={states.map((word) => ({ ...word, value: instances?.[word.key as "busy"] ?? 0 }))} />
      </Stat>
    </Stats>
  );
}

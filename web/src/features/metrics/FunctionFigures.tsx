import type { MetricsPoint } from "@/api/gen";
import type { AskedRange } from "@/api/metrics";
import { formatCount, formatDuration, formatMoney, formatShare } from "@/components/format";
import { Stat, Stats } from "@/components/Stat";
import { ShareBar } from "@/components/charts";
import { formatRate, share, slowStarts } from "@/lib/metrics";
import { phases, startClasses } from "@/lib/words";

/** The figures above a function's charts. */
export function FunctionFigures({ total, range, failed }: { total: MetricsPoint | undefined; range: AskedRange; failed: boolean }) {
  const known = (value: string) => (failed ? "–" : total ? value : undefined);
  const calls = total?.invocations ?? 0;
  const errors = total && share(total.errors, total.invocations);
  const spent = total ? { queue: total.queue_ns, start: total.start_ns, init: total.init_ns, run: total.run_ns } : { queue: 0, start: 0, init: 0, run: 0 };
  return (
    <Stats>
      <Stat label="Invocations" help="All that ended in the chosen time." value={known(formatCount(calls))} note={total && `${formatRate(calls / (range.length / 1000))} on average`} />
      <Stat label="Errors" help="Invocations that did not end well, whoever's fault it was." value={known(calls === 0 ? "–" : formatShare(errors))} note={total && `${formatCount(total.errors)} of ${formatCount(calls)}`} tone={errors ? "bad" : undefined} />
      <Stat label="Latency, p50" help="Half of all invocations took no longer; 99 of 100 took no longer than p99." value={known(formatDuration(total?.latency?.p50_ns))} note={total?.latency && `p99 ${formatDuration(total.latency.p99_ns)}`} />
      <Stat label="Without a start" help="Invocations that found an idle or a paused instance." value={known(total && calls > 0 ? formatShare(1 - slowStarts(total) / calls) : "–")} note={total && `${formatCount(total.starts?.cold ?? 0)} cold, ${formatCount(total.starts?.stem ?? 0)} stem`}>
        <ShareBar label="Start classes" height={6} shares={startClasses.map((word) => ({ ...word, value: total?.starts?.[word.key] ?? 0 }))} />
      </Stat>
      <Stat label="An average call" help="Where its time goes: waiting for an instance, starting one, loading the function, running it." value={known(calls > 0 ? formatDuration((spent.queue + spent.start + spent.init + spent.run) / calls) : "–")} note={total && calls > 0 ? `runs for ${formatDuration(spent.run / calls)}` : undefined}>
        <ShareBar label="Where the time goes" height={6} format={(value) => formatDuration(calls > 0 ? value / calls : 0)} shares={phases.slice(0, 4).map((word) => ({ ...word, value: spent[word.key as "run"] }))} />
      </Stat>
      <Stat label="Cost of a million" help="What it used of processors and memory for each call, at the prices of the settings; idle instances are in it." value={known(calls > 0 && total ? formatMoney((total.cost.total / calls) * 1e6, total.cost.currency) : "–")} note={total && `${formatMoney(total.cost.total, total.cost.currency)} in all`} />
    </Stats>
  );
}

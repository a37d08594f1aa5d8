import { Select, SimpleGrid, Skeleton, Text } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";

import { reckonCosts, type CostAnswer, type IsolationCost } from "@/api/gen";
import { Key, ShareBar } from "@/components/charts";
import { formatMoney, formatShare } from "@/components/format";
import { Panel } from "@/components/Panel";
import { useSetSearch } from "@/components/RangeBar";
import { ErrorState } from "@/components/states";
import { UrlNumber } from "@/components/UrlNumber";
import { formatSmall } from "@/lib/metrics";
import { isolationColor } from "@/lib/words";

import classes from "./Calculator.module.css";
import { isolationsSearch, type IsolationsSearch } from "./search";

const parts = [
  { key: "calls", label: "Calls", color: "var(--chart-busy)" },
  { key: "starts", label: "Starts", color: "var(--chart-cold)" },
  { key: "busy", label: "Memory at work", color: "var(--chart-idle)" },
  { key: "idle", label: "Memory while idle", color: "var(--chart-paused)" },
  { key: "standing", label: "Stem cell", color: "var(--chart-stem)" },
] as const;

const keeps = ["1m", "5m", "15m", "1h"].map((value) => ({ value, label: value }));

/** What a traffic would cost in each isolation, by what the run measured and the prices of the settings. */
export function Calculator({ run, runtime }: { run: string; runtime: string }) {
  const search = isolationsSearch(useSearch({ strict: false }));
  const set = useSetSearch<IsolationsSearch>();
  const { rate = 1, min = 0, keep = "5m" } = search;
  const costs = useQuery({
    queryKey: ["costs", run, runtime, rate, min, keep],
    queryFn: async ({ signal }): Promise<CostAnswer> => {
      const { data } = await reckonCosts({ body: { run, runtime, per_second: [rate], keep_alive: keep, min }, signal, throwOnError: true });
      return data;
    },
    placeholderData: keepPreviousData,
    enabled: run !== "",
  });
  const most = Math.max(...(costs.data?.items.map((one) => one.per_month) ?? []), 0);
  return (
    <Panel title="What would it cost?" note="A function that does nothing, by what was measured and the prices of the settings">
      <SimpleGrid cols={3} spacing="xs" mb="sm">
        <UrlNumber size="xs" label="Calls per second" value={rate} min={0} max={1e5} step={1} decimalScale={4} onNumber={(value) => value !== undefined && set({ rate: value === 1 ? undefined : value })} />
        <Select size="xs" label="Keep idle for" data={keeps.some((one) => one.value === keep) ? keeps : [{ value: keep, label: keep }, ...keeps]} value={keep} onChange={(value) => set({ keep: value === "5m" ? undefined : (value ?? undefined) })} allowDeselect={false} />
        <UrlNumber size="xs" label="Always at least" value={min} min={0} max={1000} allowDecimal={false} onNumber={(value) => value !== undefined && set({ min: value || undefined })} />
      </SimpleGrid>
      {costs.error && !costs.data && <ErrorState error={costs.error} retry={() => void costs.refetch()} compact />}
      {!costs.data && !costs.error && <Skeleton height={150} />}
      {costs.data && costs.data.items.map((one) => <Bill key={one.isolation} bill={one} most={most} currency={costs.data.prices.currency} />)}
      {costs.data && <Key words={parts} />}
    </Panel>
  );
}

function Bill({ bill, most, currency }: { bill: IsolationCost; most: number; currency: string }) {
  const money = (value: number) => formatMoney(value, currency);
  return (
    <div className={classes.bill}>
      <span className={classes.name}><i style={{ background: isolationColor(bill.isolation) }} />{bill.isolation}</span>
      <span className={classes.amount}>{money(bill.per_month)}<small> a month</small></span>
      <div className={classes.bar}><ShareBar label={`Cost in ${bill.isolation}`} height={12} total={most} format={money} shares={parts.map((part) => ({ ...part, value: bill[part.key] }))} /></div>
      <Text size="xs" c="var(--cove-muted)" className={`${classes.note} num`}>
        {bill.per_million > 0 ? `${money(bill.per_million)} a million calls, ` : ""}{formatSmall(bill.instances)} {bill.instances === 1 ? "instance" : "instances"} on average, {formatShare(bill.cold_share)} of the calls need a start
      </Text>
    </div>
  );
}

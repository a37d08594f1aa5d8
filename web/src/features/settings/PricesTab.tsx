import { Button, Group, NumberInput, SimpleGrid, Stack, Text, TextInput } from "@mantine/core";
import { useState } from "react";

import type { Prices } from "@/api/gen";
import { asApiError, told } from "@/api/problem";
import { useMay } from "@/api/who";
import { formatMoney } from "@/components/format";
import { Panel } from "@/components/Panel";
import { ErrorState, LoadingBox } from "@/components/states";

import classes from "./PricesTab.module.css";
import { useSettings } from "./useSettings";

/** What costs are reckoned with. */
export function PricesTab() {
  const { settings, change } = useSettings();
  const prices = settings.data?.prices;
  return (
    <Stack gap="md">
      {settings.error && !prices && <ErrorState error={settings.error} retry={() => void settings.refetch()} />}
      {!prices && !settings.error && <LoadingBox height={280} />}
      {prices && <PricesForm key={JSON.stringify(prices)} prices={prices} change={change} />}
    </Stack>
  );
}

function PricesForm({ prices, change }: { prices: Prices; change: ReturnType<typeof useSettings>["change"] }) {
  const may = useMay("admin");
  const [form, setForm] = useState(prices);
  const dirty = JSON.stringify(form) !== JSON.stringify(prices);
  const problem = change.error ? asApiError(change.error) : undefined;
  const wrong = (field: string) => told(problem?.errors.find((e) => e.field.endsWith(field)));
  const month = 730 * (form.vcpu_hour + form.gib_hour);
  return (
    <form onSubmit={(event) => {
      event.preventDefault();
      change.mutate({ body: { prices: form } as never });
    }}>
      <Panel title="Prices" note="Every cost that Cove shows is reckoned of what was measured and of these two. If the machine is yours, write what it costs you.">
        <SimpleGrid cols={{ base: 1, sm: 3 }} spacing="md">
          <NumberInput label="A processor, an hour" value={form.vcpu_hour} min={0} decimalScale={8} step={0.001} disabled={!may} error={wrong("vcpu_hour")} onChange={(value) => setForm({ ...form, vcpu_hour: Number(value) })} />
          <NumberInput label="A GiB of memory, an hour" value={form.gib_hour} min={0} decimalScale={8} step={0.001} disabled={!may} error={wrong("gib_hour")} onChange={(value) => setForm({ ...form, gib_hour: Number(value) })} />
          <TextInput label="Currency" description={undefined} value={form.currency} maxLength={3} disabled={!may} error={wrong("currency")} onChange={(event) => setForm({ ...form, currency: event.currentTarget.value.toUpperCase() })} />
        </SimpleGrid>
        <div className={classes.source}>
          <TextInput label="Whose prices these are" value={form.source ?? ""} maxLength={300} disabled={!may} onChange={(event) => setForm({ ...form, source: event.currentTarget.value })} />
          <TextInput label="Of when" value={form.as_of ?? ""} maxLength={30} disabled={!may} onChange={(event) => setForm({ ...form, as_of: event.currentTarget.value })} />
        </div>
        <Text size="sm" c="var(--cove-muted)" mt="md">An instance with one processor and 1 GiB that works all month costs {formatMoney(month, form.currency)}.</Text>
      </Panel>
      {problem && problem.errors.length === 0 && <ErrorState error={problem} compact />}
      {may ? (
        <Group mt="md" justify="flex-end">
          <Button variant="default" disabled={!dirty} onClick={() => setForm(prices)}>Undo</Button>
          <Button type="submit" loading={change.isPending} disabled={!dirty}>Save</Button>
        </Group>
      ) : (
        <Text size="sm" c="var(--cove-muted)" mt="md">Only an admin can change these.</Text>
      )}
    </form>
  );
}

import { Button, Group, SimpleGrid, Skeleton, Stack, Text, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import type { Recording, Retention } from "@/api/gen";
import { getRecordingOptions } from "@/api/gen/@tanstack/react-query.gen";
import { asApiError, told } from "@/api/problem";
import { useMay } from "@/api/who";
import { formatBytes, formatCount, parseBytes } from "@/components/format";
import { Panel } from "@/components/Panel";
import { ErrorState, LoadingBox } from "@/components/states";

import { readTime, writeTime } from "./times";
import { useSettings } from "./useSettings";

type Key = keyof Retention;
type Kind = "time" | "size" | "count";

interface Field {
  key: Key;
  label: string;
  help: string;
  kind: Kind;
}

const parts: { title: string; note: string; fields: Field[] }[] = [
  { title: "Invocations", note: "Records of single invocations. The metrics count them for longer.", fields: [
    { key: "invocations", label: "For how long", help: "1h to 365d", kind: "time" },
    { key: "invocation_count", label: "How many at most", help: "1,000 to 100,000,000", kind: "count" },
  ] },
  { title: "Logs", note: "What functions print.", fields: [
    { key: "logs", label: "For how long", help: "1h to 365d", kind: "time" },
    { key: "log_function", label: "Of one function at most", help: "1MiB to 100GiB", kind: "size" },
    { key: "log_total", label: "Of all functions at most", help: "10MiB to 1TiB", kind: "size" },
  ] },
  { title: "Metrics", note: "Counts and latencies, the finer the shorter.", fields: [
    { key: "minutes", label: "By the minute", help: "3h to 90d", kind: "time" },
    { key: "hours", label: "By the hour", help: "2d to 730d", kind: "time" },
    { key: "days", label: "By the day", help: "30d to 3650d", kind: "time" },
  ] },
  { title: "Audit log", note: "Every change and every attempt to sign in.", fields: [{ key: "audit", label: "For how long", help: "1d to 3650d", kind: "time" }] },
];

/** How long and how much is kept of the past. */
export function RetentionTab() {
  const { settings, change } = useSettings();
  const retention = settings.data?.retention;
  return (
    <Stack gap="md">
      <RecordingPanel />
      {settings.error && !retention && <ErrorState error={settings.error} retry={() => void settings.refetch()} />}
      {!retention && !settings.error && <LoadingBox height={420} />}
      {retention && <RetentionForm key={JSON.stringify(retention)} retention={retention} change={change} />}
    </Stack>
  );
}

function toForm(retention: Retention): Record<Key, string> {
  const all = parts.flatMap((part) => part.fields);
  return Object.fromEntries(all.map(({ key, kind }) => [key, kind === "time" ? writeTime(String(retention[key] ?? "")) : String(retention[key] ?? "")])) as Record<Key, string>;
}

/** What a field of the form stands for; undefined if it cannot be read. */
function read(kind: Kind, text: string): string | number | undefined {
  if (kind === "time") return readTime(text);
  if (kind === "size") return Number.isNaN(parseBytes(text)) ? undefined : text.trim();
  const count = Number(text.replaceAll(/[, _]/g, ""));
  return Number.isInteger(count) && count > 0 ? count : undefined;
}

function RetentionForm({ retention, change }: { retention: Retention; change: ReturnType<typeof useSettings>["change"] }) {
  const may = useMay("admin");
  const [form, setForm] = useState(() => toForm(retention));
  const before = toForm(retention);
  const changed = parts.flatMap((part) => part.fields).filter(({ key }) => form[key] !== before[key]);
  const values = changed.map(({ key, kind }) => [key, read(kind, form[key])] as const);
  const problem = change.error ? asApiError(change.error) : undefined;
  const wrong = (field: Field): ReactNode => {
    if (read(field.kind, form[field.key]) === undefined) return field.kind === "time" ? "Write a number with a unit: 12h, 7d" : field.kind === "size" ? "Write a size: 64MiB, 1GiB" : "Write a whole number";
    return told(problem?.errors.find((e) => e.field.endsWith(field.key)));
  };
  return (
    <form onSubmit={(event) => {
      event.preventDefault();
      change.mutate({ body: { retention: Object.fromEntries(values) } as never });
    }}>
      <SimpleGrid cols={{ base: 1, md: 2 }} spacing="md">
        {parts.map((part) => (
          <Panel key={part.title} title={part.title} note={part.note}>
            <SimpleGrid cols={{ base: 1, xs: part.fields.length > 1 ? 2 : 1 }} spacing="sm">
              {part.fields.map((field) => (
                <TextInput key={field.key} label={field.label} description={field.help} value={form[field.key]} disabled={!may} error={wrong(field)} onChange={(event) => setForm({ ...form, [field.key]: event.currentTarget.value })} />
              ))}
            </SimpleGrid>
          </Panel>
        ))}
      </SimpleGrid>
      {problem && problem.errors.length === 0 && <ErrorState error={problem} compact />}
      {may ? (
        <Group mt="md" justify="flex-end">
          <Button variant="default" disabled={changed.length === 0} onClick={() => setForm(before)}>Undo</Button>
          <Button type="submit" loading={change.isPending} disabled={changed.length === 0 || values.some(([, value]) => value === undefined)}>Save</Button>
        </Group>
      ) : (
        <Text size="sm" c="var(--cove-muted)" mt="md">Only an admin can change these.</Text>
      )}
    </form>
  );
}

function RecordingPanel() {
  const recording = useQuery({ ...getRecordingOptions(), refetchInterval: 10_000 });
  if (recording.error && !recording.data) return <ErrorState error={recording.error} retry={() => void recording.refetch()} compact />;
  return (
    <Panel title="Recording" note="Since the daemon started">
      <Group gap="xl" mih={44} style={{ rowGap: 10 }}>
        {figures(recording.data).map(([label, value]) => (
          <div key={label}>
            <Text size="xs" c="var(--cove-muted)">{label}</Text>
            {value === undefined ? <Skeleton height={18} width={60} mt={4} /> : <Text fw={600} className="num">{value}</Text>}
          </div>
        ))}
      </Group>
    </Panel>
  );
}

function figures(recording: Recording | undefined): [string, string | undefined][] {
  const of = (pick: (recording: Recording) => string) => recording && pick(recording);
  return [
    ["On disk", of((r) => formatBytes(r.bytes))],
    ["Records kept", of((r) => formatCount(r.recorded))],
    ["Records too many to keep", of((r) => formatCount(r.dropped))],
    ["Log lines kept", of((r) => formatCount(r.log_lines))],
    ["Log lines too many to keep", of((r) => formatCount(r.log_dropped))],
  ];
}

import { Badge, Button, Group, Select, Text, Title } from "@mantine/core";
import { IconArrowBackUp, IconVersions } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";

import type { Function as Fn, Version } from "@/api/gen";
import { useMay } from "@/api/who";
import { formatAgo, formatBytes, formatTime } from "@/components/format";
import { notifyDone, notifyError } from "@/components/notify";
import { ErrorState, LoadingBox, LoadingRows } from "@/components/states";
import { validateTime } from "@/components/timeRange";

import { changesOf } from "../files";
import { FilesDiff } from "../FilesDiff";
import { filesOptions, useRollback, versionsOptions } from "../queries";
import type { VersionsSearch } from "../search";

import { configText, pairOf } from "./compare";
import classes from "./VersionsPage.module.css";

/** Every state a function had, what differs between two, and the way back. */
export function VersionsPage() {
  const { name } = useParams({ strict: false }) as { name: string };
  const search = useSearch({ strict: false }) as VersionsSearch;
  const navigate = useNavigate();
  const versions = useQuery(versionsOptions(name));
  if (versions.isError && !versions.data) return <ErrorState error={versions.error} retry={() => void versions.refetch()} />;
  if (!versions.data) return <LoadingRows rows={4} height={64} />;
  const { items, active } = versions.data;
  const pair = pairOf(
    search,
    items.map((v) => v.number),
    active,
  );
  const compare = (next: VersionsSearch) => void navigate({ to: "/functions/$name/versions", params: { name }, search: (was) => ({ ...validateTime(was), ...next }), replace: true, resetScroll: false });
  return (
    <div className={classes.root}>
      <ol className={classes.list} aria-label="Versions, the newest first">
        {items.map((version) => (
          <Row
            key={version.id}
            version={version}
            active={active}
            compared={pair !== undefined && (pair.from === version.number || pair.to === version.number)}
            onCompare={() => compare(version.number === active ? {} : { old: Math.min(version.number, active), new: Math.max(version.number, active) })}
          />
        ))}
      </ol>
      <section className={classes.compare} aria-label="Comparison">
        {pair ? (
          <Comparison name={name} items={items} active={active} pair={pair} onChange={compare} />
        ) : (
          <Text size="sm" c="var(--cove-muted)">
            <IconVersions size={16} style={{ verticalAlign: "-3px", marginRight: 8 }} aria-hidden="true" />
            Every deploy and every change of settings makes a version. With a second one, what differs is shown here.
          </Text>
        )}
      </section>
    </div>
  );
}

function Row(props: { version: Version; active: number; compared: boolean; onCompare: () => void }) {
  const { version, active } = props;
  const mayChange = useMay("developer");
  const rollback = useRollback(version.function);
  const isActive = version.number === active;
  const goBack = () =>
    rollback.mutate(version.number, {
      onSuccess: (fn: Fn) =>
        notifyDone(`Version ${fn.version.number} serves now`, {
          label: "Undo",
          onClick: () => void rollback.mutateAsync(active).then((back) => notifyDone(`Version ${back.version.number} serves again`), notifyError),
        }),
      onError: notifyError,
    });
  return (
    <li className={classes.row} data-compared={props.compared || undefined}>
      <button type="button" className={classes.choose} onClick={props.onCompare} aria-label={`Compare version ${version.number} with the active one`} />
      <span className={classes.number}>{version.number}</span>
      <span className={classes.text}>
        <span className={classes.note}>
          {noteOf(version)}
          {isActive && (
            <Badge size="sm" color="teal" variant="light" tt="none">
              Active
            </Badge>
          )}
        </span>
        <span className={classes.sub} title={formatTime(version.created)}>
          {formatAgo(version.created, Date.now())}
          {version.package ? `, ${version.package.files} ${version.package.files === 1 ? "file" : "files"}, ${formatBytes(version.package.unpacked)}` : ", no code"}
        </span>
      </span>
      {mayChange && !isActive && (
        <Button className={classes.back} size="xs" variant="default" leftSection={<IconArrowBackUp size={14} />} loading={rollback.isPending} onClick={goBack} aria-label={`Roll back to version ${version.number}`}>
          {version.number < active ? "Roll back" : "Activate"}
        </Button>
      )}
    </li>
  );
}

const notes: Record<string, string> = { code: "New code", config: "Settings changed", create: "Created" };

function noteOf(version: Version): string {
  const note = version.note ?? "";
  return notes[note] ?? (note === "" ? `Version ${version.number}` : note.charAt(0).toUpperCase() + note.slice(1));
}

interface ComparisonProps {
  name: string;
  items: Version[];
  active: number;
  pair: { from: number; to: number };
  onChange: (next: VersionsSearch) => void;
}

function Comparison({ name, items, active, pair, onChange }: ComparisonProps) {
  const [from, to] = [pair.from, pair.to].map((n) => items.find((v) => v.number === n)) as [Version, Version];
  const before = useQuery({ ...filesOptions(name, from.number), enabled: from.package !== undefined });
  const after = useQuery({ ...filesOptions(name, to.number), enabled: to.package !== undefined });
  const filesOf = (version: Version, query: typeof before) => (version.package === undefined ? {} : query.data?.files);
  const [a, b] = [filesOf(from, before), filesOf(to, after)];
  const changes = a && b ? changesOf(a, b) : undefined;
  const config = { path: "settings.json", kind: "changed" as const, before: configText(from.config), after: configText(to.config) };
  const options = items.map((v) => ({ value: String(v.number), label: v.number === active ? `v${v.number}, active` : `v${v.number}` }));
  const error = before.error ?? after.error;
  return (
    <>
      <Group gap="xs" mb="md" wrap="nowrap" className={classes.pair}>
        <Select aria-label="Compare" data={options} value={String(from.number)} allowDeselect={false} onChange={(v) => onChange({ old: Number(v), new: to.number })} />
        <Text size="sm" c="var(--cove-muted)">
          with
        </Text>
        <Select aria-label="With" data={options} value={String(to.number)} allowDeselect={false} onChange={(v) => onChange({ old: from.number, new: Number(v) })} />
      </Group>
      <Title order={2} mb="xs">
        Code
      </Title>
      {error ? (
        <ErrorState
          error={error}
          retry={() => {
            void before.refetch();
            void after.refetch();
          }}
        />
      ) : changes ? (
        <FilesDiff changes={changes} empty="The code is the same." />
      ) : (
        <LoadingBox height={160} />
      )}
      <Title order={2} mt="lg" mb="xs">
        Settings
      </Title>
      <FilesDiff changes={config.before === config.after ? [] : [config]} empty="The settings are the same." />
    </>
  );
}

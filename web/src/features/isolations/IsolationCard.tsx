import { Badge, Code, CopyButton, Group, List, Text, Tooltip, UnstyledButton } from "@mantine/core";
import { IconCheck, IconCircleCheck, IconCircleX, IconCopy } from "@tabler/icons-react";

import type { Isolation } from "@/api/gen";
import { formatBytes } from "@/components/format";
import { isolationColor } from "@/lib/words";

import classes from "./IsolationCard.module.css";
import type { Wall } from "./report";

const features: Record<string, string> = {
  mount: "Code gets into a sandbox that runs",
  resize: "Limits of a running sandbox can be changed",
  pause: "Idle instances are frozen",
  egress: "Functions may reach out into the network",
};

interface Props {
  isolation: Isolation;
  wall: Wall | undefined;
  instances: number | undefined;
}

/** One isolation: whether it is there and why not, what it can do, what it protects from. */
export function IsolationCard({ isolation: one, wall, instances }: Props) {
  return (
    <section className={classes.root} data-available={one.available || undefined} aria-label={one.name}>
      <Group justify="space-between" wrap="nowrap" mb={4}>
        <Group gap={8} wrap="nowrap">
          <span className={classes.dot} style={{ background: isolationColor(one.name) }} />
          <h2 className={classes.name}>{one.name}</h2>
          {one.default && <Badge size="xs" variant="light">default</Badge>}
        </Group>
        <span className={classes.state} data-available={one.available || undefined}>
          {one.available ? <IconCircleCheck size={16} aria-hidden="true" /> : <IconCircleX size={16} aria-hidden="true" />}
          {one.available ? "Available" : "Not available"}
        </span>
      </Group>
      <Text size="xs" c="var(--cove-muted)" mb="sm" className="truncate" title={one.version}>{one.version ?? "\u00a0"}</Text>
      {one.available ? (
        <>
          {wall && <Text size="sm" mb="sm">{wall.wall}</Text>}
          <dl className={classes.facts}>
            <div><dt>Instances now</dt><dd>{instances ?? "–"}</dd></div>
            <div><dt>A sandbox costs</dt><dd>{formatBytes(one.overhead)} more</dd></div>
          </dl>
          <Group gap={6} mt="sm">
            {one.features.map((name) => <Tooltip key={name} label={features[name] ?? name}><Badge size="sm" variant="default" tt="none" fw={500}>{name}</Badge></Tooltip>)}
          </Group>
        </>
      ) : (
        <>
          <Text size="sm">{one.reason ?? "It cannot be used here."}</Text>
          {one.fix && <Fix command={one.fix} />}
        </>
      )}
      {one.notes && one.notes.length > 0 && <List size="xs" mt="sm" c="var(--cove-muted)" spacing={2}>{one.notes.map((note) => <List.Item key={note}>{note.split("`").map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}</List.Item>)}</List>}
      {wall && <Walls wall={wall} />}
    </section>
  );
}

function Fix({ command }: { command: string }) {
  return (
    <Group gap={6} mt="sm" wrap="nowrap">
      <Code block style={{ flex: 1, whiteSpace: "pre-wrap" }}>{command}</Code>
      <CopyButton value={command}>
        {({ copied, copy }) => <UnstyledButton onClick={copy} aria-label="Copy the command">{copied ? <IconCheck size={16} /> : <IconCopy size={16} />}</UnstyledButton>}
      </CopyButton>
    </Group>
  );
}

function Walls({ wall }: { wall: Wall }) {
  const parts = [["Keeps from a function", wall.protects], ["Does not", wall.exposes]] as const;
  return (
    <details className={classes.walls}>
      <summary>What the wall is worth</summary>
      {parts.map(([title, lines]) => lines && lines.length > 0 && (
        <div key={title}>
          <Text size="xs" fw={600} mt={8} mb={2}>{title}</Text>
          <List size="xs" spacing={3}>{lines.map((line) => <List.Item key={line}>{line}</List.Item>)}</List>
        </div>
      ))}
    </details>
  );
}

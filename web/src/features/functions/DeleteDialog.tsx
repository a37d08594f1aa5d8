import { Alert, Button, Group, List, Modal, Skeleton, Stack, Text, TextInput } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useState, type FormEvent, type ReactNode } from "react";

import type { Function as Fn } from "@/api/gen";
import { listEventsOptions, listTokensOptions } from "@/api/gen/@tanstack/react-query.gen";
import { useMay } from "@/api/who";
import { formatCount } from "@/components/format";
import { notifyDone } from "@/components/notify";
import { ErrorState } from "@/components/states";

import { instanceCount } from "./list";
import { sparkOptions, useDelete, versionsOptions } from "./queries";

/** Says what deleting a function breaks, and wants its name before it does so. */
export function DeleteDialog(props: { fn: Fn; opened: boolean; onClose: () => void }) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={`Delete ${props.fn.name}`} size="lg">
      {props.opened && <Body fn={props.fn} onClose={props.onClose} />}
    </Modal>
  );
}

function Body({ fn, onClose }: { fn: Fn; onClose: () => void }) {
  const [typed, setTyped] = useState("");
  const remove = useDelete(fn.name);
  const navigate = useNavigate();
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (typed !== fn.name) return;
    remove.mutate(undefined, {
      onSuccess: () => {
        notifyDone(`${fn.name} is deleted`);
        void navigate({ to: "/functions", search: {} });
      },
    });
  };
  return (
    <form onSubmit={submit}>
      <Stack gap="md">
        <Alert color="red" variant="light" icon={<IconAlertTriangle size={18} />} title="This cannot be taken back">
          <Consequences fn={fn} />
        </Alert>
        <TextInput
          label={
            <>
              Type <code>{fn.name}</code> to delete it
            </>
          }
          value={typed}
          onChange={(e) => setTyped(e.currentTarget.value)}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
        />
        {remove.isError && <ErrorState error={remove.error} compact />}
        <Group justify="flex-end" gap="xs">
          <Button variant="default" onClick={onClose}>
            Keep it
          </Button>
          <Button type="submit" color="red" disabled={typed !== fn.name} loading={remove.isPending}>
            Delete {fn.name}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function times(n: number): string {
  return n === 1 ? "once" : `${formatCount(n)} times`;
}

function Consequences({ fn }: { fn: Fn }) {
  const isAdmin = useMay("admin");
  const versions = useQuery(versionsOptions(fn.name));
  const sparks = useQuery(sparkOptions);
  const events = useQuery(listEventsOptions({ path: { name: fn.name } }));
  const tokens = useQuery({ ...listTokensOptions(), enabled: isAdmin });
  const calls = sparks.data?.[fn.name]?.total.invocations ?? 0;
  const limited = tokens.data?.items.filter((t) => t.functions?.includes(fn.name)) ?? [];
  const instances = instanceCount(fn.instances);
  if (versions.isPending || sparks.isPending) return <Skeleton height={90} />;
  const lines: ReactNode[] = [];
  if (fn.url !== undefined) {
    lines.push(
      <>
        <code>{fn.url}</code> answers 404
        {calls > 0 && `; it was called ${times(calls)} in the last 24 hours`}.
      </>,
    );
  } else if (calls > 0) lines.push(`It was called ${times(calls)} in the last 24 hours; those callers get 404.`);
  const n = versions.data?.items.length ?? 0;
  lines.push(n === 1 ? "Its code and settings are gone." : `All ${n} versions of its code and settings are gone.`);
  if (instances > 0) lines.push(`${instances === 1 ? "1 instance ends" : `${instances} instances end`}; requests under way are finished first.`);
  if (events.data && events.data.items.length > 0) lines.push(events.data.items.length === 1 ? "A saved test event is gone." : `${events.data.items.length} saved test events are gone.`);
  if (limited.length > 0) lines.push(`Tokens that may call it: ${limited.map((t) => t.name).join(", ")}.`);
  return (
    <Stack gap="xs">
      <List size="sm" spacing={4}>
        {lines.map((line, i) => (
          <List.Item key={i}>{line}</List.Item>
        ))}
      </List>
      <Text size="sm">To only stop it for a while, disable it instead.</Text>
    </Stack>
  );
}

import { ActionIcon, Button, Group, Kbd, Modal, Select, Stack, Text, TextInput, Tooltip } from "@mantine/core";
import { IconDeviceFloppy, IconPlayerPlay, IconTrash } from "@tabler/icons-react";
import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { listEvents, putEvent } from "@/api/gen";
import { deleteEventMutation } from "@/api/gen/@tanstack/react-query.gen";
import { CodeEditor } from "@/components/code";
import { notifyDone, notifyError } from "@/components/notify";
import { ErrorState } from "@/components/states";

import classes from "./Answer.module.css";
import { badJson, goodName, readEvents, type Saved } from "./request";
import { useSendKey } from "./useSendKey";

interface Props {
  name: string;
  /** The saved event that is chosen. */
  saved: string | undefined;
  onChoose: (event: string | undefined) => void;
  event: string;
  onChange: (event: string) => void;
  onSend: () => void;
  pending: boolean;
  may: boolean;
}

/** The saved events of a function; see readEvents. */
function savedOptions(name: string) {
  return queryOptions({
    queryKey: ["events", name],
    queryFn: async ({ signal }): Promise<Saved[]> => {
      const { data } = await listEvents({ path: { name }, parseAs: "text", signal, throwOnError: true });
      return readEvents(data as unknown as string);
    },
  });
}

/** An event, written here or saved before. */
export function EventForm({ name, saved, onChoose, event, onChange, onSend, pending, may }: Props) {
  const queryClient = useQueryClient();
  const items = useQuery(savedOptions(name)).data ?? [];
  const chosen = items.find((one) => one.name === saved);
  const [saving, setSaving] = useState(false);
  const wrong = badJson(event);
  const stored = chosen?.body;
  useEffect(() => {
    if (stored !== undefined) onChange(stored);
    // Only when another one is chosen, or it was changed elsewhere.
  }, [stored]);
  const remove = useMutation({
    ...deleteEventMutation(),
    onSuccess: () => {
      onChoose(undefined);
      notifyDone("The event is deleted");
    },
    onError: notifyError,
    onSettled: () => queryClient.invalidateQueries({ queryKey: savedOptions(name).queryKey }),
  });
  const ready = may && !wrong && !pending;
  const keys = useSendKey(ready, onSend);
  return (
    <Stack gap="sm" onKeyDownCapture={keys}>
      <Group gap={8} wrap="nowrap">
        <Select aria-label="Saved event" placeholder={items.length === 0 ? "No saved events" : "Saved events"} data={items.map((one) => one.name)} value={chosen?.name ?? null} onChange={(value) => onChoose(value ?? undefined)} clearable searchable disabled={items.length === 0} style={{ flex: 1 }} />
        <Tooltip label="Save this event"><ActionIcon variant="default" size={36} aria-label="Save this event" disabled={!may || wrong !== undefined} onClick={() => setSaving(true)}><IconDeviceFloppy size={17} /></ActionIcon></Tooltip>
        <Tooltip label="Delete the saved event"><ActionIcon variant="default" size={36} aria-label="Delete the saved event" disabled={!may || !chosen} loading={remove.isPending} onClick={() => chosen && remove.mutate({ path: { name, event: chosen.name } })}><IconTrash size={17} /></ActionIcon></Tooltip>
      </Group>
      <div className={classes.editor}><CodeEditor path="event.json" value={event} onChange={onChange} label="Event, as JSON" minHeight="220px" maxHeight="420px" /></div>
      <Text size="xs" c={wrong ? "var(--cove-bad)" : "var(--cove-muted)"} mih={18} role={wrong ? "alert" : undefined}>{wrong ?? "The handler gets it as it is."}</Text>
      <Group justify="space-between">
        <Text size="xs" c="var(--cove-muted)" visibleFrom="sm"><Kbd size="xs">Ctrl</Kbd> <Kbd size="xs">Enter</Kbd> calls it too</Text>
        <Button ml="auto" leftSection={<IconPlayerPlay size={16} />} loading={pending} disabled={!ready && !pending} onClick={onSend}>Call</Button>
      </Group>
      <SaveEvent fn={name} opened={saving} onClose={() => setSaving(false)} event={event} first={chosen?.name ?? ""} onSaved={onChoose} />
    </Stack>
  );
}

interface SaveProps {
  fn: string;
  opened: boolean;
  onClose: () => void;
  event: string;
  first: string;
  onSaved: (name: string) => void;
}

function SaveEvent({ fn, opened, onClose, event, first, onSaved }: SaveProps) {
  const queryClient = useQueryClient();
  const [name, setName] = useState(first);
  useEffect(() => {
    if (opened) setName(first);
  }, [opened, first]);
  const save = useMutation({
    mutationFn: async (as: string) => putEvent({ path: { name: fn, event: as }, body: event, bodySerializer: (body: unknown) => body as string, throwOnError: true }),
    onSuccess: async (_data, as) => {
      await queryClient.invalidateQueries({ queryKey: savedOptions(fn).queryKey });
      onSaved(as);
      notifyDone(`Saved as ${as}`);
      onClose();
    },
  });
  return (
    <Modal opened={opened} onClose={onClose} title="Save the event">
      <form onSubmit={(e) => {
        e.preventDefault();
        save.mutate(name.trim());
      }}>
        <Stack gap="md">
          <TextInput label="Name" description="One that is there already is replaced" value={name} onChange={(e) => setName(e.currentTarget.value)} maxLength={63} data-autofocus error={name !== "" && !goodName(name.trim()) ? "Letters, digits, spaces, '-', '_' and '.'" : undefined} />
          {save.error && <ErrorState error={save.error} compact />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>Cancel</Button>
            <Button type="submit" loading={save.isPending} disabled={!goodName(name.trim())}>Save</Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

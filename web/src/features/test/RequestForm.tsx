import { ActionIcon, Alert, Button, Group, Kbd, Select, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { IconPlus, IconSend, IconX } from "@tabler/icons-react";

import { hasBody, methods, type Composed } from "./request";
import { useSendKey } from "./useSendKey";

interface Props {
  request: Composed;
  route: string | undefined;
  onChange: (request: Composed) => void;
  onSend: () => void;
  pending: boolean;
  may: boolean;
}

/** An HTTP request to the function's route. */
export function RequestForm({ request, route, onChange, onSend, pending, may }: Props) {
  const set = (change: Partial<Composed>) => onChange({ ...request, ...change });
  const header = (index: number, change: Partial<{ name: string; value: string }>) => set({ headers: request.headers.map((one, i) => (i === index ? { ...one, ...change } : one)) });
  const ready = may && request.path.startsWith("/") && !pending;
  const keys = useSendKey(ready, onSend);
  return (
    <Stack gap="sm" onKeyDownCapture={keys}>
      {route === undefined && <Alert variant="light" color="yellow">This function has no route: another function may answer, or none. Give it one in its settings, or call it with an event.</Alert>}
      <Group gap={8} wrap="nowrap" align="flex-start">
        <Select aria-label="Method" data={methods} value={request.method} onChange={(method) => method && set({ method })} w={112} allowDeselect={false} />
        <TextInput aria-label="Path, with the query" value={request.path} onChange={(event) => set({ path: event.currentTarget.value })} style={{ flex: 1 }} classNames={{ input: "mono" }} error={request.path.startsWith("/") ? undefined : "Begins with /"} />
      </Group>
      {route && <Text size="xs" c="var(--cove-muted)">The route is <code>{route}</code></Text>}
      <div>
        <Group justify="space-between" mb={4}>
          <Text size="sm" fw={500}>Headers</Text>
          <Button size="compact-xs" variant="subtle" leftSection={<IconPlus size={13} />} onClick={() => set({ headers: [...request.headers, { name: "", value: "" }] })}>Add</Button>
        </Group>
        <Stack gap={6}>
          {request.headers.length === 0 && <Text size="xs" c="var(--cove-muted)">None beside those that every request has.</Text>}
          {request.headers.map(({ name, value }, i) => (
            <Group key={i} gap={6} wrap="nowrap">
              <TextInput size="xs" aria-label={`Name of header ${i + 1}`} placeholder="Content-Type" value={name} onChange={(event) => header(i, { name: event.currentTarget.value })} style={{ flex: 2 }} classNames={{ input: "mono" }} />
              <TextInput size="xs" aria-label={`Value of header ${i + 1}`} placeholder="application/json" value={value} onChange={(event) => header(i, { value: event.currentTarget.value })} style={{ flex: 3 }} classNames={{ input: "mono" }} />
              <ActionIcon variant="subtle" color="gray" aria-label={`Remove header ${i + 1}`} onClick={() => set({ headers: request.headers.filter((_, k) => k !== i) })}><IconX size={15} /></ActionIcon>
            </Group>
          ))}
        </Stack>
      </div>
      <Textarea label="Body" value={request.body} onChange={(event) => set({ body: event.currentTarget.value })} autosize minRows={6} maxRows={16} disabled={!hasBody(request.method)} placeholder={hasBody(request.method) ? "" : `${request.method} requests have none`} classNames={{ input: "mono" }} spellCheck={false} />
      <Group justify="space-between">
        <Text size="xs" c="var(--cove-muted)" visibleFrom="sm"><Kbd size="xs">Ctrl</Kbd> <Kbd size="xs">Enter</Kbd> sends it too</Text>
        <Button ml="auto" leftSection={<IconSend size={16} />} loading={pending} disabled={!ready && !pending} onClick={onSend}>Send</Button>
      </Group>
    </Stack>
  );
}

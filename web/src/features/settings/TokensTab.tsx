import { ActionIcon, Alert, Badge, Button, Code, CopyButton, Group, Modal, Paper, Select, Stack, Table, Text, TextInput, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy, IconKey, IconPlus, IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import type { NewToken, Token } from "@/api/gen";
import { createTokenMutation, deleteTokenMutation, listTokensOptions, listTokensQueryKey } from "@/api/gen/@tanstack/react-query.gen";
import { asApiError, told } from "@/api/problem";
import { useWho } from "@/api/who";
import { formatAgo, formatTime } from "@/components/format";
import { notifyDone, notifyError } from "@/components/notify";
import { EmptyState, ErrorState, LoadingRows } from "@/components/states";
import { FunctionsSelect } from "@/lib/FunctionSelect";
import { useNow } from "@/lib/useNow";

import { Confirm } from "./Confirm";
import { RoleChoice } from "./RoleChoice";
import { lives, roles, type RoleName } from "./roles";

/** The tokens that programs use. */
export function TokensTab() {
  const tokens = useQuery({ ...listTokensOptions(), refetchInterval: 30_000 });
  const [making, setMaking] = useState(false);
  const [ending, setEnding] = useState<Token>();
  const items = tokens.data?.items;
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Text size="sm" c="var(--cove-muted)">For programs: the command line, CI, callers of functions with <code>auth: token</code>.</Text>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setMaking(true)}>New token</Button>
      </Group>
      {tokens.error && !items && <ErrorState error={tokens.error} retry={() => void tokens.refetch()} />}
      {!items && !tokens.error && <Paper><LoadingRows rows={4} /></Paper>}
      {items?.length === 0 && <EmptyState icon={<IconKey size={22} />} title="There are no tokens">Programs need one to use the API.</EmptyState>}
      {items && items.length > 0 && <Tokens items={items} onEnd={setEnding} />}
      <MakeToken opened={making} onClose={() => setMaking(false)} />
      <EndToken token={ending} onClose={() => setEnding(undefined)} />
    </Stack>
  );
}

function Tokens({ items, onEnd }: { items: Token[]; onEnd: (token: Token) => void }) {
  const now = useNow(30_000);
  const who = useWho();
  return (
    <Paper style={{ overflow: "hidden" }}>
      <Table.ScrollContainer minWidth={720} type="native" tabIndex={0}>
        <Table verticalSpacing={9} horizontalSpacing="md">
          <Table.Thead><Table.Tr><Table.Th>Name</Table.Th><Table.Th>Role</Table.Th><Table.Th>Functions</Table.Th><Table.Th>Last used</Table.Th><Table.Th>Made</Table.Th><Table.Th>Ends</Table.Th><Table.Th w={50} /></Table.Tr></Table.Thead>
          <Table.Tbody>
            {items.map((token) => {
              const ended = token.expires !== undefined && Date.parse(token.expires) < now;
              return (
                <Table.Tr key={token.id}>
                  <Table.Td><Text size="sm" fw={550}>{token.name}{who?.kind === "token" && who.id === token.id && <Badge ml={8} size="xs" variant="light">in use here</Badge>}</Text><Text size="xs" c="var(--cove-muted)" className="mono">{token.id}</Text></Table.Td>
                  <Table.Td>{roles.find((role) => role.value === token.role)?.label ?? token.role}</Table.Td>
                  <Table.Td maw={220}><div className="truncate" title={token.functions?.join(", ")}>{token.role === "invoke" ? (token.functions?.join(", ") ?? "all") : "all"}</div></Table.Td>
                  <Table.Td title={formatTime(token.last_used)}>{token.last_used ? formatAgo(token.last_used, now) : "never"}</Table.Td>
                  <Table.Td title={formatTime(token.created)}>{formatAgo(token.created, now)}</Table.Td>
                  <Table.Td title={token.expires && formatTime(token.expires)}>{token.expires ? <Text size="sm" c={ended ? "var(--cove-bad)" : undefined}>{ended ? "ended" : formatAgo(token.expires, now)}</Text> : "never"}</Table.Td>
                  <Table.Td><Tooltip label="Revoke"><ActionIcon variant="subtle" color="red" aria-label={`Revoke ${token.name}`} onClick={() => onEnd(token)}><IconTrash size={16} /></ActionIcon></Tooltip></Table.Td>
                </Table.Tr>
              );
            })}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Paper>
  );
}

function EndToken({ token, onClose }: { token: Token | undefined; onClose: () => void }) {
  const queryClient = useQueryClient();
  const end = useMutation({
    ...deleteTokenMutation(),
    onSuccess: () => {
      notifyDone("The token is revoked");
      onClose();
    },
    onError: notifyError,
    onSettled: () => queryClient.invalidateQueries({ queryKey: listTokensQueryKey() }),
  });
  return (
    <Confirm title="Revoke a token" opened={token !== undefined} onClose={onClose} action="Revoke" pending={end.isPending} onConfirm={() => token && end.mutate({ path: { id: token.id } })}>
      Every program that uses <b>{token?.name}</b> is refused from then on. This cannot be undone.
    </Confirm>
  );
}

function MakeToken({ opened, onClose }: { opened: boolean; onClose: () => void }) {
  const [made, setMade] = useState<NewToken>();
  const close = () => {
    onClose();
    // Not before the dialog is gone: its words would change while it fades.
    setTimeout(() => setMade(undefined), 250);
  };
  return (
    <Modal opened={opened} onClose={close} title={made ? "The new token" : "New token"} closeOnClickOutside={!made} size="md">
      {made ? <Secret token={made} onClose={close} /> : <TokenForm onMade={setMade} onCancel={close} />}
    </Modal>
  );
}

function TokenForm({ onMade, onCancel }: { onMade: (token: NewToken) => void; onCancel: () => void }) {
  const queryClient = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState<RoleName>("invoke");
  const [functions, setFunctions] = useState<string[]>([]);
  const [ttl, setTtl] = useState("2160h");
  const make = useMutation({ ...createTokenMutation(), onSuccess: onMade, onSettled: () => queryClient.invalidateQueries({ queryKey: listTokensQueryKey() }) });
  const problem = make.error ? asApiError(make.error) : undefined;
  return (
    <form onSubmit={(event) => {
      event.preventDefault();
      make.mutate({ body: { name: name.trim(), role, ...(role === "invoke" && functions.length > 0 && { functions }), ...(ttl !== "" && { ttl }) } });
    }}>
      <Stack gap="md">
        <TextInput label="Name" description="What the token is for" placeholder="ci" value={name} onChange={(event) => setName(event.currentTarget.value)} maxLength={100} required data-autofocus error={told(problem?.errors.find((e) => e.field === "name"))} />
        <RoleChoice allowed={["admin", "developer", "viewer", "invoke"]} value={role} onChange={setRole} />
        {role === "invoke" && <FunctionsSelect label="Functions" description="That it may call" none="All of them" value={functions} onChange={setFunctions} />}
        <Select label="Good for" data={lives} value={ttl} onChange={(value) => setTtl(value ?? "")} allowDeselect={false} />
        {problem && <ErrorState error={problem} compact />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onCancel}>Cancel</Button>
          <Button type="submit" loading={make.isPending} disabled={name.trim() === ""}>Make token</Button>
        </Group>
      </Stack>
    </form>
  );
}

function Secret({ token, onClose }: { token: NewToken; onClose: () => void }) {
  return (
    <Stack gap="md">
      <Alert color="yellow" variant="light">Copy it now: it is shown only this once, and kept nowhere in clear.</Alert>
      <Code block style={{ overflowWrap: "anywhere", whiteSpace: "pre-wrap" }} data-testid="secret">{token.secret}</Code>
      <Group justify="space-between">
        <CopyButton value={token.secret}>
          {({ copied, copy }) => <Button variant="default" leftSection={copied ? <IconCheck size={16} /> : <IconCopy size={16} />} onClick={copy}>{copied ? "Copied" : "Copy"}</Button>}
        </CopyButton>
        <Button onClick={onClose}>Done</Button>
      </Group>
      <Text size="xs" c="var(--cove-muted)">Use it as <code>COVE_TOKEN</code>, or as the header <code>Authorization: Bearer …</code></Text>
    </Stack>
  );
}

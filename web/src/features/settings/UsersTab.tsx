import { ActionIcon, Badge, Button, Group, Menu, Modal, Paper, Stack, Table, Text, TextInput } from "@mantine/core";
import { IconDots, IconLock, IconPlus, IconTrash, IconUserOff, IconUserShield, IconUsers } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import type { User } from "@/api/gen";
import { createUserMutation, deleteUserMutation, listUsersOptions, listUsersQueryKey, patchUserMutation } from "@/api/gen/@tanstack/react-query.gen";
import { asApiError } from "@/api/problem";
import { useWho } from "@/api/who";
import { formatAgo, formatTime } from "@/components/format";
import { NewPassword } from "@/components/NewPassword";
import { notifyDone, notifyError } from "@/components/notify";
import { badPassword } from "@/components/password";
import { EmptyState, ErrorState, LoadingRows } from "@/components/states";
import { useNow } from "@/lib/useNow";

import { Confirm } from "./Confirm";
import { RoleChoice } from "./RoleChoice";
import { roles } from "./roles";

const userRoles = ["admin", "developer", "viewer"] as const;
type UserRole = (typeof userRoles)[number];
type Dialog = { kind: "role" | "password" | "delete"; user: User };

/** Who signs in here with a password. */
export function UsersTab() {
  const users = useQuery(listUsersOptions());
  const [making, setMaking] = useState(false);
  const [dialog, setDialog] = useState<Dialog>();
  const items = users.data?.items;
  const close = () => setDialog(undefined);
  return (
    <Stack gap="md">
      <Group justify="space-between">
        <Text size="sm" c="var(--cove-muted)">For people: they sign in here with a name and a password.</Text>
        <Button leftSection={<IconPlus size={16} />} onClick={() => setMaking(true)}>New user</Button>
      </Group>
      {users.error && !items && <ErrorState error={users.error} retry={() => void users.refetch()} />}
      {!items && !users.error && <Paper><LoadingRows rows={3} /></Paper>}
      {items?.length === 0 && <EmptyState icon={<IconUsers size={22} />} title="There are no users yet" action={<Button onClick={() => setMaking(true)}>New user</Button>}>One-time links of <code>cove console</code> sign in without one. Make a user for everybody who comes back.</EmptyState>}
      {items && items.length > 0 && <Users items={items} onChoose={setDialog} />}
      <Modal opened={making} onClose={() => setMaking(false)} title="New user"><UserForm onDone={() => setMaking(false)} /></Modal>
      <Modal opened={dialog?.kind === "role"} onClose={close} title={`Role of ${dialog?.user.name ?? ""}`}>{dialog && <RoleForm user={dialog.user} onDone={close} />}</Modal>
      <Modal opened={dialog?.kind === "password"} onClose={close} title={`Password of ${dialog?.user.name ?? ""}`}>{dialog && <PasswordForm user={dialog.user} onDone={close} />}</Modal>
      <DeleteUser user={dialog?.kind === "delete" ? dialog.user : undefined} onClose={close} />
    </Stack>
  );
}

/** A change of users, after which the list is asked for again. */
function useChange(done: (user: string) => void) {
  const queryClient = useQueryClient();
  return useMutation({
    ...patchUserMutation(),
    onSuccess: (_data, { path }) => done(path.name),
    onSettled: () => queryClient.invalidateQueries({ queryKey: listUsersQueryKey() }),
  });
}

function Users({ items, onChoose }: { items: User[]; onChoose: (dialog: Dialog) => void }) {
  const now = useNow(30_000);
  const who = useWho();
  const change = useChange((name) => notifyDone(`${name} is changed`));
  return (
    <Paper style={{ overflow: "hidden" }}>
      <Table.ScrollContainer minWidth={560} type="native" tabIndex={0}>
        <Table verticalSpacing={9} horizontalSpacing="md">
          <Table.Thead><Table.Tr><Table.Th>Name</Table.Th><Table.Th>Role</Table.Th><Table.Th>Last signed in</Table.Th><Table.Th>Made</Table.Th><Table.Th w={50} /></Table.Tr></Table.Thead>
          <Table.Tbody>
            {items.map((user) => (
              <Table.Tr key={user.name}>
                <Table.Td>
                  <Group gap={8}>
                    <Text size="sm" fw={550} c={user.disabled ? "var(--cove-muted)" : undefined}>{user.name}</Text>
                    {who?.kind === "session" && who.name === user.name && <Badge size="xs" variant="light">you</Badge>}
                    {user.disabled && <Badge size="xs" variant="light" color="orange">disabled</Badge>}
                  </Group>
                </Table.Td>
                <Table.Td>{roles.find((role) => role.value === user.role)?.label}</Table.Td>
                <Table.Td title={formatTime(user.last_login)}>{user.last_login ? formatAgo(user.last_login, now) : "never"}</Table.Td>
                <Table.Td title={formatTime(user.created)}>{formatAgo(user.created, now)}</Table.Td>
                <Table.Td>
                  <Menu position="bottom-end" withinPortal>
                    <Menu.Target><ActionIcon variant="subtle" color="gray" aria-label={`Change ${user.name}`}><IconDots size={17} /></ActionIcon></Menu.Target>
                    <Menu.Dropdown>
                      <Menu.Item leftSection={<IconUserShield size={15} />} onClick={() => onChoose({ kind: "role", user })}>Change role</Menu.Item>
                      <Menu.Item leftSection={<IconLock size={15} />} onClick={() => onChoose({ kind: "password", user })}>Set password</Menu.Item>
                      <Menu.Item leftSection={<IconUserOff size={15} />} onClick={() => change.mutate({ path: { name: user.name }, body: { disabled: !user.disabled } }, { onError: notifyError })}>{user.disabled ? "Enable" : "Disable"}</Menu.Item>
                      <Menu.Divider />
                      <Menu.Item color="red" leftSection={<IconTrash size={15} />} onClick={() => onChoose({ kind: "delete", user })}>Delete</Menu.Item>
                    </Menu.Dropdown>
                  </Menu>
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Paper>
  );
}

function UserForm({ onDone }: { onDone: () => void }) {
  const queryClient = useQueryClient();
  const [name, setName] = useState("");
  const [role, setRole] = useState<UserRole>("developer");
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [tried, setTried] = useState(false);
  const make = useMutation({
    ...createUserMutation(),
    onSuccess: () => {
      notifyDone(`${name} can sign in`);
      onDone();
    },
    onSettled: () => queryClient.invalidateQueries({ queryKey: listUsersQueryKey() }),
  });
  const bad = badPassword(password, again);
  return (
    <form autoComplete="off" onSubmit={(event) => {
      event.preventDefault();
      setTried(true);
      if (!bad) make.mutate({ body: { name, role, password } });
    }}>
      <Stack gap="md">
        <TextInput label="Name" description="a-z, 0-9, '-', '_' and '.'" value={name} onChange={(event) => setName(event.currentTarget.value)} required maxLength={63} data-autofocus autoComplete="off" />
        <RoleChoice allowed={userRoles} value={role} onChange={setRole} />
        <NewPassword label="Password" password={password} again={again} onPassword={setPassword} onAgain={setAgain} error={tried ? bad : undefined} />
        {make.error && <ErrorState error={make.error} compact />}
        <Buttons onCancel={onDone} label="Make user" pending={make.isPending} disabled={name === ""} />
      </Stack>
    </form>
  );
}

function RoleForm({ user, onDone }: { user: User; onDone: () => void }) {
  const [role, setRole] = useState<UserRole>(user.role);
  const change = useChange(() => {
    notifyDone(`${user.name} is ${role} now`);
    onDone();
  });
  return (
    <Stack gap="md">
      <RoleChoice allowed={userRoles} value={role} onChange={setRole} />
      {change.error && <ErrorState error={asApiError(change.error)} compact />}
      <Buttons onCancel={onDone} label="Change role" pending={change.isPending} disabled={role === user.role} onClick={() => change.mutate({ path: { name: user.name }, body: { role } })} />
    </Stack>
  );
}

function PasswordForm({ user, onDone }: { user: User; onDone: () => void }) {
  const [password, setPassword] = useState("");
  const [again, setAgain] = useState("");
  const [tried, setTried] = useState(false);
  const change = useChange(() => {
    notifyDone(`The password of ${user.name} is set`);
    onDone();
  });
  const bad = badPassword(password, again);
  return (
    <form autoComplete="off" onSubmit={(event) => {
      event.preventDefault();
      setTried(true);
      if (!bad) change.mutate({ path: { name: user.name }, body: { password } });
    }}>
      <Stack gap="md">
        <Text size="sm">Everywhere that {user.name} is signed in, they are signed out.</Text>
        <NewPassword label="Password" password={password} again={again} onPassword={setPassword} onAgain={setAgain} error={tried ? bad : undefined} />
        {change.error && <ErrorState error={change.error} compact />}
        <Buttons onCancel={onDone} label="Set password" pending={change.isPending} disabled={password === ""} />
      </Stack>
    </form>
  );
}

function DeleteUser({ user, onClose }: { user: User | undefined; onClose: () => void }) {
  const queryClient = useQueryClient();
  const remove = useMutation({
    ...deleteUserMutation(),
    onSuccess: (_data, { path }) => {
      notifyDone(`${path.name} is deleted`);
      onClose();
    },
    onError: notifyError,
    onSettled: () => queryClient.invalidateQueries({ queryKey: listUsersQueryKey() }),
  });
  return (
    <Confirm title="Delete a user" opened={user !== undefined} onClose={onClose} action="Delete" pending={remove.isPending} onConfirm={() => user && remove.mutate({ path: { name: user.name } })}>
      <b>{user?.name}</b> is signed out everywhere and cannot sign in any more. What they did stays in the audit log.
    </Confirm>
  );
}

interface ButtonsProps {
  onCancel: () => void;
  label: string;
  pending: boolean;
  disabled: boolean;
  onClick?: () => void;
}

function Buttons({ onCancel, label, pending, disabled, onClick }: ButtonsProps) {
  return (
    <Group justify="flex-end">
      <Button variant="default" onClick={onCancel}>Cancel</Button>
      <Button {...(onClick ? { onClick } : { type: "submit" as const })} loading={pending} disabled={disabled}>{label}</Button>
    </Group>
  );
}

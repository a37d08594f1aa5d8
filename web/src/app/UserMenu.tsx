import { Avatar, Menu, Text, UnstyledButton } from "@mantine/core";
import { IconLock, IconLogout } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useRouter } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";

import { logoutMutation } from "@/api/gen/@tanstack/react-query.gen";
import { useWho } from "@/api/who";
import { notifyError } from "@/components/notify";
import { forget, tellSignedOut } from "@/features/session/forget";

const ChangePassword = lazy(async () => ({ default: (await import("@/features/session/ChangePassword")).ChangePassword }));

/** Who is signed in, how they change their password, and the way out. */
export function UserMenu() {
  const who = useWho();
  const queryClient = useQueryClient();
  const router = useRouter();
  // The dialog's code is loaded when it is first opened.
  const [changing, setChanging] = useState<boolean>();
  const signOut = useMutation({
    ...logoutMutation(),
    onSuccess: async () => {
      tellSignedOut();
      await forget(router, queryClient);
    },
    // Who is told that they are signed out must be so.
    onError: notifyError,
  });
  const name = who?.name ?? "";
  return (
    <>
      <Menu position="bottom-end" shadow="md" width={220}>
        <Menu.Target>
          <UnstyledButton aria-label={`Signed in as ${name}`} style={{ borderRadius: "50%" }}>
            <Avatar size={32} radius="xl" color="cove" variant="light">
              {name.slice(0, 2).toUpperCase()}
            </Avatar>
          </UnstyledButton>
        </Menu.Target>
        <Menu.Dropdown>
          <div style={{ padding: "8px 12px" }}>
            <Text size="sm" fw={600} className="truncate">
              {name}
            </Text>
            <Text size="xs" c="var(--cove-muted)">
              {who?.role}
            </Text>
          </div>
          <Menu.Divider />
          {who?.user !== undefined && (
            <Menu.Item leftSection={<IconLock size={16} />} onClick={() => setChanging(true)}>
              Change password
            </Menu.Item>
          )}
          <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => signOut.mutate({})}>
            Sign out
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      {changing !== undefined && who?.user !== undefined && (
        <Suspense>
          <ChangePassword user={who.user} opened={changing} onClose={() => setChanging(false)} />
        </Suspense>
      )}
    </>
  );
}

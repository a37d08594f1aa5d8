import { Avatar, Menu, Text, UnstyledButton } from "@mantine/core";
import { IconLogout } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";

import { client } from "@/api/gen/client.gen";
import { useWho } from "@/api/who";

/** Who is signed in, and the way out. */
export function UserMenu() {
  const who = useWho();
  const queryClient = useQueryClient();
  const navigate = useNavigate();
  const signOut = useMutation({
    mutationFn: () => client.delete({ url: "/api/v1/session", throwOnError: true }),
    onSettled: async () => {
      await navigate({ to: "/login", search: {} });
      queryClient.clear();
      sessionStorage.clear(); // What was edited and not deployed.
    },
  });
  const name = who?.name ?? "";
  return (
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
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => signOut.mutate()}>
          Sign out
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

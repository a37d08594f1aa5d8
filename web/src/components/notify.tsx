import { Button, Group, Text } from "@mantine/core";
import { notifications } from "@mantine/notifications";

import { asApiError } from "@/api/problem";

/** Says that something is done, with a way to take it back where there is one. */
export function notifyDone(message: string, undo?: { label: string; onClick: () => void }): void {
  const id = notifications.show({
    color: "teal",
    autoClose: undo ? 10_000 : 4_000,
    message: (
      <Group justify="space-between" wrap="nowrap" gap="sm">
        <Text size="sm">{message}</Text>
        {undo && (
          <Button
            size="compact-sm"
            variant="subtle"
            onClick={() => {
              notifications.hide(id);
              undo.onClick();
            }}
          >
            {undo.label}
          </Button>
        )}
      </Group>
    ),
  });
}

/** Says why something could not be done, in the server's words. */
export function notifyError(error: unknown): void {
  const problem = asApiError(error);
  if (problem.status === 401) return; // The sign-in page says it.
  notifications.show({
    color: "red",
    autoClose: 12_000,
    title: problem.title,
    message: [problem.detail, ...problem.errors.map((e) => `${e.field}: ${e.message}`)].filter(Boolean).join(" "),
  });
}

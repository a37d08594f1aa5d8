import { Button, Group, Modal, Text } from "@mantine/core";
import type { ReactNode } from "react";

interface Props {
  title: string;
  opened: boolean;
  onClose: () => void;
  /** What the button says that does it. */
  action: string;
  pending: boolean;
  onConfirm: () => void;
  children: ReactNode;
}

/** Asks before something is done that cannot be undone. */
export function Confirm({ title, opened, onClose, action, pending, onConfirm, children }: Props) {
  return (
    <Modal opened={opened} onClose={onClose} title={title}>
      <Text size="sm" component="div">{children}</Text>
      <Group justify="flex-end" mt="lg">
        <Button variant="default" onClick={onClose} data-autofocus>Cancel</Button>
        <Button color="red" loading={pending} onClick={onConfirm}>{action}</Button>
      </Group>
    </Modal>
  );
}

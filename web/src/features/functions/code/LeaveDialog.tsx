import { Button, Group, Modal, Text } from "@mantine/core";

/** Asks before what was edited is given up. */
export function LeaveDialog(props: { opened: boolean; onStay: () => void; onLeave: () => void }) {
  return (
    <Modal opened={props.opened} onClose={props.onStay} title="Leave without deploying?">
      <Text size="sm">What you changed is not deployed. Leaving this page discards it.</Text>
      <Group justify="flex-end" gap="xs" mt="lg">
        <Button variant="default" onClick={props.onStay} data-autofocus>
          Stay
        </Button>
        <Button color="red" onClick={props.onLeave}>
          Discard and leave
        </Button>
      </Group>
    </Modal>
  );
}

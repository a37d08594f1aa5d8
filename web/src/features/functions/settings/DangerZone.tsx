import { Button, Group, Text } from "@mantine/core";
import { useState } from "react";

import type { Function as Fn } from "@/api/gen";
import { notifyDone, notifyError } from "@/components/notify";

import { DeleteDialog } from "../DeleteDialog";
import { useSwitch } from "../queries";

import { Section } from "./Section";
import classes from "./SettingsPage.module.css";

/** Disabling and deleting. */
export function DangerZone({ fn }: { fn: Fn }) {
  const change = useSwitch();
  const [deleting, setDeleting] = useState(false);
  const enabled = !fn.disabled;
  return (
    <Section title="Disable or delete" about="Disabling can be taken back at any time, deleting cannot." danger>
      <Group className={classes.whole} justify="space-between">
        <Text size="sm">{enabled ? "It takes requests." : "It refuses every request with 503."}</Text>
        <Button
          variant="default"
          loading={change.isPending}
          onClick={() =>
            change.mutate(
              { name: fn.name, enabled: !enabled },
              { onSuccess: () => notifyDone(enabled ? `${fn.name} refuses requests now` : `${fn.name} takes requests again`), onError: notifyError },
            )
          }
        >
          {enabled ? "Disable" : "Enable"}
        </Button>
      </Group>
      <Group className={classes.whole} justify="space-between">
        <Text size="sm">Remove it with all its versions.</Text>
        <Button color="red" variant="light" onClick={() => setDeleting(true)}>
          Delete
        </Button>
      </Group>
      <DeleteDialog fn={fn} opened={deleting} onClose={() => setDeleting(false)} />
    </Section>
  );
}

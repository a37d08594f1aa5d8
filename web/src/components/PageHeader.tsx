import { Group, Stack, Text, Title } from "@mantine/core";
import { useDocumentTitle } from "@mantine/hooks";
import type { ReactNode } from "react";

import classes from "./PageHeader.module.css";

/** The top of a page: what it is, and at the right what can be done. */
export function PageHeader(props: { title: string; lead?: ReactNode; before?: ReactNode; actions?: ReactNode }) {
  useDocumentTitle(`${props.title} · Cove`);
  return (
    <div className={classes.root}>
      <Stack gap={2} className={classes.text}>
        <Group gap="xs" wrap="nowrap" miw={0}>
          {props.before}
          <Title order={1} className="truncate">
            {props.title}
          </Title>
        </Group>
        {props.lead !== undefined && (
          <Text size="sm" c="var(--cove-muted)" component="div">
            {props.lead}
          </Text>
        )}
      </Stack>
      {props.actions !== undefined && <Group gap="xs">{props.actions}</Group>}
    </div>
  );
}

import { Alert, Loader, Stack, Text } from "@mantine/core";
import { IconUpload } from "@tabler/icons-react";
import type { ReactNode } from "react";

import classes from "./DropBox.module.css";

interface Props {
  title: string;
  children: ReactNode;
  action: ReactNode;
  busy?: boolean;
  error?: string | undefined;
  /** Whether something is held over the page. */
  over: boolean;
  /** The files that were taken. */
  list?: string[] | undefined;
}

/** Says that files can be dropped, and which were; the button in it does the same for the keyboard. */
export function DropBox(props: Props) {
  return (
    <>
      <div className={classes.root} data-over={props.over || undefined}>
        {props.busy ? <Loader size="sm" /> : <IconUpload size={26} stroke={1.6} className={classes.icon} aria-hidden="true" />}
        <Stack gap={4} align="center">
          <Text fw={600}>{props.title}</Text>
          <Text size="sm" c="var(--cove-muted)" ta="center" maw={420}>
            {props.children}
          </Text>
        </Stack>
        {props.action}
      </div>
      {props.error !== undefined && (
        <Alert color="red" variant="light" role="alert">
          {props.error}
        </Alert>
      )}
      {props.list && (
        <ul className={classes.list} aria-label="Files" tabIndex={0}>
          {props.list.slice(0, 200).map((path) => (
            <li key={path}>{path}</li>
          ))}
          {props.list.length > 200 && <li>and {props.list.length - 200} more</li>}
        </ul>
      )}
    </>
  );
}

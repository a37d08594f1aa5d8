import { Alert, Loader, Stack, Text } from "@mantine/core";
import { IconUpload } from "@tabler/icons-react";
import { useState, type ReactNode } from "react";

import classes from "./DropBox.module.css";

interface Props {
  title: string;
  children: ReactNode;
  action: ReactNode;
  busy?: boolean;
  error?: string | undefined;
  onDrop: (data: DataTransfer) => void;
  /** The files that were taken. */
  list?: string[] | undefined;
}

/** A place to drop files on; the button in it does the same for the keyboard. */
export function DropBox(props: Props) {
  const [over, setOver] = useState(false);
  return (
    <>
      <div
        className={classes.root}
        data-over={over || undefined}
        onDragOver={(e) => {
          e.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(e) => {
          e.preventDefault();
          setOver(false);
          props.onDrop(e.dataTransfer);
        }}
      >
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

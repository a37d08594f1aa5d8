import { Tooltip } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { useConnection, useEvents, type Connection } from "@/api/events";
import type { SystemEvent } from "@/api/gen";
import { getSystemQueryKey as systemKey } from "@/api/gen/@tanstack/react-query.gen";
import classes from "./ConnectionBadge.module.css";

const words: Record<Connection, { label: string; help: string }> = {
  live: { label: "Live", help: "The page is told what happens as it happens." },
  connecting: { label: "Connecting", help: "The page is connecting to the daemon." },
  lost: { label: "Reconnecting", help: "The connection to the daemon was lost. What you see may be old; the page tries again by itself." },
};

/**
 * Says how the page hears from the daemon, keeps the system's state fresh, and
 * asks for everything on the page again when a connection is back that was lost, or
 * given back while nobody looked at the page.
 */
export function ConnectionBadge() {
  const connection = useConnection();
  const queryClient = useQueryClient();
  // Whether something may have happened that the page was not told of.
  const missed = useRef(false);
  useEffect(() => {
    if (connection === "live" && missed.current) void queryClient.invalidateQueries();
    if (connection !== "connecting") missed.current = true;
  }, [connection, queryClient]);
  useEvents<SystemEvent>("system", ({ system }) => {
    queryClient.setQueryData(systemKey(), system);
  });
  const { label, help } = words[connection];
  return (
    <Tooltip label={help} multiline maw={260}>
      <span className={classes.root} data-state={connection} role="status" tabIndex={0}>
        <span className={classes.dot} aria-hidden="true" />
        <span className={classes.label}>{label}</span>
      </span>
    </Tooltip>
  );
}

import { Alert, Button, Center, Loader, Paper, Skeleton, Stack, Text, ThemeIcon, Title } from "@mantine/core";
import { IconAlertTriangle, IconPlugConnectedX, IconRefresh } from "@tabler/icons-react";
import type { ReactNode } from "react";

import { asApiError } from "@/api/problem";

/** Why something could not be shown, in the server's own words, with a way to try again. */
export function ErrorState(props: { error: unknown; retry?: () => void; compact?: boolean }) {
  const error = asApiError(props.error);
  const lost = error.code === "unreachable";
  // One sees it only after signing in again.
  if (error.status === 401) return <Alert color="yellow" variant="light" title="Your session had ended" role="alert">You are signed in again: try it once more.</Alert>;
  return (
    <Alert
      color={lost ? "yellow" : "red"}
      variant="light"
      title={error.title}
      icon={lost ? <IconPlugConnectedX size={18} /> : <IconAlertTriangle size={18} />}
      role="alert"
    >
      <Stack gap="xs" align="flex-start">
        {error.detail !== "" && <Text size="sm">{error.detail}</Text>}
        {error.errors.map((e) => (
          <Text size="sm" key={`${e.field} ${e.message}`}>
            <code>{e.field}</code>: {e.message}
          </Text>
        ))}
        {!props.compact && error.requestId !== undefined && (
          <Text size="xs" c="var(--cove-muted)">
            Request <code>{error.requestId}</code>
          </Text>
        )}
        {props.retry && (
          <Button size="xs" variant="default" leftSection={<IconRefresh size={14} />} onClick={props.retry}>
            Try again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

/** That there is nothing, why, and what to do about it. */
export function EmptyState(props: { icon: ReactNode; title: string; children?: ReactNode; action?: ReactNode; bare?: boolean }) {
  const body = (
    <Stack align="center" gap="xs" py={40} px="md" ta="center">
      <ThemeIcon size={44} radius="xl" variant="light">
        {props.icon}
      </ThemeIcon>
      <Title order={3}>{props.title}</Title>
      {props.children !== undefined && (
        <Text size="sm" c="var(--cove-muted)" maw={460} component="div">
          {props.children}
        </Text>
      )}
      {props.action !== undefined && <div style={{ marginTop: 8 }}>{props.action}</div>}
    </Stack>
  );
  return props.bare ? body : <Paper>{body}</Paper>;
}

/** Rows of a table that is on its way, as high as the rows will be. */
export function LoadingRows(props: { rows?: number; height?: number }) {
  return (
    <Stack gap={1} aria-busy="true" aria-label="Loading">
      {Array.from({ length: props.rows ?? 6 }, (_, i) => (
        <Skeleton key={i} height={props.height ?? 44} radius={0} />
      ))}
    </Stack>
  );
}

/** A box of a known height that is on its way. */
export function LoadingBox(props: { height: number }) {
  return <Skeleton height={props.height} radius="md" aria-busy="true" aria-label="Loading" />;
}

/** A page whose code is on its way. */
export function LoadingPage() {
  return (
    <Center h={240} aria-busy="true" aria-label="Loading">
      <Loader size="sm" />
    </Center>
  );
}

import { Alert, Button, Checkbox, Group, Modal, Stack, Text } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { IconRocket } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import type { Function as Fn } from "@/api/gen";
import { asApiError } from "@/api/problem";
import { notifyDone, notifyError } from "@/components/notify";
import { ErrorState, LoadingBox } from "@/components/states";

import { changesOf, type FileMap } from "../files";
import { FilesDiff } from "../FilesDiff";
import { filesOptions, functionOptions, useRollback, useUpload } from "../queries";

interface Props {
  fn: Fn;
  base: number;
  files: FileMap;
  onClose: () => void;
  onDeployed: (version: number) => void;
}

/** Shows what a deploy changes against the version that runs now, and deploys it. */
export function DeployDialog({ fn, base, files, onClose, onDeployed }: Props) {
  const [warm, setWarm] = useState(true);
  const upload = useUpload(fn.name);
  const rollback = useRollback(fn.name);
  const latest = useQuery(functionOptions(fn.name));
  const now = latest.data ?? fn;
  const running = now.version.number;
  const empty = now.version.package === undefined;
  const small = useMediaQuery("(max-width: 48em)");
  const before = useQuery({ ...filesOptions(fn.name, running), enabled: !empty });
  const changes = empty ? changesOf({}, files) : before.data ? changesOf(before.data.files, files) : undefined;
  const moved = base !== 0 && running !== base;
  const stale = upload.error !== null && asApiError(upload.error).status === 412;

  const deploy = () =>
    upload.mutate(
      { files, changes: empty ? undefined : changes, revision: now.revision, warm },
      {
        onSuccess: (done) => {
          // The dialog is gone by the time of an undo, and with it what mutate would call.
          const back = () => rollback.mutateAsync(running).then((fn) => notifyDone(`Version ${fn.version.number} serves again`), notifyError);
          const undo = empty ? undefined : { label: "Undo", onClick: () => void back() };
          notifyDone(`Version ${done.version.number} serves now`, undo);
          onDeployed(done.version.number);
        },
        onError: (error) => {
          if (asApiError(error).status === 412) void latest.refetch();
        },
      },
    );

  return (
    <Modal opened onClose={onClose} title={`Deploy ${fn.name}`} size={920} fullScreen={small ?? false}>
      <Stack gap="md">
        {(moved || stale) && (
          <Alert color="yellow" variant="light" title={`Version ${running} was deployed meanwhile`}>
            You began with version {base}. Deploying replaces what is in version {running}: look at the changes below.
          </Alert>
        )}
        <Text size="sm" c="var(--cove-muted)">
          {empty ? "The first version." : `Against version ${running}, which runs now.`}
        </Text>
        {before.isError ? (
          <ErrorState error={before.error} retry={() => void before.refetch()} />
        ) : changes ? (
          <FilesDiff changes={changes} empty="Nothing differs from the version that runs." />
        ) : (
          <LoadingBox height={180} />
        )}
        {upload.isError && !stale && <ErrorState error={upload.error} compact />}
        <Group justify="space-between">
          <Checkbox
            label="Start an instance first"
            description="If it does not load, the old version goes on."
            checked={warm}
            onChange={(e) => setWarm(e.currentTarget.checked)}
          />
          <Group gap="xs" ml="auto">
            <Button variant="default" onClick={onClose}>
              Cancel
            </Button>
            <Button leftSection={<IconRocket size={16} />} onClick={deploy} loading={upload.isPending} disabled={!changes || changes.length === 0} data-autofocus>
              Deploy
            </Button>
          </Group>
        </Group>
      </Stack>
    </Modal>
  );
}

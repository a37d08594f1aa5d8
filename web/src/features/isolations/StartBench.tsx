import { Button, Checkbox, Group, Modal, Radio, Stack, Text } from "@mantine/core";
import { IconGauge } from "@tabler/icons-react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import type { BenchRun, Isolation } from "@/api/gen";
import { listBenchRunsQueryKey, startBenchMutation } from "@/api/gen/@tanstack/react-query.gen";
import { useMay } from "@/api/who";
import { ErrorState } from "@/components/states";

/** Starts a comparison of the isolations on this machine. */
export function StartBench({ isolations, running }: { isolations: Isolation[]; running: BenchRun | undefined }) {
  const may = useMay("developer");
  const [opened, setOpened] = useState(false);
  if (!may) return null;
  return (
    <>
      <Button leftSection={<IconGauge size={17} />} disabled={running !== undefined} onClick={() => setOpened(true)}>{running ? "A comparison runs" : "Compare them"}</Button>
      <Modal opened={opened} onClose={() => setOpened(false)} title="Compare the isolations">
        <BenchForm isolations={isolations.filter((one) => one.available)} onDone={() => setOpened(false)} />
      </Modal>
    </>
  );
}

function BenchForm({ isolations, onDone }: { isolations: Isolation[]; onDone: () => void }) {
  const queryClient = useQueryClient();
  const [form, setForm] = useState("quick");
  const [chosen, setChosen] = useState(() => isolations.map((one) => one.name));
  const start = useMutation({
    ...startBenchMutation(),
    onSuccess: onDone,
    onSettled: () => queryClient.invalidateQueries({ queryKey: listBenchRunsQueryKey() }),
  });
  return (
    <Stack gap="md">
      <Text size="sm">Cove measures every isolation on this machine with functions of its own: how fast they start and answer, how much they carry, what they take of memory and processors. Your functions go on meanwhile, but share the machine.</Text>
      <Radio.Group label="How thoroughly" value={form} onChange={setForm}>
        <Stack gap={8} mt={6}>
          <Radio value="quick" label="Quick" description="About two minutes; few calls of each kind" />
          <Radio value="full" label="Thorough" description="About ten minutes; differences that are small are seen too" />
        </Stack>
      </Radio.Group>
      <Checkbox.Group label="Which" value={chosen} onChange={setChosen}>
        <Group mt={6}>{isolations.map((one) => <Checkbox key={one.name} value={one.name} label={one.name} />)}</Group>
      </Checkbox.Group>
      {start.error && <ErrorState error={start.error} compact />}
      <Group justify="flex-end">
        <Button variant="default" onClick={onDone}>Cancel</Button>
        <Button loading={start.isPending} disabled={chosen.length === 0} onClick={() => start.mutate({ body: { quick: form === "quick", ...(chosen.length < isolations.length && { isolations: chosen }) } })}>Start</Button>
      </Group>
    </Stack>
  );
}

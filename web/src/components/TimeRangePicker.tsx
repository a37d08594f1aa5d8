import { Button, Group, Popover, Stack, TextInput, UnstyledButton } from "@mantine/core";
import { IconCalendar, IconChevronDown } from "@tabler/icons-react";
import { useState } from "react";

import { presets, useTimeRange } from "./timeRange";
import classes from "./TimeRangePicker.module.css";

/** Chooses the time range of the page and keeps it in the URL. */
export function TimeRangePicker() {
  const [range, setRange] = useTimeRange();
  const [opened, setOpened] = useState(false);
  const choose = (key: string) => {
    setRange({ range: key });
    setOpened(false);
  };
  return (
    <Popover opened={opened} onChange={setOpened} position="bottom-end" shadow="md" trapFocus returnFocus>
      <Popover.Target>
        <Button
          variant="default"
          leftSection={<IconCalendar size={15} />}
          rightSection={<IconChevronDown size={14} />}
          onClick={() => setOpened((o) => !o)}
          aria-label={`Time range: ${range.label}`}
        >
          {range.label}
        </Button>
      </Popover.Target>
      <Popover.Dropdown p="xs">
        <Stack gap={2} miw={240}>
          {presets.map((p) => (
            <UnstyledButton key={p.key} className={classes.preset} data-active={p.key === range.preset || undefined} onClick={() => choose(p.key)}>
              {p.label}
            </UnstyledButton>
          ))}
          <Custom
            onChoose={(from, to) => {
              setRange({ from, to });
              setOpened(false);
            }}
          />
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}

function Custom(props: { onChoose: (from: string, to: string) => void }) {
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const ready = from !== "" && to !== "" && new Date(from) < new Date(to);
  return (
    <form
      className={classes.custom}
      onSubmit={(e) => {
        e.preventDefault();
        if (ready) props.onChoose(new Date(from).toISOString(), new Date(to).toISOString());
      }}
    >
      <Stack gap="xs">
        <TextInput size="xs" type="datetime-local" label="From" value={from} onChange={(e) => setFrom(e.currentTarget.value)} />
        <TextInput
          size="xs"
          type="datetime-local"
          label="To"
          value={to}
          onChange={(e) => setTo(e.currentTarget.value)}
          error={from !== "" && to !== "" && !ready ? "Must be after From" : undefined}
        />
        <Group justify="flex-end">
          <Button size="xs" type="submit" disabled={!ready}>
            Show
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

import { ActionIcon, Button, PasswordInput, Text, TextInput, Tooltip } from "@mantine/core";
import { IconLock, IconLockOpen, IconPlus, IconTrash } from "@tabler/icons-react";

import type { EnvRow } from "../config";

import { Section, type PartProps } from "./Section";
import classes from "./SettingsPage.module.css";

/** The environment. A secret is written once and never shown again. */
export function EnvSection({ form, wrong, set, readOnly }: PartProps) {
  const change = (id: number, to: Partial<EnvRow>) => set({ env: form.env.map((row) => (row.id === id ? { ...row, ...to } : row)) });
  const add = () => set({ env: [...form.env, { id: Math.max(0, ...form.env.map((row) => row.id + 1)), name: "", value: "", secret: false, kept: false }] });
  return (
    <Section title="Environment" about="Variables that the code finds in its environment. Secrets can be written but never read here.">
      <div className={classes.whole}>
        {form.env.length === 0 && (
          <Text size="sm" c="var(--cove-muted)" mb="sm">
            None.
          </Text>
        )}
        {form.env.map((row) => (
          <div key={row.id} className={classes.env} style={{ marginBottom: 10 }}>
            <TextInput
              aria-label="Name of the variable"
              placeholder="NAME"
              classNames={{ input: "mono" }}
              value={row.name}
              error={wrong[`env.${row.id}`]}
              readOnly={readOnly || row.kept}
              onChange={(e) => change(row.id, { name: e.currentTarget.value })}
              spellCheck={false}
              autoComplete="off"
            />
            {row.secret ? (
              <PasswordInput
                aria-label={`Value of ${row.name}`}
                placeholder={row.kept ? "Kept; write to replace it" : "Value"}
                value={row.value}
                readOnly={readOnly}
                onChange={(e) => change(row.id, { value: e.currentTarget.value, kept: row.kept && e.currentTarget.value === "" })}
                autoComplete="new-password"
              />
            ) : (
              <TextInput
                aria-label={`Value of ${row.name}`}
                placeholder="Value"
                classNames={{ input: "mono" }}
                value={row.value}
                readOnly={readOnly}
                onChange={(e) => change(row.id, { value: e.currentTarget.value })}
                spellCheck={false}
                autoComplete="off"
              />
            )}
            <Tooltip label={row.secret ? (row.kept ? "A secret" : "A secret: will never be shown again") : "Make it a secret"}>
              <ActionIcon
                size={36}
                variant={row.secret ? "light" : "subtle"}
                color={row.secret ? "cove" : "gray"}
                disabled={readOnly || row.kept}
                aria-pressed={row.secret}
                aria-label={`${row.name || "The variable"} is a secret`}
                onClick={() => change(row.id, { secret: !row.secret })}
              >
                {row.secret ? <IconLock size={17} /> : <IconLockOpen size={17} />}
              </ActionIcon>
            </Tooltip>
            <ActionIcon size={36} variant="subtle" color="gray" disabled={readOnly} aria-label={`Remove ${row.name || "the variable"}`} onClick={() => set({ env: form.env.filter((r) => r.id !== row.id) })}>
              <IconTrash size={17} />
            </ActionIcon>
          </div>
        ))}
        {wrong.env !== undefined && (
          <Text size="xs" c="var(--cove-bad)" mb="sm" role="alert">
            {wrong.env}
          </Text>
        )}
        {!readOnly && (
          <Button variant="default" size="xs" leftSection={<IconPlus size={14} />} onClick={add}>
            Add a variable
          </Button>
        )}
      </div>
    </Section>
  );
}

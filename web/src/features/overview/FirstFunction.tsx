import { Button, Code, Group, Stack, Text, Title } from "@mantine/core";
import { IconArrowRight, IconBolt, IconBox, IconCode } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

import { useMay } from "@/api/who";
import { useSystem } from "@/api/live";
import { PageHeader } from "@/components/PageHeader";
import grid from "@/components/grid.module.css";

import classes from "./FirstFunction.module.css";

/** What the overview is while there is no function: the way to the first one. */
export function FirstFunction() {
  const may = useMay("developer");
  const system = useSystem().data;
  return (
    <div className={grid.page}>
      <PageHeader title="Overview" />
      <section className={classes.hero} aria-labelledby="first">
        <Stack gap="sm" align="flex-start">
          <Title order={2} id="first" className={classes.title}>Deploy your first function</Title>
          <Text maw={560} c="var(--cove-muted)" size="md">
            A function is a file with a handler. Cove gives it a sandbox and a route, keeps it warm, and shows here what it does.
          </Text>
          {may ? (
            <Group mt="xs">
              <Button size="md" rightSection={<IconArrowRight size={18} />} renderRoot={(props) => <Link to="/create" {...props} />}>Create a function</Button>
              <Text size="sm" c="var(--cove-muted)">in Python or JavaScript, in the browser</Text>
            </Group>
          ) : (
            <Text mt="xs" size="sm">You may look at functions, but not deploy them. Ask for the role developer.</Text>
          )}
        </Stack>
      </section>
      <div className={grid.three}>
        <Step icon={<IconCode size={18} />} title="From a terminal">
          <Code block>{"cove init --runtime python hello\ncove deploy hello\ncove invoke hello -d '{}'"}</Code>
        </Step>
        <Step icon={<IconBox size={18} />} title="In the isolation you choose">
          Functions run in <b>{system?.isolation ?? "a sandbox"}</b> unless they name another. <Link to="/isolations">See what this machine has</Link>, and what each costs.
        </Step>
        <Step icon={<IconBolt size={18} />} title="Without a cold start">
          Sandboxes with the language already started wait for code, so that even the first call is answered in milliseconds.
        </Step>
      </div>
    </div>
  );
}

function Step({ icon, title, children }: { icon: ReactNode; title: string; children: ReactNode }) {
  return (
    <section className={classes.step}>
      <Group gap={8} mb={8}><span className={classes.icon}>{icon}</span><Title order={3}>{title}</Title></Group>
      <div className={classes.words}>{children}</div>
    </section>
  );
}

import { Anchor, Button, Group, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useBlocker, useParams } from "@tanstack/react-router";
import { useState } from "react";

import type { Function as Fn } from "@/api/gen";
import { getHostOptions, listIsolationsOptions, listRuntimesOptions } from "@/api/gen/@tanstack/react-query.gen";
import { asApiError, told } from "@/api/problem";
import { useMay } from "@/api/who";
import { notifyDone } from "@/components/notify";
import { ErrorState, LoadingBox } from "@/components/states";

import { LeaveDialog } from "../code/LeaveDialog";
import { checkForm, countChanges, fieldOf, formOf, patchOf, type Form, type Wrong } from "../config";
import { functionOptions, usePatch } from "../queries";

import { DangerZone } from "./DangerZone";
import { EnvSection } from "./EnvSection";
import { AboutSection, DoorSection, LimitsSection, ScalingSection } from "./sections";
import classes from "./SettingsPage.module.css";

/** The settings of a function. Saving them makes a new version. */
export function SettingsPage() {
  const { name } = useParams({ strict: false }) as { name: string };
  const fn = useQuery(functionOptions(name));
  if (fn.isError && !fn.data) return <ErrorState error={fn.error} retry={() => void fn.refetch()} />;
  if (!fn.data) return <LoadingBox height={640} />;
  return <SettingsForm key={name} fn={fn.data} />;
}

function SettingsForm({ fn }: { fn: Fn }) {
  const mayEdit = useMay("developer");
  const patch = usePatch(fn.name);
  const host = useQuery({ ...getHostOptions(), staleTime: Number.POSITIVE_INFINITY });
  const runtimes = useQuery({ ...listRuntimesOptions(), staleTime: 60_000 });
  const isolations = useQuery({ ...listIsolationsOptions(), staleTime: 60_000 });
  // The settings that the form began with; another version shows them anew, unless
  // something was typed already.
  const [before, setBefore] = useState(() => ({ number: fn.version.number, form: formOf(fn.version.config) }));
  const [form, setForm] = useState(before.form);
  const changes = patchOf(before.form, form);
  const count = countChanges(changes);
  if (fn.version.number !== before.number && count === 0) {
    const form = formOf(fn.version.config);
    setBefore({ number: fn.version.number, form });
    setForm(form);
  }
  const wrong: Wrong = { ...refused(patch.error), ...checkForm(form, host.data?.cpus) };
  const set = (change: Partial<Form>) => {
    if (patch.error) patch.reset();
    setForm((old) => ({ ...old, ...change }));
  };
  const blocker = useBlocker({ shouldBlockFn: () => count > 0, enableBeforeUnload: () => count > 0, withResolver: true });

  const save = () => {
    const sent = form;
    patch.mutate(changes, {
      onSuccess: (done) => {
        const form = formOf(done.version.config);
        setBefore({ number: done.version.number, form });
        // What was typed while it was saved is not lost, and not saved yet.
        setForm((now) => (now === sent ? form : now));
        notifyDone(`Saved: version ${done.version.number} serves now`);
      },
    });
  };
  const shared = { form, wrong, set, readOnly: !mayEdit };
  const problem = patch.error && Object.keys(refused(patch.error)).length === 0 ? patch.error : undefined;
  return (
    <form
      className={classes.root}
      noValidate
      onSubmit={(e) => {
        e.preventDefault();
        if (count > 0 && Object.keys(checkForm(form, host.data?.cpus)).length === 0) save();
      }}
    >
      <AboutSection {...shared} runtimes={runtimes.data?.items} isolations={isolations.data?.items} />
      <DoorSection {...shared} />
      <LimitsSection {...shared} cpus={host.data?.cpus} />
      <ScalingSection {...shared} />
      <EnvSection {...shared} />
      {mayEdit && <DangerZone fn={fn} />}
      {problem && <ErrorState error={problem} compact />}
      {count > 0 && (
        <div className={classes.bar} role="region" aria-label="Unsaved changes">
          <Text size="sm" fw={600} className="truncate">
            {count === 1 ? "1 change" : `${count} changes`}
            {Object.keys(wrong).length > 0 && (
              <Anchor component="button" type="button" size="sm" c="var(--cove-bad)" ml="sm" onClick={showWrong}>
                {Object.keys(wrong).length} wrong
              </Anchor>
            )}
          </Text>
          <Group gap="xs" wrap="nowrap">
            <Button variant="subtle" color="gray" onClick={() => setForm(before.form)}>
              Discard
            </Button>
            <Button type="submit" loading={patch.isPending} disabled={Object.keys(checkForm(form, host.data?.cpus)).length > 0}>
              Save
            </Button>
          </Group>
        </div>
      )}
      <LeaveDialog opened={blocker.status === "blocked"} onStay={() => blocker.reset?.()} onLeave={() => blocker.proceed?.()} />
    </form>
  );
}

/** Goes to the first field that is wrong. */
function showWrong() {
  document.querySelector<HTMLElement>('main [aria-invalid="true"]')?.focus();
}

/** What the API found wrong, by the form's fields. */
function refused(error: unknown): Wrong {
  if (!error) return {};
  const wrong: Wrong = {};
  for (const e of asApiError(error).errors) wrong[fieldOf(e.field)] = told(e) ?? "";
  return wrong;
}

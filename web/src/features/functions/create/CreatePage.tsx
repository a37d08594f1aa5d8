import { Alert, Button, Checkbox, Group, SegmentedControl, Select, Stack, Text, TextInput } from "@mantine/core";
import { IconArrowLeft, IconRocket } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import { useState, type FormEvent, type ReactNode } from "react";

import { putEvent, type Isolation, type Runtime, type Template } from "@/api/gen";
import { listIsolationsOptions, listRuntimesOptions, listTemplatesOptions } from "@/api/gen/@tanstack/react-query.gen";
import { asApiError, told } from "@/api/problem";
import { useMay } from "@/api/who";
import { notifyDone } from "@/components/notify";
import { PageHeader } from "@/components/PageHeader";
import { ErrorState, LoadingBox } from "@/components/states";

import { wrongName, wrongRoute } from "../config";
import { useCreate, type NewFunction } from "../queries";
import type { CreateSearch } from "../search";

import { ArchiveSource } from "./ArchiveSource";
import classes from "./CreatePage.module.css";
import { FolderSource } from "./FolderSource";
import { nameFrom } from "./source";
import { TemplateSource } from "./TemplateSource";
import { useDrop, type Dropped } from "./useDrop";

/** What a function is made of, as the page has it so far. */
export interface Source {
  code: NewFunction["code"];
  /** What the source itself says: a template's settings, or cove.yaml. */
  config: Record<string, unknown>;
  /** A name to propose. */
  name: string;
  language?: "python" | "node" | undefined;
  /** An event to try it with, which is saved for the test page. */
  event?: unknown;
}

/** What a template's event is saved as. */
const exampleEvent = "example";

/** Makes a function of a template, a folder or an archive. */
export function CreatePage() {
  const search = useSearch({ strict: false }) as CreateSearch;
  const navigate = useNavigate();
  const mayCreate = useMay("developer");
  const templates = useQuery({ ...listTemplatesOptions(), staleTime: Number.POSITIVE_INFINITY });
  const runtimes = useQuery({ ...listRuntimesOptions(), staleTime: 60_000 });
  const isolations = useQuery({ ...listIsolationsOptions(), staleTime: 60_000 });
  const [picked, setPicked] = useState<{ from: string; source: Source } | undefined>();
  const from = search.from ?? "template";
  const template = from === "template" ? (templates.data?.items.find((t) => t.name === search.template) ?? templates.data?.items[0]) : undefined;
  const source = template ? ofTemplate(template) : picked?.from === from ? picked.source : undefined;
  const choose = (next: string) => void navigate({ to: "/create", search: next === "template" ? {} : { from: next as "folder" }, replace: true });

  const [dropped, setDropped] = useState<Dropped>();
  const over = useDrop((next) => {
    setDropped(next);
    choose(next.kind);
  }, mayCreate);

  if (!mayCreate) {
    return (
      <>
        <Head />
        <Alert color="gray">Your role may look at functions but not deploy any. An admin can change that.</Alert>
      </>
    );
  }
  return (
    <>
      <Head />
      <div className={classes.columns}>
        <Stack gap="md" miw={0}>
          <SegmentedControl
            aria-label="What to begin with"
            value={from}
            onChange={choose}
            data={[
              { value: "template", label: "Template" },
              { value: "folder", label: "Folder" },
              { value: "archive", label: "Archive" },
            ]}
          />
          {from === "folder" ? (
            <FolderSource over={over} dropped={dropped?.kind === "folder" ? dropped : undefined} onPick={(s) => setPicked(s && { from, source: s })} />
          ) : from === "archive" ? (
            <ArchiveSource over={over} dropped={dropped?.kind === "archive" ? dropped.file : undefined} onPick={(s) => setPicked(s && { from, source: s })} />
          ) : templates.isError ? (
            <ErrorState error={templates.error} retry={() => void templates.refetch()} />
          ) : template && templates.data ? (
            <TemplateSource templates={templates.data.items} chosen={template} onChoose={(name) => void navigate({ to: "/create", search: { template: name }, replace: true })} />
          ) : (
            <LoadingBox height={420} />
          )}
        </Stack>
        <Details
          // Another source is another function: what was typed for the one is not kept for the other.
          key={`${from} ${template?.name ?? ""} ${source?.name ?? ""}`}
          source={source}
          runtimes={runtimes.data?.items}
          isolations={isolations.data?.items}
        />
      </div>
    </>
  );
}

function Head() {
  return (
    <PageHeader
      title="Create a function"
      lead={
        <Link to="/functions" className={classes.back}>
          <IconArrowLeft size={14} aria-hidden="true" /> Functions
        </Link>
      }
    />
  );
}

function ofTemplate(template: Template): Source {
  return { code: { files: template.files }, config: { ...template.config }, name: template.config.name, event: template.event };
}

/** The name, the route and where it runs, and the button that deploys it. */
function Details(props: { source: Source | undefined; runtimes: Runtime[] | undefined; isolations: Isolation[] | undefined }) {
  const { source } = props;
  const create = useCreate();
  const navigate = useNavigate();
  const [typed, setTyped] = useState<{ name?: string; route?: string; runtime?: string; isolation?: string; handler?: string }>({});
  const [hasRoute, setHasRoute] = useState<boolean | undefined>();
  const proposal = text(source?.config.name) ?? source?.name ?? "";
  const name = typed.name ?? nameFrom(proposal);
  const route = typed.route ?? routeFor(source, proposal, name);
  const open = hasRoute ?? (source?.config.route !== undefined || source?.config.name === undefined);
  const runtime = typed.runtime ?? runtimeFor(source, props.runtimes);
  const isolation = typed.isolation ?? text(source?.config.isolation);
  const handler = typed.handler ?? text(source?.config.handler) ?? "";
  const problem = create.error ? asApiError(create.error) : undefined;
  const refused = (field: string) => told(problem?.errors.find((e) => e.field === field));
  const wrong = { name: wrongName(name), route: open ? (route === "" ? "Needed, or take the tick away" : wrongRoute(route)) : undefined };
  const ready = source !== undefined && runtime !== undefined && !wrong.name && !wrong.route;
  const isTemplate = source !== undefined && "files" in source.code;

  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (!source || !ready || create.isPending) return;
    const { route: _, ...rest } = source.config;
    const config = { ...rest, name, runtime, ...(open ? { route } : {}), ...(isolation ? { isolation } : {}), ...(handler ? { handler } : {}) };
    create.mutate(
      { config, code: source.code },
      {
        onSuccess: async (fn) => {
          notifyDone(`${fn.name} is deployed`);
          // Without it the page begins with an empty event, which is no reason to stop here.
          const saved = source.event !== undefined && !(await putEvent({ path: { name: fn.name, event: exampleEvent }, body: source.event })).error;
          void navigate({ to: "/functions/$name/test", params: { name: fn.name }, search: saved ? { event: exampleEvent } : {} });
        },
      },
    );
  };

  return (
    <form className={classes.details} onSubmit={submit} noValidate>
      <Stack gap="md">
        <TextInput
          label="Name"
          description="Unique, and cannot be changed later"
          value={name}
          onChange={(e) => setTyped({ ...typed, name: e.currentTarget.value })}
          error={(source && (name !== "" || typed.name !== undefined) ? wrong.name : undefined) ?? refused("name")}
          spellCheck={false}
          autoComplete="off"
          disabled={!source}
        />
        <Stack gap={8}>
          <Checkbox label="Answers HTTP requests at a route" checked={open} disabled={!source} onChange={(e) => setHasRoute(e.currentTarget.checked)} />
          {open && (
            <TextInput
              aria-label="Route"
              value={route}
              onChange={(e) => setTyped({ ...typed, route: e.currentTarget.value })}
              error={(source ? wrong.route : undefined) ?? refused("route")}
              classNames={{ input: "mono" }}
              spellCheck={false}
              disabled={!source}
            />
          )}
        </Stack>
        <Select
          label="Runtime"
          data={(props.runtimes ?? []).map((r) => ({ value: r.name, label: r.available ? r.name : `${r.name} (no image)`, disabled: !r.available }))}
          value={runtime ?? null}
          onChange={(value) => setTyped({ ...typed, runtime: value ?? undefined } as typeof typed)}
          allowDeselect={false}
          disabled={!source || isTemplate}
          error={refused("runtime")}
        />
        <Select
          label="Isolation"
          data={(props.isolations ?? []).map((i) => ({ value: i.name, label: labelOf(i), disabled: !i.available }))}
          value={isolation ?? props.isolations?.find((i) => i.default)?.name ?? null}
          onChange={(value) => setTyped({ ...typed, isolation: value ?? undefined } as typeof typed)}
          allowDeselect={false}
          disabled={!source}
          error={refused("isolation")}
        />
        {source && !isTemplate && (
          <TextInput
            label="Handler"
            description="file.function; empty for the runtime’s own"
            placeholder={props.runtimes?.find((r) => r.name === runtime)?.handler ?? ""}
            value={handler}
            onChange={(e) => setTyped({ ...typed, handler: e.currentTarget.value })}
            error={refused("handler")}
            classNames={{ input: "mono" }}
            spellCheck={false}
          />
        )}
        {problem && <ErrorState error={problem} compact />}
        <Group justify="space-between" wrap="nowrap">
          <Text size="xs" c="var(--cove-muted)">
            {hint(source, isTemplate)}
          </Text>
          <Button type="submit" leftSection={<IconRocket size={16} />} disabled={!ready} loading={create.isPending} style={{ flexShrink: 0 }}>
            Deploy
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function hint(source: Source | undefined, isTemplate: boolean): ReactNode {
  if (!source) return "Choose the code first.";
  return isTemplate ? "All else has defaults; change it any time." : "Settings of cove.yaml are taken over.";
}

function labelOf(i: Isolation): string {
  if (!i.available) return `${i.name} (not available)`;
  return i.default ? `${i.name} (default)` : i.name;
}

function text(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** The route that goes with the name: that of the source, with its name in it replaced. */
function routeFor(source: Source | undefined, proposal: string, name: string): string {
  const route = text(source?.config.route);
  if (route === undefined) return name === "" ? "" : `/${name}`;
  const first = `/${proposal}`;
  return route === first || route.startsWith(`${first}/`) ? `/${name}${route.slice(first.length)}` : route;
}

function runtimeFor(source: Source | undefined, runtimes: Runtime[] | undefined): string | undefined {
  const asked = text(source?.config.runtime) ?? source?.language;
  if (asked === undefined) return undefined;
  return runtimes?.find((r) => r.name === asked || r.aliases?.includes(asked))?.name ?? (runtimes ? undefined : asked);
}

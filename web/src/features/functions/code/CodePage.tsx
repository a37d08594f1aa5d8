import { Alert, Button, Group, Skeleton, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useBlocker, useParams } from "@tanstack/react-router";
import { IconCode, IconRocket } from "@tabler/icons-react";
import { useEffect, useMemo, useState } from "react";

import type { Function as Fn } from "@/api/gen";
import { asApiError } from "@/api/problem";
import { useMay, useWho } from "@/api/who";
import { CodeEditor } from "@/components/code";
import { formatBytes } from "@/components/format";
import { EmptyState, ErrorState, LoadingBox } from "@/components/states";

import { changesOf, handlerFile, isText, rename, sizeOf, without, type FileMap } from "../files";
import { filesOptions, functionOptions } from "../queries";

import classes from "./CodePage.module.css";
import { DeployDialog } from "./DeployDialog";
import { dropDraft, loadDraft, saveDraft } from "./draft";
import { FileTree } from "./FileTree";
import { LeaveDialog } from "./LeaveDialog";

/** Edits the code of a function in the browser. */
export function CodePage() {
  const { name } = useParams({ strict: false }) as { name: string };
  const fn = useQuery(functionOptions(name));
  // What is edited is the version that was there at the beginning, also when
  // somebody else deploys another one meanwhile.
  const by = useWho()?.id ?? "";
  const [draft] = useState(() => loadDraft(name, by));
  const [base, setBase] = useState<number | undefined>(draft?.base);
  const active = fn.data?.version;
  const number = base ?? active?.number;
  useEffect(() => {
    if (base === undefined && active) setBase(active.number);
  }, [base, active]);
  const files = useQuery({ ...filesOptions(name, number ?? 0), enabled: number !== undefined && (active?.package !== undefined || base !== undefined) });

  if (fn.data && !active?.package && !draft) return <NoCode fn={fn.data} onDeployed={setBase} />;
  if (files.isError) {
    const gone = asApiError(files.error).status === 404 && base !== active?.number;
    const begin = () => {
      dropDraft(name);
      setBase(active?.number);
    };
    return <ErrorState error={files.error} retry={gone ? begin : () => void files.refetch()} />;
  }
  if (!fn.data || !files.data || number === undefined) return <LoadingBox height={560} />;
  return (
    <Workbench
      key={`${name} ${number}`}
      fn={fn.data}
      base={number}
      original={files.data.files}
      skipped={files.data.skipped}
      draft={draft?.base === number ? draft.files : undefined}
      onDeployed={setBase}
    />
  );
}

function NoCode({ fn, onDeployed }: { fn: Fn; onDeployed: (version: number) => void }) {
  const mayEdit = useMay("developer");
  const [writing, setWriting] = useState(false);
  if (writing) return <Workbench fn={fn} base={0} original={{}} skipped={[]} draft={undefined} onDeployed={onDeployed} />;
  return (
    <EmptyState icon={<IconCode size={22} />} title="It has no code yet" action={mayEdit && <Button onClick={() => setWriting(true)}>Write the first file</Button>}>
      Every call of it is answered with no_code.
    </EmptyState>
  );
}

interface WorkbenchProps {
  fn: Fn;
  base: number;
  original: FileMap;
  skipped: string[];
  draft: FileMap | undefined;
  onDeployed: (version: number) => void;
}

function Workbench({ fn, base, original, skipped, draft, onDeployed }: WorkbenchProps) {
  const mayEdit = useMay("developer");
  const by = useWho()?.id ?? "";
  const [files, setFiles] = useState<FileMap>(draft ?? original);
  const paths = useMemo(() => Object.keys(files), [files]);
  const [selected, setSelected] = useState(() => handlerFile(fn.version.config.handler, paths));
  const [deploying, setDeploying] = useState(false);
  const changes = useMemo(() => changesOf(original, files), [original, files]);
  const dirty = changes.length > 0;
  const path = selected !== undefined && Object.hasOwn(files, selected) ? selected : paths[0];

  useEffect(() => {
    if (dirty) saveDraft(fn.name, { base, files, by });
    else dropDraft(fn.name);
  }, [dirty, fn.name, base, files, by]);
  useEffect(() => {
    const onKey = (e: KeyboardEvent) => {
      if ((e.ctrlKey || e.metaKey) && e.key === "s") {
        e.preventDefault();
        if (dirty && mayEdit) setDeploying(true);
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, [dirty, mayEdit]);
  const blocker = useBlocker({
    shouldBlockFn: () => dirty,
    enableBeforeUnload: () => dirty,
    withResolver: true,
  });

  const write = (target: string, text: string) => setFiles((all) => ({ ...all, [target]: text }));
  return (
    <>
      {skipped.length > 0 && (
        <Alert color="blue" variant="light" mb="md" title="Not every file is shown">
          Some are too large or too many for a page, such as {skipped[0]}. They stay as they are when you deploy from here.
        </Alert>
      )}
      <div className={classes.root}>
        <div className={classes.bar}>
          <Text size="sm" className="truncate" aria-live="polite">
            {dirty ? (
              <span className={classes.dirty}>{changes.length === 1 ? "1 file changed" : `${changes.length} files changed`}</span>
            ) : (
              <span className={classes.clean}>{base === 0 ? "No version yet" : `Version ${base}${base === fn.version.number ? ", running" : ""}`}</span>
            )}
          </Text>
          {mayEdit && (
            <Group gap="xs" wrap="nowrap">
              {dirty && (
                <Button variant="subtle" color="gray" onClick={() => setFiles(original)}>
                  Discard
                </Button>
              )}
              <Button leftSection={<IconRocket size={16} />} disabled={!dirty} onClick={() => setDeploying(true)}>
                Deploy
              </Button>
            </Group>
          )}
        </div>
        <FileTree
          files={files}
          changes={changes}
          selected={path}
          readOnly={!mayEdit}
          onSelect={setSelected}
          onAdd={(added) => {
            setFiles((all) => ({ ...all, [added]: "" }));
            setSelected(added);
          }}
          onRename={(from, to) => {
            setFiles((all) => rename(all, from, to));
            if (path === from) setSelected(to);
          }}
          onDelete={(gone) => setFiles((all) => without(all, gone))}
        />
        <div className={classes.editor}>{path === undefined ? <NoFile /> : <Content path={path} content={files[path]} readOnly={!mayEdit} onChange={(text) => write(path, text)} />}</div>
      </div>
      {deploying && (
        <DeployDialog
          fn={fn}
          base={base}
          files={files}
          onClose={() => setDeploying(false)}
          onDeployed={(version) => {
            dropDraft(fn.name);
            setDeploying(false);
            setFiles(files);
            onDeployed(version);
          }}
        />
      )}
      <LeaveDialog
        opened={blocker.status === "blocked"}
        onStay={() => blocker.reset?.()}
        onLeave={() => {
          dropDraft(fn.name);
          blocker.proceed?.();
        }}
      />
    </>
  );
}

function NoFile() {
  return (
    <Text p="lg" c="var(--cove-muted)" size="sm">
      Add a file to begin.
    </Text>
  );
}

function Content(props: { path: string; content: FileMap[string] | undefined; readOnly: boolean; onChange: (text: string) => void }) {
  const { path, content } = props;
  if (content === undefined) return <Skeleton height="100%" />;
  if (!isText(content)) {
    return (
      <Text p="lg" c="var(--cove-muted)" size="sm">
        {path} is no text ({formatBytes(sizeOf(content))}). It is deployed as it is.
      </Text>
    );
  }
  return <CodeEditor path={path} value={content} readOnly={props.readOnly} onChange={props.onChange} label={`${path}; Escape and then Tab leaves the editor`} />;
}

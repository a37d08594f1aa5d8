import { ActionIcon, Group, Menu, Text, TextInput } from "@mantine/core";
import { IconDots, IconFile, IconFilePlus, IconFolder } from "@tabler/icons-react";
import { useState, type FormEvent } from "react";

import { treeOf, wrongPath, type FileChange, type FileMap, type TreeNode } from "../files";

import classes from "./FileTree.module.css";

interface Props {
  files: FileMap;
  changes: FileChange[];
  selected: string | undefined;
  readOnly: boolean;
  onSelect: (path: string) => void;
  onAdd: (path: string) => void;
  onRename: (from: string, to: string) => void;
  onDelete: (path: string) => void;
}

type Naming = { of: "new" } | { of: "file"; path: string } | undefined;

/** The files of a package, to choose, add, rename and delete. */
export function FileTree(props: Props) {
  const [naming, setNaming] = useState<Naming>();
  const kinds = new Map(props.changes.map((c) => [c.path, c.kind]));
  const row = (node: TreeNode, depth: number) => {
    const indent = { paddingLeft: 10 + depth * 14 };
    if (node.children) {
      return (
        <li key={`${node.path}/`}>
          <div className={classes.folder} style={indent}>
            <IconFolder size={15} aria-hidden="true" />
            <span className="truncate">{node.name}</span>
          </div>
          <ul className={classes.list}>{node.children.map((child) => row(child, depth + 1))}</ul>
        </li>
      );
    }
    if (naming?.of === "file" && naming.path === node.path) {
      return (
        <li key={node.path}>
          <NameField
            label={`New name of ${node.path}`}
            initial={node.path}
            check={(path) => wrongPath(path, props.files, node.path)}
            onDone={(path) => {
              if (path !== undefined && path !== node.path) props.onRename(node.path, path);
              setNaming(undefined);
            }}
          />
        </li>
      );
    }
    return (
      <li key={node.path} className={classes.row} data-selected={node.path === props.selected || undefined}>
        <button type="button" className={classes.file} style={indent} aria-current={node.path === props.selected} onClick={() => props.onSelect(node.path)}>
          <IconFile size={15} aria-hidden="true" />
          <span className="truncate">{node.name}</span>
          {kinds.has(node.path) && <ChangeMark kind={kinds.get(node.path)!} />}
        </button>
        {!props.readOnly && (
          <Menu position="bottom-end" shadow="md" width={150}>
            <Menu.Target>
              <ActionIcon className={classes.more} size="sm" variant="subtle" color="gray" aria-label={`More for ${node.path}`}>
                <IconDots size={14} />
              </ActionIcon>
            </Menu.Target>
            <Menu.Dropdown>
              <Menu.Item onClick={() => setNaming({ of: "file", path: node.path })}>Rename</Menu.Item>
              <Menu.Item color="red" onClick={() => props.onDelete(node.path)}>
                Delete
              </Menu.Item>
            </Menu.Dropdown>
          </Menu>
        )}
      </li>
    );
  };
  const removed = props.changes.filter((c) => c.kind === "removed");
  return (
    <nav className={classes.root} aria-label="Files">
      <Group justify="space-between" className={classes.head}>
        <Text size="xs" fw={600} c="var(--cove-muted)">
          Files
        </Text>
        {!props.readOnly && (
          <ActionIcon size="sm" variant="subtle" color="gray" aria-label="Add a file" onClick={() => setNaming({ of: "new" })}>
            <IconFilePlus size={16} />
          </ActionIcon>
        )}
      </Group>
      {naming?.of === "new" && (
        <NameField
          label="Name of the new file"
          initial=""
          check={(path) => wrongPath(path, props.files)}
          onDone={(path) => {
            if (path !== undefined) props.onAdd(path);
            setNaming(undefined);
          }}
        />
      )}
      <ul className={classes.list}>{treeOf(Object.keys(props.files)).map((node) => row(node, 0))}</ul>
      {removed.length > 0 && (
        <ul className={classes.list} aria-label="Removed">
          {removed.map((c) => (
            <li key={c.path} className={classes.removed}>
              <s className="truncate">{c.path}</s>
              <ChangeMark kind="removed" />
            </li>
          ))}
        </ul>
      )}
    </nav>
  );
}

/** One letter for what happened to a file. */
export function ChangeMark(props: { kind: FileChange["kind"] }) {
  return (
    <span className={classes.mark} data-kind={props.kind} title={props.kind}>
      {{ added: "A", changed: "M", removed: "D" }[props.kind]}
    </span>
  );
}

function NameField(props: { label: string; initial: string; check: (path: string) => string | undefined; onDone: (path: string | undefined) => void }) {
  const [path, setPath] = useState(props.initial);
  const wrong = props.check(path);
  const submit = (e: FormEvent) => {
    e.preventDefault();
    if (wrong === undefined) props.onDone(path);
  };
  return (
    <form onSubmit={submit} className={classes.naming}>
      <TextInput
        size="xs"
        autoFocus
        aria-label={props.label}
        placeholder="lib/helper.py"
        value={path}
        onChange={(e) => setPath(e.currentTarget.value)}
        error={path !== "" && path !== props.initial ? wrong : undefined}
        onKeyDown={(e) => {
          if (e.key === "Escape") props.onDone(undefined);
        }}
        onBlur={() => props.onDone(wrong === undefined ? path : undefined)}
        classNames={{ input: "mono" }}
        spellCheck={false}
      />
    </form>
  );
}

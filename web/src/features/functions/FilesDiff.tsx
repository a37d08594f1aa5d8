import { SegmentedControl, Text } from "@mantine/core";
import { useMediaQuery } from "@mantine/hooks";
import { useState } from "react";

import { CodeDiff } from "@/components/code";

import { ChangeMark } from "./code/FileTree";
import { isText, textOf, type FileChange } from "./files";
import classes from "./FilesDiff.module.css";

/** Beyond this many characters a file's changes are not worked out in the browser. */
const mostCharacters = 400_000;

/** What changed between two sets of files, file by file. */
export function FilesDiff(props: { changes: FileChange[]; empty: string }) {
  const wide = useMediaQuery("(min-width: 62em)");
  const [split, setSplit] = useState(false);
  if (props.changes.length === 0) {
    return (
      <Text size="sm" c="var(--cove-muted)" py="md">
        {props.empty}
      </Text>
    );
  }
  return (
    <div>
      {wide && (
        <div className={classes.switch}>
          <SegmentedControl
            size="xs"
            aria-label="How changes are shown"
            value={split ? "split" : "unified"}
            onChange={(value) => setSplit(value === "split")}
            data={[
              { value: "unified", label: "Unified" },
              { value: "split", label: "Side by side" },
            ]}
          />
        </div>
      )}
      {props.changes.map((change) => (
        <section key={change.path} className={classes.file}>
          <h3 className={classes.head}>
            <code className="truncate">{change.path}</code>
            <ChangeMark kind={change.kind} />
          </h3>
          <Body change={change} split={Boolean(wide) && split} />
        </section>
      ))}
    </div>
  );
}

function Body(props: { change: FileChange; split: boolean }) {
  const { before, after, path } = props.change;
  const binary = (before !== undefined && !isText(before)) || (after !== undefined && !isText(after));
  const [a, b] = [textOf(before), textOf(after)];
  if (binary || a.length + b.length > mostCharacters) {
    return (
      <Text size="sm" c="var(--cove-muted)" p="sm">
        {binary ? "No text: its bytes differ." : "Too large to be compared here."}
      </Text>
    );
  }
  return <CodeDiff path={path} before={a} after={b} split={props.split} />;
}

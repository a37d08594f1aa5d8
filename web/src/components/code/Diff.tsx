import { MergeView, unifiedMergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, lineNumbers } from "@codemirror/view";
import { useEffect, useRef } from "react";

import { appearance } from "./appearance";
import classes from "./Diff.module.css";
import { languageOf } from "./languages";

interface Props {
  path: string;
  before: string;
  after: string;
  /** Side by side, where there is room for it. */
  split?: boolean;
}

/** What changed between two texts. Long unchanged stretches are folded. */
export default function Diff({ path, before, after, split }: Props) {
  const parent = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!parent.current) return;
    const shared = [
      lineNumbers(),
      languageOf(path),
      appearance,
      EditorState.readOnly.of(true),
      EditorView.editable.of(false),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": `Changes of ${path}`, tabindex: "0" }),
    ];
    const collapseUnchanged = { margin: 3, minSize: 6 };
    const view = split
      ? new MergeView({ parent: parent.current, a: { doc: before, extensions: shared }, b: { doc: after, extensions: shared }, collapseUnchanged, gutter: true })
      : new EditorView({
          parent: parent.current,
          doc: after,
          extensions: [shared, unifiedMergeView({ original: before, mergeControls: false, collapseUnchanged, gutter: true })],
        });
    return () => view.destroy();
  }, [path, before, after, split]);
  return <div ref={parent} className={classes.root} />;
}

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit } from "@codemirror/language";
import { highlightSelectionMatches, searchKeymap } from "@codemirror/search";
import { EditorState, type Extension } from "@codemirror/state";
import { drawSelection, EditorView, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { useEffect, useRef } from "react";

import { appearance } from "./appearance";
import classes from "./Editor.module.css";
import { languageOf } from "./languages";

interface Props {
  /** Chooses the language. Another path is another document, with a history of its own. */
  path: string;
  value: string;
  onChange?: (value: string) => void;
  readOnly?: boolean;
  /** What a screen reader calls it. */
  label: string;
  placeholder?: string;
  /** CSS lengths; it fills its parent without them. */
  minHeight?: string;
  maxHeight?: string;
  extensions?: Extension;
}

/**
 * A code editor. Tab indents; Escape and then Tab leaves it. A value that is set
 * from outside replaces the text; one that comes back from onChange does not.
 */
export default function Editor({ path, value, onChange, readOnly, label, placeholder: hint, minHeight, maxHeight, extensions }: Props) {
  const parent = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView>(undefined);
  const changed = useRef(onChange);
  const text = useRef(value);
  useEffect(() => {
    changed.current = onChange;
    text.current = value;
  });

  useEffect(() => {
    if (!parent.current) return;
    const editor = new EditorView({
      parent: parent.current,
      state: EditorState.create({
        doc: text.current,
        extensions: [
          lineNumbers(),
          highlightActiveLineGutter(),
          foldGutter(),
          history(),
          drawSelection(),
          indentOnInput(),
          bracketMatching(),
          closeBrackets(),
          autocompletion(),
          highlightActiveLine(),
          highlightSelectionMatches(),
          indentUnit.of(path.endsWith(".py") ? "    " : "  "),
          keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...completionKeymap, indentWithTab]),
          languageOf(path),
          appearance,
          EditorState.readOnly.of(readOnly ?? false),
          EditorView.editable.of(!readOnly),
          EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0" }),
          hint === undefined ? [] : placeholder(hint),
          EditorView.theme({
            "&": { height: minHeight === undefined && maxHeight === undefined ? "100%" : "auto", maxHeight: maxHeight ?? "none" },
            ".cm-content, .cm-gutter": { minHeight: minHeight ?? "0" },
          }),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) changed.current?.(update.state.doc.toString());
          }),
          extensions ?? [],
        ],
      }),
    });
    view.current = editor;
    return () => {
      view.current = undefined;
      editor.destroy();
    };
  }, [path, readOnly, label, hint, minHeight, maxHeight, extensions]);

  useEffect(() => {
    const editor = view.current;
    if (!editor || editor.state.doc.toString() === value) return;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
  }, [value]);

  return <div ref={parent} className={classes.root} />;
}

import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import type { Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

import { styleNonce } from "../nonce";

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.modifier, tags.operatorKeyword], color: "light-dark(#a3348a, #e08ad0)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "light-dark(#1f5f24, #9ad695)" },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: "light-dark(#a04a00, #f0a868)" },
  { tag: [tags.comment, tags.meta], color: "light-dark(#65717d, #8794a1)", fontStyle: "italic" },
  { tag: [tags.function(tags.variableName), tags.function(tags.propertyName)], color: "light-dark(#0b5fa5, #7cbcf5)" },
  { tag: [tags.typeName, tags.className, tags.namespace], color: "light-dark(#0b7285, #5fd0e0)" },
  { tag: [tags.propertyName, tags.attributeName], color: "light-dark(#12569a, #9cc9f2)" },
  { tag: [tags.operator, tags.punctuation, tags.bracket], color: "light-dark(#4a5763, #a9b6c3)" },
  { tag: tags.invalid, color: "light-dark(#c62a2f, #ff8589)" },
]);

const frame = EditorView.theme({
  "&": { fontSize: "13px", backgroundColor: "var(--cove-surface)", color: "light-dark(#17212b, #d6dee7)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.6", fontFeatureSettings: '"calt" 0' },
  ".cm-content": { padding: "10px 0", caretColor: "var(--cove-accent)" },
  ".cm-gutters": { backgroundColor: "var(--cove-surface)", color: "light-dark(#65717d, #7b8896)", border: "none", paddingRight: "4px" },
  ".cm-lineNumbers .cm-gutterElement": { padding: "0 8px 0 14px", minWidth: "38px" },
  ".cm-activeLine": { backgroundColor: "light-dark(rgb(11 114 133 / 5%), rgb(59 201 219 / 6%))" },
  ".cm-activeLineGutter": { backgroundColor: "transparent", color: "var(--cove-accent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "light-dark(#c5e9ee, #1d4651) !important",
  },
  ".cm-cursor": { borderLeftColor: "var(--cove-accent)", borderLeftWidth: "2px" },
  ".cm-matchingBracket": { backgroundColor: "light-dark(#c9f0f3, #174a54) !important", outline: "none" },
  ".cm-panels": { backgroundColor: "var(--cove-sunken)", color: "inherit", borderColor: "var(--cove-border)" },
  ".cm-panels input, .cm-panels button": { fontFamily: "var(--mantine-font-family)" },
  ".cm-tooltip": { backgroundColor: "var(--cove-surface)", border: "1px solid var(--cove-border)", borderRadius: "8px", overflow: "hidden" },
  ".cm-tooltip-autocomplete > ul > li[aria-selected]": { backgroundColor: "var(--mantine-color-cove-light)", color: "inherit" },
  ".cm-changedLine, &.cm-merge-b .cm-changedLine, .cm-insertedLine": { backgroundColor: "light-dark(#e3f5e7, #14301f) !important" },
  ".cm-deletedChunk": { backgroundColor: "light-dark(#fdeaea, #3a1d20) !important", paddingLeft: "6px" },
  ".cm-changedText": { background: "light-dark(#c3e9cb, #1b4a30) !important" },
  ".cm-deletedChunk .cm-deletedText, .cm-deletedText": { background: "light-dark(#fad2d2, #5c2226) !important" },
  ".cm-changeGutter": { width: "4px", paddingLeft: "0" },
  ".cm-collapsedLines": {
    background: "var(--cove-sunken) !important",
    color: "var(--cove-muted)",
    padding: "4px 14px",
    fontSize: "12px",
    fontFamily: "var(--mantine-font-family)",
  },
  ".cm-collapsedLines:before, .cm-collapsedLines:after": { content: '"···"', margin: "0 8px" },
});

/** How code looks on every page, in light and dark. Its style elements bear the page's nonce. */
export const appearance: Extension = [frame, syntaxHighlighting(colours), EditorView.cspNonce.of(styleNonce)];

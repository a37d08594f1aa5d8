import type { KeyboardEvent } from "react";

/**
 * Sends with Ctrl or Cmd and Enter, from wherever one types. It belongs on
 * onKeyDownCapture: an editor within would take the keys for a new line.
 */
export function useSendKey(ready: boolean, send: () => void) {
  return (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    // React tells of what happens in a dialog too, though that stands elsewhere on the page.
    if (!(event.target instanceof Node && event.currentTarget.contains(event.target))) return;
    event.preventDefault();
    event.stopPropagation();
    if (ready) send();
  };
}

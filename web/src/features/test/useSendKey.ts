import type { KeyboardEvent } from "react";

/** Sends with Ctrl or Cmd and Enter, from wherever one types. */
export function useSendKey(ready: boolean, send: () => void) {
  return (event: KeyboardEvent) => {
    if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    if (ready) send();
  };
}

import { setNonce } from "get-nonce";

/**
 * The nonce that the server wrote into this page for style elements, which
 * Mantine, the scroll lock of its dialogs and CodeMirror make while they run.
 * Scripts have none: only files of the server's own may run.
 */
export const styleNonce =
  document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";

setNonce(styleNonce);

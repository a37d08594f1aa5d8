import { lazy, Suspense, type ComponentProps } from "react";

import { LoadingBox } from "../states";

const LazyEditor = lazy(() => import("./Editor"));
const LazyDiff = lazy(() => import("./Diff"));

/** The editor, whose code is loaded when it is first shown. */
export function CodeEditor(props: ComponentProps<typeof LazyEditor>) {
  return (
    <Suspense fallback={<LoadingBox height={160} />}>
      <LazyEditor {...props} />
    </Suspense>
  );
}

/** What changed between two texts; its code is loaded when it is first shown. */
export function CodeDiff(props: ComponentProps<typeof LazyDiff>) {
  return (
    <Suspense fallback={<LoadingBox height={160} />}>
      <LazyDiff {...props} />
    </Suspense>
  );
}

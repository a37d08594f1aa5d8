import { createContext, use, useMemo, useSyncExternalStore, type ReactNode } from "react";

/** The moment that is pointed at in one of several charts that stand together. */
interface Hover {
  get: () => number | null;
  set: (at: number | null) => void;
  subscribe: (told: () => void) => () => void;
}

function makeHover(): Hover {
  let at: number | null = null;
  const listeners = new Set<() => void>();
  return {
    get: () => at,
    set: (next) => {
      if (next === at) return;
      at = next;
      for (const told of listeners) told();
    },
    subscribe: (told) => {
      listeners.add(told);
      return () => listeners.delete(told);
    },
  };
}

const HoverContext = createContext<Hover | null>(null);

/** Charts within share their crosshair. */
export function ChartGroup({ children }: { children: ReactNode }) {
  const hover = useMemo(makeHover, []);
  return <HoverContext value={hover}>{children}</HoverContext>;
}

/** The moment that is pointed at, in this chart or another of its group. */
export function useHover(): [number | null, (at: number | null) => void] {
  const shared = use(HoverContext);
  const own = useMemo(makeHover, []);
  const hover = shared ?? own;
  return [useSyncExternalStore(hover.subscribe, hover.get), hover.set];
}

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import { useEvents } from "./events";
import type { Invocation, Skipped, SystemEvent } from "./gen";
import { getHostOptions, getHostQueryKey, getSystemOptions } from "./gen/@tanstack/react-query.gen";

/** The daemon as it is right now: asked for once, then told by events. */
export function useSystem() {
  return useQuery({ ...getSystemOptions(), refetchInterval: 30_000 });
}

/** The machine as it is right now. */
export function useHost() {
  const queryClient = useQueryClient();
  useEvents<SystemEvent>("system", ({ host }) => {
    if (host) queryClient.setQueryData(getHostQueryKey(), host);
  });
  return useQuery({ ...getHostOptions(), refetchInterval: 30_000 });
}

/** Seconds that are remembered. */
const remembered = 60;

/** How many invocations ended in each of the last 60 seconds, the newest last. */
export interface LiveRate {
  calls: number[];
  errors: number[];
}

/** Counts the events of invocations second by second, those that were only counted too. */
export function useLiveRate(): LiveRate {
  const count = useRef({ calls: 0, errors: 0 });
  const empty = () => Array.from({ length: remembered }, () => 0);
  const [rate, setRate] = useState<LiveRate>(() => ({ calls: empty(), errors: empty() }));
  useEvents<Invocation>("invocation", (invocation) => {
    count.current.calls++;
    if (invocation.outcome !== "ok") count.current.errors++;
  });
  useEvents<Skipped>("skipped", ({ invocations }) => {
    count.current.calls += invocations ?? 0;
  });
  useEffect(() => {
    const timer = setInterval(() => {
      const { calls, errors } = count.current;
      count.current = { calls: 0, errors: 0 };
      setRate((old) => ({ calls: [...old.calls.slice(1), calls], errors: [...old.errors.slice(1), errors] }));
    }, 1_000);
    return () => clearInterval(timer);
  }, []);
  return rate;
}

/** The mean of the last seconds of a rate. */
export function recent(values: number[], seconds = 10): number {
  const last = values.slice(-seconds);
  return last.reduce((sum, value) => sum + value, 0) / Math.max(1, last.length);
}

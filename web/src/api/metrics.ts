import { useQuery, useQueryClient, type Query } from "@tanstack/react-query";
import { useEffect, useRef } from "react";

import { stepFor, stepText } from "@/lib/time";

import { useEvents } from "./events";
import type { Invocation, QueryGaugesData, QueryMetricsData, Skipped } from "./gen";
import {
  listInvocationsQueryKey,
  listInstancesQueryKey,
  queryGaugesOptions,
  queryGaugesQueryKey,
  queryMetricsOptions,
  queryMetricsQueryKey,
} from "./gen/@tanstack/react-query.gen";

/** A range of time as pages have it; see components/timeRange. */
export interface AskedRange {
  from: string;
  to?: string;
  /** In milliseconds. */
  length: number;
  live: boolean;
}

type MetricsParameters = NonNullable<QueryMetricsData["query"]>;
type Asked = Omit<MetricsParameters, "from" | "to" | "step">;

/** How often what ends now is asked for though no event says that something happened. */
const slowly = 15_000;

/** The range as the API's parameters; moved into the past by `back` milliseconds. */
export function rangeParameters(range: AskedRange, back = 0): { from: string; to?: string } {
  if (back === 0) return range.to === undefined ? { from: range.from } : { from: range.from, to: range.to };
  const end = (range.to === undefined ? Date.now() : Date.parse(range.to)) - back;
  // Whole minutes, as the API widens a range that ends now.
  const minute = 60_000;
  return { from: new Date(Math.floor((end - range.length) / minute) * minute).toISOString(), to: new Date(Math.ceil(end / minute) * minute).toISOString() };
}

/** What is shown while another range of the same function is on its way: the old one. */
function sameFunction(asked: { function?: string | undefined }) {
  return <T,>(previous: T | undefined, query: Query<T, never, T, never> | undefined): T | undefined => {
    const key = query?.queryKey as unknown as [{ query?: { function?: string } }] | undefined;
    return key?.[0]?.query?.function === asked.function ? previous : undefined;
  };
}

/** Metrics of a range, in one point for each group. */
export function useTotals(asked: Asked, range: AskedRange, options: { back?: number; enabled?: boolean } = {}) {
  return useQuery({
    ...queryMetricsOptions({ query: { ...asked, ...rangeParameters(range, options.back) } }),
    refetchInterval: range.live ? slowly : false,
    placeholderData: sameFunction(asked) as never,
    enabled: options.enabled ?? true,
  });
}

/** Metrics of a range, by steps that suit a chart. */
export function useSteps(asked: Asked, range: AskedRange, options: { back?: number; enabled?: boolean; points?: number } = {}) {
  const step = stepText(stepFor(range.length, options.points));
  return useQuery({
    ...queryMetricsOptions({ query: { ...asked, ...rangeParameters(range, options.back), step } }),
    refetchInterval: range.live ? slowly : false,
    placeholderData: sameFunction(asked) as never,
    enabled: options.enabled ?? true,
  });
}

/** Instances, memory and processors of a range, by the same steps. */
export function useGauges(asked: Pick<NonNullable<QueryGaugesData["query"]>, "function">, range: AskedRange) {
  return useQuery({
    ...queryGaugesOptions({ query: { ...asked, ...rangeParameters(range), step: stepText(stepFor(range.length)) } }),
    refetchInterval: range.live ? slowly : false,
    placeholderData: sameFunction(asked) as never,
  });
}

/**
 * Asks anew for metrics, gauges, instances and invocations on the page when an event
 * says that something was called, at most once in `every` milliseconds.
 */
export function useLiveMetrics(live: boolean, fn?: string, every = 2_000): void {
  const queryClient = useQueryClient();
  const dirty = useRef(false);
  // The page's one stream tells of every function: a stream for each would take connections.
  useEvents<Invocation>("invocation", (invocation) => {
    if (fn === undefined || invocation.function === fn) dirty.current = true;
  }, live);
  useEvents<Skipped>("skipped", () => {
    dirty.current = true;
  }, live);
  useEffect(() => {
    if (!live) return;
    const timer = setInterval(() => {
      if (!dirty.current || document.visibilityState === "hidden") return;
      dirty.current = false;
      for (const key of [queryMetricsQueryKey(), queryGaugesQueryKey(), listInstancesQueryKey(), listInvocationsQueryKey()]) {
        const id = (key[0] as { _id: string })._id;
        void queryClient.invalidateQueries({ predicate: (query) => isLive(query, id) });
      }
    }, every);
    return () => clearInterval(timer);
  }, [live, every, queryClient]);
}

/** Whether a query is of an operation, and of a range that ends now. */
function isLive(query: Query, id: string): boolean {
  const key = query.queryKey[0] as { _id?: string; query?: { to?: string; before?: string } } | undefined;
  return key?._id === id && key.query?.to === undefined && key.query?.before === undefined;
}

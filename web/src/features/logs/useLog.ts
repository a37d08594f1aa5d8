import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";

import { useEventStream, type Connection } from "@/api/events";
import type { LogLine, Skipped } from "@/api/gen";
import { getAllLogsOptions } from "@/api/gen/@tanstack/react-query.gen";
import { rangeParameters, type AskedRange } from "@/api/metrics";
import { notifyError } from "@/components/notify";

import type { LogsSearch } from "./search";
import { append, fresh, prepend } from "./tail";

/** How many lines are asked for at once. */
const perPage = 500;

export interface Log {
  lines: LogLine[] | undefined;
  error: unknown;
  retry: () => void;
  connection: Connection;
  /** Lines that came while it was paused. */
  waiting: number;
  /** Lines that were too many to be told. */
  missed: number;
  older: () => void;
  loadingOlder: boolean;
  noOlder: boolean;
}

/** The parameters of a log's URL, as the API takes them. */
function parameters(search: LogsSearch, fn: string | undefined) {
  const { q, level, stream, request_id } = search;
  const name = fn ?? search.function;
  return {
    ...(name !== undefined && { function: name }), ...(q !== undefined && { q }), ...(level !== undefined && { level }),
    ...(stream !== undefined && { stream }), ...(request_id !== undefined && { request_id }),
  };
}

/** A log that passes the filters of the URL: what there is, and what comes while the range ends now. */
export function useLog(search: LogsSearch, range: AskedRange, fn: string | undefined, paused: boolean): Log {
  const queryClient = useQueryClient();
  const query = { ...parameters(search, fn), ...rangeParameters(range), tail: perPage };
  const options = getAllLogsOptions({ query });
  const page = useQuery({ ...options, refetchOnWindowFocus: false });
  // What one's own range and filters brought; another link begins anew.
  const key = JSON.stringify(query);
  const [state, setState] = useState<{ key: string; lines: LogLine[]; done: boolean; missed: number }>();
  const begun = state?.key === key ? state : undefined;
  useEffect(() => {
    if (page.data) setState((old) => (old?.key === key ? { ...old, ...append(old, page.data.items) } : { key, lines: page.data.items, done: page.data.next === undefined, missed: 0 }));
  }, [page.data, key]);

  const buffer = useRef<LogLine[]>([]);
  const [waiting, setWaiting] = useState(0);
  // It begins with what was written since the page was asked for, in the same range.
  const follow = range.live && page.data ? `/api/v1/logs?${new URLSearchParams({ ...parameters(search, fn), from: range.from, tail: String(perPage), follow: "true" })}` : undefined;
  const connection = useEventStream<LogLine>(follow, "line", (line) => {
    buffer.current.push(line);
    if (buffer.current.length > 20_000) buffer.current.splice(0, 10_000);
  });
  useEventStream<Skipped>(follow, "skipped", ({ lines }) => setState((old) => old && { ...old, missed: old.missed + (lines ?? 0) }));
  useEffect(() => {
    buffer.current = [];
    setWaiting(0);
  }, [key]);
  useEffect(() => {
    const timer = setInterval(() => {
      if (paused) {
        setState((old) => {
          setWaiting(old ? fresh(old.lines, buffer.current).length : 0);
          return old;
        });
        return;
      }
      setWaiting(0);
      if (buffer.current.length === 0) return;
      const more = buffer.current;
      buffer.current = [];
      setState((old) => old && { ...old, ...append(old, more) });
    }, 200);
    return () => clearInterval(timer);
  }, [paused]);

  const [loadingOlder, setLoadingOlder] = useState(false);
  const first = begun?.lines.find((line) => line.id > 0)?.id;
  const older = useCallback(async () => {
    if (first === undefined) return;
    setLoadingOlder(true);
    try {
      const more = await queryClient.fetchQuery(getAllLogsOptions({ query: { ...JSON.parse(key), before: String(first) } }));
      setState((old) => (old?.key === key ? { ...old, lines: prepend(old.lines, more.items), done: more.next === undefined } : old));
    } catch (error) {
      notifyError(error);
    } finally {
      setLoadingOlder(false);
    }
  }, [first, key, queryClient]);

  return {
    lines: begun?.lines, error: page.error, retry: () => void page.refetch(), connection, waiting, missed: begun?.missed ?? 0,
    older: () => void older(), loadingOlder, noOlder: begun?.done ?? true,
  };
}

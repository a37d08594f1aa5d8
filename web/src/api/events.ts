import { useEffect, useRef, useSyncExternalStore } from "react";

/** How the page hears from the daemon. */
export type Connection = "connecting" | "live" | "lost";

type Handler = (data: unknown) => void;

const firstDelay = 500;
const lastDelay = 8_000;
/** After this long in the background a page gives its connection back. */
const hiddenFor = 60_000;

/**
 * One stream of server-sent events, shared by all who listen to its address,
 * open while there is somebody. It connects again by itself: EventSource does so
 * only after a lost connection, not after an answer of 503, which a daemon gives
 * while it starts.
 */
class Stream {
  private source: EventSource | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private delay = firstDelay;
  private readonly handlers = new Map<string, Set<Handler>>();
  private readonly watchers = new Set<() => void>();
  state: Connection = "connecting";

  constructor(private readonly url: string) {}

  get used(): boolean {
    return this.watchers.size > 0 || this.handlers.size > 0;
  }

  listen(type: string, handler: Handler): void {
    const set = this.handlers.get(type) ?? new Set();
    set.add(handler);
    this.handlers.set(type, set);
    if (set.size === 1) this.source?.addEventListener(type, this.dispatch);
    this.open();
  }

  forget(type: string, handler: Handler): void {
    const set = this.handlers.get(type);
    set?.delete(handler);
    if (set?.size === 0) {
      this.handlers.delete(type);
      this.source?.removeEventListener(type, this.dispatch);
    }
    this.closeIfUnused();
  }

  watch(changed: () => void): () => void {
    this.watchers.add(changed);
    this.open();
    return () => {
      this.watchers.delete(changed);
      this.closeIfUnused();
    };
  }

  private open(): void {
    if (this.source || this.timer || !this.used) return;
    const source = new EventSource(this.url);
    this.source = source;
    source.onopen = () => {
      this.delay = firstDelay;
      this.become("live");
    };
    source.onerror = () => this.retry();
    for (const type of this.handlers.keys()) source.addEventListener(type, this.dispatch);
    document.addEventListener("visibilitychange", this.onVisibility);
  }

  private retry(): void {
    this.close();
    this.become("lost");
    this.timer = setTimeout(() => {
      this.timer = undefined;
      this.open();
    }, this.delay);
    this.delay = Math.min(this.delay * 2, lastDelay);
  }

  private readonly dispatch = (event: Event) => {
    if (!(event instanceof MessageEvent)) return;
    let data: unknown;
    try {
      data = JSON.parse(String(event.data));
    } catch {
      return; // A line that was cut by the end of the connection.
    }
    for (const handler of this.handlers.get(event.type) ?? []) handler(data);
  };

  private hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly onVisibility = () => {
    clearTimeout(this.hiddenTimer);
    if (document.visibilityState === "hidden") {
      this.hiddenTimer = setTimeout(() => {
        if (this.source) this.close();
      }, hiddenFor);
    } else {
      this.open();
    }
  };

  private become(state: Connection): void {
    if (state === this.state) return;
    this.state = state;
    for (const changed of this.watchers) changed();
  }

  private close(): void {
    this.source?.close();
    this.source = undefined;
  }

  private closeIfUnused(): void {
    if (this.used) return;
    clearTimeout(this.timer);
    clearTimeout(this.hiddenTimer);
    this.timer = undefined;
    document.removeEventListener("visibilitychange", this.onVisibility);
    this.close();
    this.state = "connecting";
  }
}

const streams = new Map<string, Stream>();

function streamOf(url: string): Stream {
  let stream = streams.get(url);
  if (!stream) {
    stream = new Stream(url);
    streams.set(url, stream);
  }
  return stream;
}

const allEvents = "/api/v1/events";

function address(fn?: string): string {
  return fn === undefined ? allEvents : `${allEvents}?function=${encodeURIComponent(fn)}`;
}

/**
 * Calls handler with the data of each event of a type ("system", "invocation",
 * "skipped", "function"), of one function if options name it. What came while the
 * connection was lost is not told later: useConnection says when to ask again.
 */
export function useEvents<T>(
  type: "system" | "invocation" | "skipped" | "function",
  handler: (data: T) => void,
  options: { function?: string; enabled?: boolean } = {},
): void {
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  const url = address(options.function);
  const enabled = options.enabled ?? true;
  useEffect(() => {
    if (!enabled) return;
    const stream = streamOf(url);
    const call = (data: unknown) => latest.current(data as T);
    stream.listen(type, call);
    return () => stream.forget(type, call);
  }, [url, type, enabled]);
}

/**
 * Follows any stream of server-sent events, such as a function's log; undefined
 * follows none. It returns how the connection is.
 */
export function useEventStream<T>(url: string | undefined, type: string, handler: (data: T) => void): Connection {
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  useEffect(() => {
    if (url === undefined) return;
    const stream = streamOf(url);
    const call = (data: unknown) => latest.current(data as T);
    stream.listen(type, call);
    return () => {
      stream.forget(type, call);
      if (!stream.used) streams.delete(url);
    };
  }, [url, type]);
  return useSyncExternalStore(
    (changed) => (url === undefined ? () => {} : streamOf(url).watch(changed)),
    () => (url === undefined ? "connecting" : (streams.get(url)?.state ?? "connecting")),
  );
}

/** How the page's main stream is. */
export function useConnection(): Connection {
  return useSyncExternalStore(
    (changed) => streamOf(allEvents).watch(changed),
    () => streamOf(allEvents).state,
  );
}

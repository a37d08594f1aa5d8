import { useCallback, useEffect, useRef, useSyncExternalStore, type RefObject } from "react";

/** How the page hears from the daemon. */
export type Connection = "connecting" | "live" | "lost";

type Handler = (data: unknown) => void;

const firstDelay = 500;
const lastDelay = 8_000;
/** After this long in the background a page gives its connection back. */
const hiddenFor = 10_000;

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
    if (!this.used) return;
    document.addEventListener("visibilitychange", this.onVisibility);
    // A browser gives all pages of a daemon six connections together: one that nobody
    // looks at takes none, also one that was opened in the background.
    if (this.source || this.timer || document.visibilityState === "hidden") return;
    const source = new EventSource(this.url);
    this.source = source;
    source.onopen = () => {
      this.delay = firstDelay;
      this.become("live");
    };
    source.onerror = () => this.retry();
    for (const type of this.handlers.keys()) source.addEventListener(type, this.dispatch);
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
        if (!this.source) return;
        this.close();
        this.become("connecting");
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
    if (streams.get(this.url) === this) streams.delete(this.url);
  }
}

/** Those that somebody listens to, by their addresses. */
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

function subscribe<T>(url: string, type: string, handler: RefObject<(data: T) => void>): () => void {
  const stream = streamOf(url);
  const call = (data: unknown) => handler.current(data as T);
  stream.listen(type, call);
  return () => stream.forget(type, call);
}

/** The handler of the last render, for what lives longer than a render. */
function useLatest<T>(handler: (data: T) => void): RefObject<(data: T) => void> {
  const latest = useRef(handler);
  useEffect(() => {
    latest.current = handler;
  });
  return latest;
}

/**
 * Calls handler with the data of each event of a type, of whatever function. What
 * came while the connection was lost is not told later: ConnectionBadge has
 * everything asked for again then.
 */
export function useEvents<T>(type: "system" | "invocation" | "skipped", handler: (data: T) => void, enabled = true): void {
  const latest = useLatest(handler);
  useEffect(() => (enabled ? subscribe(allEvents, type, latest) : undefined), [type, enabled, latest]);
}

/**
 * Follows any stream of server-sent events, such as a function's log; undefined
 * follows none. It returns how the connection is.
 */
export function useEventStream<T>(url: string | undefined, type: string, handler: (data: T) => void): Connection {
  const latest = useLatest(handler);
  useEffect(() => (url === undefined ? undefined : subscribe(url, type, latest)), [url, type, latest]);
  return useStateOf(url);
}

/** How the page's main stream is. */
export function useConnection(): Connection {
  return useStateOf(allEvents);
}

function useStateOf(url: string | undefined): Connection {
  const watch = useCallback((changed: () => void) => (url === undefined ? () => {} : streamOf(url).watch(changed)), [url]);
  return useSyncExternalStore(watch, () => (url === undefined ? undefined : streams.get(url)?.state) ?? "connecting");
}

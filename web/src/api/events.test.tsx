import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { useConnection, useEvents, useEventStream } from "./events";

/** The connections that were begun, the latest last. */
let sources: Source[] = [];

class Source extends EventTarget {
  onopen: (() => void) | undefined;
  onerror: (() => void) | undefined;
  closed = false;

  constructor(readonly url: string) {
    super();
    sources.push(this);
  }

  close() {
    this.closed = true;
  }

  tell(type: string, data: unknown) {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
  }
}

const open = () => sources.filter((source) => !source.closed);

function show(state: "visible" | "hidden") {
  vi.spyOn(document, "visibilityState", "get").mockReturnValue(state);
  act(() => void document.dispatchEvent(new Event("visibilitychange")));
}

beforeEach(() => {
  sources = [];
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", Source);
});

afterEach(() => {
  cleanup();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a stream of events", () => {
  it("is one for all who listen, and is closed with the last of them", () => {
    const told: unknown[] = [];
    const a = renderHook(() => useEvents("system", (data) => told.push(["a", data])));
    const b = renderHook(() => useEvents("system", (data) => told.push(["b", data])));
    expect(open()).toHaveLength(1);
    sources[0]?.tell("system", 1);
    expect(told).toEqual([["a", 1], ["b", 1]]);
    a.unmount();
    expect(open()).toHaveLength(1);
    b.unmount();
    expect(open()).toHaveLength(0);
  });

  it("is begun again by itself after it was lost, later each time", () => {
    const { result } = renderHook(() => useConnection());
    act(() => sources[0]?.onopen?.());
    expect(result.current).toBe("live");
    act(() => sources[0]?.onerror?.());
    expect([result.current, open().length]).toEqual(["lost", 0]);
    act(() => void vi.advanceTimersByTime(500));
    act(() => sources[1]?.onerror?.());
    act(() => void vi.advanceTimersByTime(999));
    expect(open()).toHaveLength(0);
    act(() => void vi.advanceTimersByTime(1));
    act(() => sources[2]?.onopen?.());
    expect(result.current).toBe("live");
  });

  it("takes no connection while nobody looks at the page, and says so when it has one again", () => {
    show("hidden");
    const { result } = renderHook(() => useConnection());
    expect(open()).toHaveLength(0);
    show("visible");
    act(() => open()[0]?.onopen?.());
    expect(result.current).toBe("live");
    show("hidden");
    act(() => void vi.advanceTimersByTime(9_000));
    expect(open()).toHaveLength(1);
    act(() => void vi.advanceTimersByTime(2_000));
    expect([result.current, open().length]).toEqual(["connecting", 0]);
    show("visible");
    expect(open()).toHaveLength(1);
  });

  it("of another address takes the place of the one before", () => {
    const told: unknown[] = [];
    const { rerender } = renderHook(({ url }: { url: string | undefined }) => useEventStream(url, "line", (data) => told.push(data)), { initialProps: { url: "/a" as string | undefined } });
    rerender({ url: "/b" });
    expect(open().map((source) => source.url)).toEqual(["/b"]);
    sources[0]?.tell("line", "old");
    sources[1]?.tell("line", "new");
    expect(told).toEqual(["new"]);
    rerender({ url: undefined });
    expect(open()).toHaveLength(0);
  });
});

import { useRef, useState, type KeyboardEvent, type PointerEvent } from "react";
import { useHover } from "./hover";
import { stepAt } from "./scale";

interface Options {
  times: number[];
  step: number;
  from: number;
  to: number;
  /** Where the plot begins and ends within the element, in pixels. */
  left: number;
  right: number;
  onZoom?: ((from: number, to: number) => void) | undefined;
}

/** How far a pointer moves until it is a drag. */
const dragFrom = 6;

/**
 * Pointing at steps of a chart and dragging over a range of it, by pointer or keys: the
 * arrows move, Enter zooms in around the step, Escape lets go.
 */
export function usePointing({ times, step, from, to, left, right, onZoom }: Options) {
  const [at, setAt] = useHover();
  const [mine, setMine] = useState(false);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const begin = useRef<number | null>(null);

  const timeAt = (event: PointerEvent<HTMLElement>) => {
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    const part = Math.min(1, Math.max(0, (x - left) / Math.max(1, right - left)));
    return { x, time: from + part * (to - from) };
  };
  const letGo = () => {
    begin.current = null;
    setDrag(null);
  };
  const handlers = {
    onPointerDown: (event: PointerEvent<HTMLElement>) => {
      if (!onZoom || event.button !== 0 || event.pointerType === "touch") return;
      begin.current = timeAt(event).x;
      event.currentTarget.setPointerCapture(event.pointerId);
    },
    onPointerMove: (event: PointerEvent<HTMLElement>) => {
      const { x, time } = timeAt(event);
      setMine(true);
      setAt(time);
      if (begin.current === null || Math.abs(x - begin.current) < dragFrom) return;
      const scale = (to - from) / Math.max(1, right - left);
      setDrag({ from: Math.max(from, from + (begin.current - left) * scale), to: time });
    },
    onPointerUp: () => {
      if (drag && onZoom) onZoom(Math.min(drag.from, drag.to), Math.max(drag.from, drag.to));
      letGo();
    },
    onPointerCancel: letGo,
    onPointerLeave: () => {
      setMine(false);
      if (begin.current === null) setAt(null);
    },
    onBlur: () => {
      setMine(false);
      setAt(null);
    },
    onKeyDown: (event: KeyboardEvent<HTMLElement>) => {
      const now = at === null ? -1 : stepAt(times, step, at);
      const go = (index: number) => {
        event.preventDefault();
        const time = times[Math.max(0, Math.min(times.length - 1, index))];
        setMine(true);
        if (time !== undefined) setAt(time + step / 2);
      };
      if (event.key === "ArrowRight") go(now + 1);
      else if (event.key === "ArrowLeft") go(now < 0 ? times.length - 1 : now - 1);
      else if (event.key === "Home") go(0);
      else if (event.key === "End") go(times.length - 1);
      else if (event.key === "Escape") {
        letGo();
        setAt(null);
        setMine(false);
      } else if (event.key === "Enter" && onZoom && at !== null) {
        event.preventDefault();
        onZoom(Math.max(from, at - (to - from) / 8), Math.min(to, at + (to - from) / 8));
      }
    },
  };
  return { index: at === null ? -1 : stepAt(times, step, at), mine, drag, handlers };
}

import { useDebouncedCallback } from "@mantine/hooks";
import { useEffect, useRef, useState } from "react";

const pause = 300;

interface Typed<T> {
  /** What the field shows. */
  shown: T;
  /** Shows what is typed, and tells it once nobody types for a moment. */
  type: (next: T) => void;
  /** Shows and tells at once. */
  put: (next: T) => void;
}

/** What is typed into a field and stands in the URL: it follows the URL, but never overtakes who types. */
export function useTyped<T extends string | number>(value: T, onTyped: (next: T) => void): Typed<T> {
  const [shown, show] = useState(value);
  // What this field has put into the URL, which is no news when it comes back.
  const told = useRef(value);
  const tell = (next: T) => {
    told.current = next;
    onTyped(next);
  };
  const later = useDebouncedCallback(tell, pause);
  useEffect(() => {
    if (value === told.current) return;
    later.cancel();
    told.current = value;
    show(value);
  }, [value, later]);
  return {
    shown,
    type: (next) => {
      show(next);
      later(next);
    },
    put: (next) => {
      later.cancel();
      show(next);
      tell(next);
    },
  };
}

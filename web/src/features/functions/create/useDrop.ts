import { useEffect, useRef, useState } from "react";

import { readDrop, type Found } from "./source";

/** What was dropped on the page. */
export type Dropped = { kind: "folder"; name: string; found: Promise<Found> } | { kind: "archive"; file: File };

/** Takes folders, files and archives that are dropped anywhere on the page. True while something is held over it. */
export function useDrop(onDrop: (dropped: Dropped) => void, enabled: boolean): boolean {
  const [over, setOver] = useState(false);
  const latest = useRef(onDrop);
  useEffect(() => {
    latest.current = onDrop;
  });
  useEffect(() => {
    if (!enabled) return;
    const onDragOver = (e: DragEvent) => {
      if (!e.dataTransfer?.types.includes("Files")) return;
      // Else the browser would open it, and leave the page.
      e.preventDefault();
      setOver(true);
    };
    const onDragLeave = (e: DragEvent) => {
      // It went out of the window, and not from one element to another.
      if (e.relatedTarget === null) setOver(false);
    };
    const onDropped = (e: DragEvent) => {
      if (!e.dataTransfer?.types.includes("Files")) return;
      e.preventDefault();
      setOver(false);
      const dropped = readDropped(e.dataTransfer);
      if (dropped) latest.current(dropped);
    };
    window.addEventListener("dragover", onDragOver);
    window.addEventListener("dragleave", onDragLeave);
    window.addEventListener("drop", onDropped);
    return () => {
      window.removeEventListener("dragover", onDragOver);
      window.removeEventListener("dragleave", onDragLeave);
      window.removeEventListener("drop", onDropped);
    };
  }, [enabled]);
  return over;
}

function readDropped({ items, files }: DataTransfer): Dropped | undefined {
  const entry = items[0]?.webkitGetAsEntry();
  if (!entry) return undefined;
  const [file] = files;
  if (files.length === 1 && file && entry.isFile && /\.(zip|tgz|tar\.gz)$/i.test(file.name)) return { kind: "archive", file };
  // Read at once: the list is empty after the event.
  return { kind: "folder", name: entry.name, found: readDrop(items) };
}

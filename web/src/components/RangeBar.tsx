import { ActionIcon, Group, Tooltip } from "@mantine/core";
import { IconZoomOut } from "@tabler/icons-react";
import { useNavigate } from "@tanstack/react-router";
import { useCallback } from "react";

import { zoomOut, zoomTo } from "@/lib/time";

import { useTimeRange } from "./timeRange";
import { TimeRangePicker } from "./TimeRangePicker";

/** Sets the page's range to what was dragged over; the browser's back button undoes it. */
export function useZoom(): (from: number, to: number) => void {
  const navigate = useNavigate();
  return useCallback(
    (from, to) => {
      void navigate({
        to: ".",
        search: (({ range: _range, ...rest }: Record<string, unknown>) => ({ ...rest, ...zoomTo(from, to) })) as never,
      });
    },
    [navigate],
  );
}

/** Changes parameters of the page's URL; undefined removes one. */
export function useSetSearch<S extends object>(): (change: { [K in keyof S]?: S[K] | undefined }) => void {
  const navigate = useNavigate();
  return useCallback(
    (change) => {
      const merge = (previous: Record<string, unknown>) => {
        const next: Record<string, unknown> = { ...previous, ...change };
        for (const key of Object.keys(next)) if (next[key] === undefined || next[key] === "") delete next[key];
        return next;
      };
      void navigate({ to: ".", search: merge as never, replace: true });
    },
    [navigate],
  );
}

/** The page's range of time: chosen, or doubled. */
export function RangeBar() {
  const [range, setRange] = useTimeRange();
  const longer = () => {
    const to = range.to === undefined ? Date.now() : Date.parse(range.to);
    setRange(zoomOut({ from: to - range.length, to }, Date.now()));
  };
  return (
    <Group gap={6} wrap="nowrap">
      <Tooltip label="Zoom out">
        <ActionIcon variant="default" size={36} aria-label="Zoom out" onClick={longer}>
          <IconZoomOut size={16} />
        </ActionIcon>
      </Tooltip>
      <TimeRangePicker />
    </Group>
  );
}

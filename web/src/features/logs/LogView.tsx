import { ActionIcon, Anchor, Button, Select, Text, Tooltip } from "@mantine/core";
import { IconArrowDown, IconFilterOff, IconLogs, IconPlayerPause, IconPlayerPlay, IconSearch, IconX } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";
import { useLayoutEffect, useRef, useState } from "react";

import type { LogLine } from "@/api/gen";
import { formatWhole } from "@/components/format";
import { FilterBar, asItIs, wholeRow } from "@/components/FilterBar";
import { LogLines } from "@/components/LogLines";
import { useSetSearch } from "@/components/RangeBar";
import { SearchField } from "@/components/SearchField";
import { EmptyState, ErrorState, LoadingRows } from "@/components/states";
import { useTimeRange } from "@/components/timeRange";
import { FunctionSelect } from "@/lib/FunctionSelect";

import classes from "./LogView.module.css";
import { levels, streams, type LogsSearch } from "./search";
import { useLog, type Log } from "./useLog";

const streamWords: Record<string, string> = { stdout: "stdout", stderr: "stderr", platform: "Cove's own" };

/** A log, of one function or of all: searched, filtered, followed. */
export function LogView({ search, fn }: { search: LogsSearch; fn?: string }) {
  const [range] = useTimeRange();
  const [paused, setPaused] = useState(false);
  const log = useLog(search, range, fn, paused);
  return (
    <>
      <LogFilters search={search} fixed={fn !== undefined} />
      <section className={classes.frame} data-within={fn !== undefined || undefined} aria-label="Log">
        <Bar log={log} live={range.live} paused={paused} onPause={() => setPaused(!paused)} />
        <Body log={log} search={search} fn={fn} paused={paused} />
      </section>
    </>
  );
}

function LogFilters({ search, fixed }: { search: LogsSearch; fixed: boolean }) {
  const set = useSetSearch<LogsSearch>();
  const some = search.q ?? search.level ?? search.stream ?? search.function ?? search.request_id;
  return (
    <FilterBar range={fixed}>
        <SearchField label="Search in the log" placeholder="Search in the log" icon={<IconSearch size={15} />} value={search.q} onSearch={(q) => set({ q })} width={240} className={wholeRow} />
        {!fixed && <FunctionSelect value={search.function} onChange={(value) => set({ function: value })} />}
        <Select aria-label="Level" placeholder="Any level" clearable w={140} data={levels.map((level) => ({ value: level, label: level === "error" ? "error" : `${level} and higher` }))} value={search.level ?? null} onChange={(value) => set({ level: (value ?? undefined) as LogsSearch["level"] })} />
        <Select aria-label="Stream" placeholder="Any stream" clearable w={130} data={streams.map((stream) => ({ value: stream, label: streamWords[stream] ?? stream }))} value={search.stream ?? null} onChange={(value) => set({ stream: (value ?? undefined) as LogsSearch["stream"] })} />
        {search.request_id && (
          <Button variant="light" rightSection={<IconX size={14} />} onClick={() => set({ request_id: undefined })} aria-label="Show all invocations" className="mono" size="sm">…{search.request_id.slice(-8)}</Button>
        )}
        <Tooltip label="Remove all filters">
          <ActionIcon className={asItIs} variant="subtle" color="gray" size={36} aria-label="Remove all filters" disabled={!some} onClick={() => set({ q: undefined, level: undefined, stream: undefined, function: undefined, request_id: undefined })}><IconFilterOff size={17} /></ActionIcon>
        </Tooltip>
    </FilterBar>
  );
}

interface BarProps {
  log: Log;
  live: boolean;
  paused: boolean;
  onPause: () => void;
}

function Bar({ log, live, paused, onPause }: BarProps) {
  const count = log.lines?.length ?? 0;
  const state = !live ? "Past" : paused ? "Paused" : log.connection === "live" ? "Following" : log.connection === "lost" ? "Connection lost, trying again" : "Connecting";
  return (
    <div className={classes.head}>
      <span className={classes.state} data-state={!live ? "past" : paused ? "paused" : log.connection} role="status"><i aria-hidden="true" />{state}</span>
      <Text span size="xs" c="var(--cove-muted)" className="num">
        {formatWhole(count)} {count === 1 ? "line" : "lines"}
        {log.missed > 0 && `, ${formatWhole(log.missed)} too many to be told`}
      </Text>
      <span className={classes.space} />
      {live && (
        <Button size="compact-sm" variant={paused ? "light" : "default"} leftSection={paused ? <IconPlayerPlay size={14} /> : <IconPlayerPause size={14} />} onClick={onPause} aria-pressed={paused}>
          {paused ? (log.waiting > 0 ? `Go on (${formatWhole(log.waiting)} new)` : "Go on") : "Pause"}
        </Button>
      )}
    </div>
  );
}

function Body({ log, search, fn, paused }: { log: Log; search: LogsSearch; fn: string | undefined; paused: boolean }) {
  const ref = useRef<HTMLDivElement>(null);
  const [atEnd, setAtEnd] = useState(true);
  const lines = log.lines;
  const top = useRef(0);
  const heightBefore = useRef(0);
  const firstBefore = useRef<number>(undefined);
  useLayoutEffect(() => {
    const box = ref.current;
    if (!box) return;
    if (atEnd && !paused) {
      box.scrollTop = box.scrollHeight;
      // Lines get their true heights only once they are in sight.
      requestAnimationFrame(() => {
        box.scrollTop = box.scrollHeight;
      });
    }
    // What is read stays where it is when older lines come before it.
    else if (firstBefore.current !== lines?.[0]?.id && heightBefore.current > 0) box.scrollTop += box.scrollHeight - heightBefore.current;
    heightBefore.current = box.scrollHeight;
    firstBefore.current = lines?.[0]?.id;
  }, [lines, atEnd, paused]);
  const onScroll = (box: HTMLDivElement) => {
    // Only who scrolls up leaves the end; lines that come do not.
    if (box.scrollHeight - box.scrollTop - box.clientHeight < 24) setAtEnd(true);
    else if (box.scrollTop < top.current - 2) setAtEnd(false);
    top.current = box.scrollTop;
  };
  const filtered = search.q ?? search.level ?? search.stream ?? search.request_id;
  return (
    <div className={classes.around}>
      <div ref={ref} className={classes.body} tabIndex={0} role="region" aria-label="Lines of the log" onScroll={({ currentTarget: box }) => onScroll(box)}>
        {Boolean(log.error) && !lines && <div className={classes.pad}><ErrorState error={log.error} retry={log.retry} /></div>}
        {!lines && !log.error && <div className={classes.pad}><LoadingRows rows={16} height={17} /></div>}
        {lines && !log.noOlder && lines.length > 0 && (
          <div className={classes.older}><Button size="compact-xs" variant="subtle" loading={log.loadingOlder} onClick={log.older}>Load older lines</Button></div>
        )}
        {lines?.length === 0 && (
          <EmptyState bare icon={<IconLogs size={22} />} title={filtered ? "No line matches" : "Nothing was written in this time"}>
            {filtered ? "No line in this time passes all filters." : "What functions print appears here as it is written."}
          </EmptyState>
        )}
        {lines && lines.length > 0 && <LogLines lines={lines} {...(search.q !== undefined && { mark: search.q })} before={(line) => <Where line={line} fn={fn} />} />}
      </div>
      {!atEnd && lines && lines.length > 0 && (
        <Button className={classes.jump} size="compact-sm" radius="xl" leftSection={<IconArrowDown size={14} />} onClick={() => { const box = ref.current; if (box) box.scrollTop = box.scrollHeight; }}>Newest</Button>
      )}
    </div>
  );
}

/** Which function and invocation a line is of. */
function Where({ line, fn }: { line: LogLine; fn: string | undefined }) {
  return (
    <span className={classes.where}>
      {fn === undefined && <Anchor inherit c="inherit" className={classes.name} renderRoot={(props) => <Link to="/functions/$name/logs" params={{ name: line.function }} {...props} />}>{line.function}</Anchor>}
      {line.request_id ? (
        <Anchor inherit className={classes.id} title={`Invocation ${line.request_id}`} renderRoot={(props) => <Link to="/invocations/$id" params={{ id: line.request_id ?? "" }} {...props} />}>{line.request_id.slice(-8)}</Anchor>
      ) : (
        <span className={classes.id} title="While no handler ran">{"–".padEnd(8, "\u00a0")}</span>
      )}
    </span>
  );
}

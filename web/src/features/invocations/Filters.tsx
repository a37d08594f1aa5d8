import { ActionIcon, Select, Tooltip } from "@mantine/core";
import { IconFilterOff, IconSearch } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";

import { listIsolationsOptions } from "@/api/gen/@tanstack/react-query.gen";
import { FilterBar, asItIs, wholeRow } from "@/components/FilterBar";
import { useSetSearch } from "@/components/RangeBar";
import { SearchField } from "@/components/SearchField";
import { UrlNumber } from "@/components/UrlNumber";
import { FunctionSelect } from "@/lib/FunctionSelect";
import { outcomes, startClasses } from "@/lib/words";

import type { InvocationsSearch } from "./search";

const ends = [
  { value: "error", label: "All failures" },
  ...outcomes.map((word) => ({ value: word.key, label: word.label })),
];

const filters = ["function", "isolation", "outcome", "instance", "q", "fault", "start", "version", "min_ms"] as const;

/** The filters of a list of invocations; all of them are in the URL. */
export function Filters({ search, fixed }: { search: InvocationsSearch; fixed: boolean }) {
  const change = useSetSearch<InvocationsSearch>();
  // Another filter begins at the newest again.
  const set = (next: Partial<Record<keyof InvocationsSearch, string | number | undefined>>) => change({ ...next, before: undefined } as InvocationsSearch);
  const isolations = useQuery({ ...listIsolationsOptions(), staleTime: 60_000 }).data?.items ?? [];
  const some = filters.some((key) => search[key] !== undefined);
  const clear = () => set(Object.fromEntries(filters.map((key) => [key, undefined])));
  return (
    <FilterBar range={fixed}>
        <SearchField label="Id or error text" placeholder="Id or error text" icon={<IconSearch size={15} />} value={search.q} onSearch={(q) => set({ q })} width={166} className={wholeRow} />
        {!fixed && <FunctionSelect value={search.function} onChange={(value) => set({ function: value })} />}
        <Select aria-label="Outcome" placeholder="Any outcome" clearable searchable data={ends} value={search.outcome ?? null} onChange={(value) => set({ outcome: value ?? undefined })} w={150} />
        <Select aria-label="Start class" placeholder="Any start" clearable data={startClasses.slice(0, 4).map((word) => ({ value: word.key, label: word.label }))} value={search.start ?? null} onChange={(value) => set({ start: value ?? undefined })} w={112} />
        <Select aria-label="Isolation" placeholder="Any isolation" clearable data={isolations.map((one) => one.name)} value={search.isolation ?? null} onChange={(value) => set({ isolation: value ?? undefined })} w={126} />
        <UrlNumber aria-label="At least this many milliseconds" placeholder="min. ms" min={0} max={86_400_000} hideControls allowDecimal={false} value={search.min_ms} onNumber={(value) => set({ min_ms: value || undefined })} w={84} />
        <Tooltip label="Remove all filters">
          <ActionIcon className={asItIs} variant="subtle" color="gray" size={36} aria-label="Remove all filters" disabled={!some} onClick={clear}><IconFilterOff size={17} /></ActionIcon>
        </Tooltip>
    </FilterBar>
  );
}

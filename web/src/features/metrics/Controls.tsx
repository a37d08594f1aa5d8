import { Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { listIsolationsOptions, listVersionsOptions } from "@/api/gen/@tanstack/react-query.gen";
import { FilterBar, wholeRow } from "@/components/FilterBar";
import { useSetSearch } from "@/components/RangeBar";

import type { Comparison, MetricsSearch } from "./search";

const kinds: { value: Comparison; label: string }[] = [
  { value: "previous", label: "With the time before" },
  { value: "day", label: "With a day earlier" },
  { value: "week", label: "With a week earlier" },
  { value: "version", label: "Two versions" },
  { value: "isolation", label: "Two isolations" },
];

/** What the charts show: of which version and isolation, compared with what, when. All of it is in the URL. */
export function Controls({ name, search }: { name: string; search: MetricsSearch }) {
  const set = useSetSearch<MetricsSearch>();
  const versions = useVersions(name);
  const isolations = useIsolations();
  const compared = search.compare;
  return (
    <FilterBar range>
        {compared !== "version" && (
          <Select aria-label="Version" placeholder="All versions" size="sm" clearable w={150} data={versions}
            value={search.version === undefined ? null : String(search.version)} onChange={(value) => set({ version: value === null ? undefined : Number(value) })} />
        )}
        {compared !== "isolation" && (
          <Select aria-label="Isolation" placeholder="All isolations" size="sm" clearable w={150} data={isolations}
            value={search.isolation ?? null} onChange={(value) => set({ isolation: value ?? undefined })} />
        )}
        <Select className={wholeRow} aria-label="Compare" placeholder="Compare…" size="sm" clearable w={190} data={kinds} value={compared ?? null}
          onChange={(value) => set({ compare: (value as Comparison | null) ?? undefined, a: undefined, b: undefined, ...(value === "version" && { version: undefined }), ...(value === "isolation" && { isolation: undefined }) })} />
    </FilterBar>
  );
}

/** The versions of a function, the newest first, for a choice. */
export function useVersions(name: string): { value: string; label: string }[] {
  const versions = useQuery(listVersionsOptions({ path: { name } })).data;
  return (versions?.items ?? []).map(({ number }) => ({ value: String(number), label: number === versions?.active ? `v${number}, active` : `v${number}` }));
}

/** The isolations that this Cove knows, for a choice. */
export function useIsolations(): { value: string; label: string }[] {
  const isolations = useQuery({ ...listIsolationsOptions(), staleTime: 60_000 }).data;
  return (isolations?.items ?? []).map((one) => ({ value: one.name, label: one.name }));
}

import { useQuery } from "@tanstack/react-query";
import { useSearch } from "@tanstack/react-router";

import type { BenchRun } from "@/api/gen";
import { getBenchRunOptions, listBenchRunsOptions } from "@/api/gen/@tanstack/react-query.gen";

import { readReport, type Report } from "./report";
import { isolationsSearch } from "./search";

export interface Runs {
  items: BenchRun[] | undefined;
  error: unknown;
  retry: () => void;
  /** The one that is under way. */
  running: BenchRun | undefined;
  /** The one that is shown: the URL's, else the newest that is done. */
  shown: BenchRun | undefined;
  report: Report | undefined;
  reportError: unknown;
}

/** The comparisons that were run on this machine, and the report of the one that is shown. */
export function useRuns(): Runs {
  const search = isolationsSearch(useSearch({ strict: false }));
  const runs = useQuery({
    ...listBenchRunsOptions(),
    // While one is under way its progress moves.
    refetchInterval: ({ state }) => (state.data?.items.some((run) => run.state === "running") ? 1_500 : 30_000),
  });
  const items = runs.data?.items;
  const shown = items?.find((run) => run.id === search.run && run.state === "done") ?? items?.find((run) => run.state === "done");
  const report = useQuery({ ...getBenchRunOptions({ path: { id: shown?.id ?? "" } }), enabled: shown !== undefined, staleTime: Number.POSITIVE_INFINITY });
  return {
    items, error: runs.error, retry: () => void runs.refetch(), running: items?.find((run) => run.state === "running"),
    shown, report: readReport(report.data?.report), reportError: report.error,
  };
}

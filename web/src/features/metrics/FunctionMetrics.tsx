import { useQuery } from "@tanstack/react-query";
import { useParams, useSearch } from "@tanstack/react-router";

import { getFunctionOptions } from "@/api/gen/@tanstack/react-query.gen";
import { useLiveMetrics } from "@/api/metrics";
import grid from "@/components/grid.module.css";
import { useTimeRange } from "@/components/timeRange";

import { Charts } from "./Charts";
import { Compared } from "./Compared";
import { Controls } from "./Controls";
import { metricsSearch } from "./search";

/** What one function did: its charts over a range of time, or two of something compared. */
export function FunctionMetrics() {
  const name = useParams({ strict: false }).name ?? "";
  const search = metricsSearch(useSearch({ strict: false }));
  const [range] = useTimeRange();
  const fn = useQuery(getFunctionOptions({ path: { name } })).data;
  useLiveMetrics(range.live, name);
  return (
    <div className={grid.page}>
      <Controls name={name} search={search} />
      {search.compare ? (
        <Compared name={name} search={search} range={range} activeVersion={fn?.version.number} />
      ) : (
        <Charts name={name} range={range} config={fn?.version.config}
          filter={{ ...(search.version !== undefined && { version: search.version }), ...(search.isolation !== undefined && { isolation: search.isolation }) }} />
      )}
    </div>
  );
}

import { useQuery } from "@tanstack/react-query";

import { listIsolationsOptions, listInstancesOptions } from "@/api/gen/@tanstack/react-query.gen";
import grid from "@/components/grid.module.css";
import { PageHeader } from "@/components/PageHeader";
import { ErrorState, LoadingBox } from "@/components/states";

import { Comparison } from "./Comparison";
import { IsolationCard } from "./IsolationCard";
import { StartBench } from "./StartBench";
import { useRuns } from "./useRuns";

/** The technologies that wall functions in: which there are, how they compare here, what they cost. */
export function IsolationsPage() {
  const isolations = useQuery(listIsolationsOptions());
  const instances = useQuery({ ...listInstancesOptions(), refetchInterval: 10_000 }).data?.items;
  const runs = useRuns();
  const items = isolations.data?.items;
  return (
    <div className={grid.page}>
      <PageHeader title="Isolations" lead="What walls functions in on this machine, and what each of them costs." actions={<StartBench isolations={items ?? []} running={runs.running} />} />
      {isolations.error && !items && <ErrorState error={isolations.error} retry={() => void isolations.refetch()} />}
      <div className={grid.three}>
        {items
          ? items.map((one) => <IsolationCard key={one.name} isolation={one} wall={runs.report?.isolations.find((wall) => wall.name === one.name)} instances={instances?.filter((instance) => instance.isolation === one.name).length} />)
          : !isolations.error && [1, 2, 3].map((i) => <LoadingBox key={i} height={230} />)}
      </div>
      <Comparison runs={runs} />
    </div>
  );
}

import { useSearch } from "@tanstack/react-router";

import grid from "@/components/grid.module.css";
import { PageHeader } from "@/components/PageHeader";
import { RangeBar } from "@/components/RangeBar";

import { InvocationList } from "./InvocationList";
import { invocationsSearch } from "./search";

/** The invocations of all functions. */
export function InvocationsPage() {
  const search = invocationsSearch(useSearch({ strict: false }));
  return (
    <div className={grid.page}>
      <PageHeader title="Invocations" lead="Every request to every function, those that ended last first." actions={<RangeBar />} />
      <InvocationList search={search} />
    </div>
  );
}

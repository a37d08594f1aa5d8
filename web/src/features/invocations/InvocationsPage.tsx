import { useSearch } from "@tanstack/react-router";

import grid from "@/components/grid.module.css";
import { PageHeader } from "@/components/PageHeader";

import { InvocationList } from "./InvocationList";
import { invocationsSearch } from "./search";

/** The invocations of all functions. */
export function InvocationsPage() {
  const search = invocationsSearch(useSearch({ strict: false }));
  return (
    <div className={grid.page}>
      <PageHeader title="Invocations" lead="Every request to every function, those that ended last first." />
      <InvocationList search={search} />
    </div>
  );
}

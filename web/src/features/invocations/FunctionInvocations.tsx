import { useParams, useSearch } from "@tanstack/react-router";

import grid from "@/components/grid.module.css";

import { InvocationList } from "./InvocationList";
import { invocationsSearch } from "./search";

/** The invocations of one function. */
export function FunctionInvocations() {
  const name = useParams({ strict: false }).name ?? "";
  const { function: _function, ...search } = invocationsSearch(useSearch({ strict: false }));
  return (
    <div className={grid.page}>
      <InvocationList search={search} fn={name} />
    </div>
  );
}

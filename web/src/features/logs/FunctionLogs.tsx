import { useParams, useSearch } from "@tanstack/react-router";

import grid from "@/components/grid.module.css";

import { LogView } from "./LogView";
import { logsSearch } from "./search";

/** The log of one function. */
export function FunctionLogs() {
  const name = useParams({ strict: false }).name ?? "";
  const { function: _function, ...search } = logsSearch(useSearch({ strict: false }));
  return (
    <div className={grid.page}>
      <LogView search={search} fn={name} />
    </div>
  );
}

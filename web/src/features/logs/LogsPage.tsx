import { useSearch } from "@tanstack/react-router";

import grid from "@/components/grid.module.css";
import { PageHeader } from "@/components/PageHeader";
import { RangeBar } from "@/components/RangeBar";

import { LogView } from "./LogView";
import { logsSearch } from "./search";

/** The log of all functions. */
export function LogsPage() {
  const search = logsSearch(useSearch({ strict: false }));
  return (
    <div className={grid.page}>
      <PageHeader title="Logs" lead="What functions print, and what Cove says of them." actions={<RangeBar />} />
      <LogView search={search} />
    </div>
  );
}

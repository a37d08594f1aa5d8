import { Select } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { listFunctionsOptions } from "@/api/gen/@tanstack/react-query.gen";

/** Chooses a function by name, also one that is there no more. */
export function FunctionSelect({ value, onChange }: { value: string | undefined; onChange: (value: string | undefined) => void }) {
  const functions = useQuery({ ...listFunctionsOptions({ query: { limit: 500 } }), staleTime: 30_000 }).data?.items ?? [];
  const names = functions.map((fn) => fn.name);
  const data = value !== undefined && !names.includes(value) ? [value, ...names] : names;
  return <Select aria-label="Function" placeholder="Any function" clearable searchable limit={100} w={150} data={data} value={value ?? null} onChange={(next) => onChange(next ?? undefined)} />;
}

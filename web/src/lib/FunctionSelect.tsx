import { MultiSelect, Select } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { listFunctionsOptions } from "@/api/gen/@tanstack/react-query.gen";

/** How many are offered at once; who types finds the others. */
const offered = 100;

/**
 * The functions that a text is a part of, as the API finds them, however many there
 * are. What was chosen is among them, also what is there no more.
 */
function useFunctions(text: string, chosen: string[]) {
  const [asked] = useDebouncedValue(text.trim(), 200);
  const list = useQuery({
    ...listFunctionsOptions({ query: { limit: offered, ...(asked !== "" && { search: asked }) } }),
    staleTime: 30_000,
    placeholderData: keepPreviousData,
  });
  const names = list.data?.items.map((fn) => fn.name) ?? [];
  const nothing = list.data === undefined || list.isPlaceholderData || asked !== text.trim() ? "Searching" : "No function is like that";
  return { data: [...chosen.filter((name) => !names.includes(name)), ...names], nothingFoundMessage: nothing };
}

/** What the API found is offered as it is: it looks into descriptions and routes too. */
const asFound = ({ options }: { options: unknown[] }) => options as never;

/** Chooses a function by name, also one that is there no more. */
export function FunctionSelect({ value, onChange }: { value: string | undefined; onChange: (value: string | undefined) => void }) {
  const [text, setText] = useState("");
  // The name of what is chosen stands in the field, and is not looked for.
  const found = useFunctions(text === value ? "" : text, value === undefined ? [] : [value]);
  return (
    <Select aria-label="Function" placeholder="Any function" clearable searchable searchValue={text} onSearchChange={setText} filter={asFound} w={150}
      {...found} value={value ?? null} onChange={(next) => onChange(next ?? undefined)} comboboxProps={{ width: "max-content", position: "bottom-start" }} />
  );
}

interface SeveralProps {
  label: string;
  description: string;
  /** Stands there while none is chosen. */
  none: string;
  value: string[];
  onChange: (value: string[]) => void;
}

/** Chooses functions by name. */
export function FunctionsSelect({ label, description, none, value, onChange }: SeveralProps) {
  const [text, setText] = useState("");
  const found = useFunctions(text, value);
  return (
    <MultiSelect label={label} description={description} placeholder={value.length === 0 ? none : ""} searchable clearable hidePickedOptions searchValue={text} onSearchChange={setText} filter={asFound}
      {...found} value={value} onChange={onChange} />
  );
}

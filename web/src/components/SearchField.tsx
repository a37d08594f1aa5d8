import { ActionIcon, TextInput } from "@mantine/core";
import { IconX } from "@tabler/icons-react";
import type { ReactNode } from "react";

import { useTyped } from "./useTyped";

interface Props {
  label: string;
  placeholder: string;
  /** What is searched for, as the URL has it. */
  value: string | undefined;
  /** Called when somebody stops typing; undefined for nothing. */
  onSearch: (text: string | undefined) => void;
  icon?: ReactNode;
  className?: string | undefined;
  width?: number;
}

/** A text that is searched for and stands in the URL. */
export function SearchField({ label, placeholder, value = "", onSearch, icon, className, width }: Props) {
  const { shown, type, put } = useTyped(value, (text) => onSearch(text === "" ? undefined : text));
  return (
    <TextInput
      {...(className !== undefined && { className })}
      {...(width !== undefined && { w: width })}
      aria-label={label}
      placeholder={placeholder}
      leftSection={icon}
      rightSection={
        shown !== "" && (
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label="Clear the search" onClick={() => put("")}>
            <IconX size={14} />
          </ActionIcon>
        )
      }
      value={shown}
      onChange={(event) => type(event.currentTarget.value)}
      spellCheck={false}
      autoComplete="off"
    />
  );
}

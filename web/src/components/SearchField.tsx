import { ActionIcon, TextInput } from "@mantine/core";
import { useDebouncedCallback } from "@mantine/hooks";
import { IconX } from "@tabler/icons-react";
import { useEffect, useRef, useState, type ReactNode } from "react";

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

const pause = 300;

/** A text that is searched for and stands in the URL: it follows the URL, but never overtakes who types. */
export function SearchField({ label, placeholder, value = "", onSearch, icon, className, width }: Props) {
  const [text, setText] = useState(value);
  // What this field has put into the URL, which is no news when it comes back.
  const told = useRef(value);
  const tell = (next: string) => {
    told.current = next;
    onSearch(next === "" ? undefined : next);
  };
  const later = useDebouncedCallback(tell, pause);
  useEffect(() => {
    if (value === told.current) return;
    later.cancel();
    told.current = value;
    setText(value);
  }, [value, later]);
  const clear = () => {
    later.cancel();
    setText("");
    tell("");
  };
  return (
    <TextInput
      {...(className !== undefined && { className })}
      {...(width !== undefined && { w: width })}
      aria-label={label}
      placeholder={placeholder}
      leftSection={icon}
      rightSection={
        text !== "" && (
          <ActionIcon variant="subtle" color="gray" size="sm" aria-label="Clear the search" onClick={clear}>
            <IconX size={14} />
          </ActionIcon>
        )
      }
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value);
        later(event.currentTarget.value);
      }}
      spellCheck={false}
      autoComplete="off"
    />
  );
}

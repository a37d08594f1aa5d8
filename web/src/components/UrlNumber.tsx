import { NumberInput, type NumberInputProps } from "@mantine/core";

import { useTyped } from "./useTyped";

interface Props extends Omit<NumberInputProps, "value" | "defaultValue" | "onChange"> {
  /** As the URL has it; undefined shows an empty field. */
  value: number | undefined;
  /** Called when somebody stops typing; undefined for an empty field. */
  onNumber: (value: number | undefined) => void;
}

/** A number that stands in the URL. */
export function UrlNumber({ value, onNumber, ...rest }: Props) {
  const { shown, type } = useTyped<number | string>(value ?? "", (next) => onNumber(typeof next === "number" ? next : undefined));
  return <NumberInput {...rest} value={shown} onChange={type} />;
}

import { Button, type ButtonProps } from "@mantine/core";
import { createLink } from "@tanstack/react-router";
import { forwardRef, type ReactNode } from "react";

interface Props extends Omit<ButtonProps, "component"> {
  children?: ReactNode;
}

const Anchor = forwardRef<HTMLAnchorElement, Props>(function Anchor(props, ref) {
  return <Button component="a" ref={ref} {...props} />;
});

/** A link to a page of the console that looks like a button. */
export const ButtonLink = createLink(Anchor);

import { Outlet } from "@tanstack/react-router";

/** What stands above every page of one function. */
export function FunctionLayout() {
  return <Outlet />;
}

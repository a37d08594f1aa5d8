import { Stack } from "@mantine/core";
import { IconActivity, IconBox, IconFunction, IconLayoutDashboard, IconLogs, IconSettings } from "@tabler/icons-react";
import { Link } from "@tanstack/react-router";

import classes from "./Nav.module.css";

const pages = [
  { to: "/", label: "Overview", icon: IconLayoutDashboard, exact: true },
  { to: "/functions", label: "Functions", icon: IconFunction, exact: false },
  { to: "/invocations", label: "Invocations", icon: IconActivity, exact: false },
  { to: "/logs", label: "Logs", icon: IconLogs, exact: false },
  { to: "/isolations", label: "Isolations", icon: IconBox, exact: false },
  { to: "/settings", label: "Settings", icon: IconSettings, exact: false },
] as const;

/** The console's pages. */
export function Nav() {
  return (
    <Stack gap={2}>
      {pages.map(({ to, label, icon: Icon, exact }) => (
        <Link key={to} to={to} className={classes.link} activeOptions={{ exact, includeSearch: false }}>
          <Icon size={18} stroke={1.7} aria-hidden="true" />
          {label}
        </Link>
      ))}
    </Stack>
  );
}

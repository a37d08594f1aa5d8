import { AppShell, Burger, Group, ScrollArea } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Outlet, useRouterState } from "@tanstack/react-router";
import { lazy, Suspense, useEffect } from "react";

import { useEnded } from "@/api/who";
import { useSignedOutElsewhere } from "@/features/session/forget";

import { Brand } from "./Brand";
import { ConnectionBadge } from "./ConnectionBadge";
import { Nav } from "./Nav";
import { ThemeSwitch } from "./ThemeSwitch";
import { UserMenu } from "./UserMenu";
import classes from "./Shell.module.css";

const SignInAgain = lazy(async () => ({ default: (await import("@/features/session/SignInAgain")).SignInAgain }));

/** What stands around every page: navigation, connection, theme, who is signed in. */
export function Shell() {
  const [opened, { toggle, close }] = useDisclosure();
  const path = useRouterState({ select: (s) => s.location.pathname });
  useEffect(close, [path, close]);
  const ended = useEnded();
  useSignedOutElsewhere();
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 216, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding={{ base: "md", sm: "lg" }}
      classNames={{ header: classes.header, navbar: classes.navbar, main: classes.main }}
    >
      <a href="#main" className="skip-link">
        Skip to the page
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label={opened ? "Close navigation" : "Open navigation"} />
            <Brand />
          </Group>
          <Group gap="xs" wrap="nowrap">
            <ConnectionBadge />
            <ThemeSwitch />
            <UserMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar aria-label="Main">
        <AppShell.Section grow component={ScrollArea} p="sm">
          <Nav />
        </AppShell.Section>
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <div className={classes.page}>
          <Outlet />
        </div>
      </AppShell.Main>
      {ended && (
        <Suspense>
          <SignInAgain />
        </Suspense>
      )}
    </AppShell>
  );
}

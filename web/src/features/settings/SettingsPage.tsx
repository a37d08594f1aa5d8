import { Tabs } from "@mantine/core";
import { useSearch } from "@tanstack/react-router";
import type { ComponentType } from "react";

import { includes, useWho, type Role } from "@/api/who";
import grid from "@/components/grid.module.css";
import { PageHeader } from "@/components/PageHeader";
import { useSetSearch } from "@/components/RangeBar";

import { AuditTab } from "./AuditTab";
import { PricesTab } from "./PricesTab";
import { RetentionTab } from "./RetentionTab";
import { settingsSearch, type SettingsSearch, type Tab } from "./search";
import { TokensTab } from "./TokensTab";
import { UsersTab } from "./UsersTab";

const pages: { tab: Tab; label: string; least: Role; view: ComponentType }[] = [
  { tab: "tokens", label: "Tokens", least: "admin", view: TokensTab },
  { tab: "users", label: "Users", least: "admin", view: UsersTab },
  { tab: "audit", label: "Audit log", least: "admin", view: AuditTab },
  { tab: "retention", label: "Retention", least: "viewer", view: RetentionTab },
  { tab: "prices", label: "Prices", least: "viewer", view: PricesTab },
];

/** Who may do what, what was done, and what is kept for how long. */
export function SettingsPage() {
  const search = settingsSearch(useSearch({ strict: false }));
  const set = useSetSearch<SettingsSearch>();
  const role = useWho()?.role;
  const allowed = pages.filter((page) => includes(role, page.least));
  const shown = allowed.find((page) => page.tab === search.tab) ?? allowed[0];
  if (!shown) return null;
  const View = shown.view;
  return (
    <div className={grid.page}>
      <PageHeader title="Settings" lead="Who may do what, what was changed, and what is kept." />
      <Tabs value={shown.tab} onChange={(tab) => set({ tab: (tab ?? undefined) as Tab | undefined, actor: undefined, action: undefined, target: undefined, before: undefined })} keepMounted={false}>
        <div style={{ overflowX: "auto", overflowY: "hidden" }}>
          <Tabs.List style={{ flexWrap: "nowrap", minWidth: "max-content" }}>{allowed.map((page) => <Tabs.Tab key={page.tab} value={page.tab}>{page.label}</Tabs.Tab>)}</Tabs.List>
        </div>
        <Tabs.Panel value={shown.tab} pt="md"><View /></Tabs.Panel>
      </Tabs>
    </div>
  );
}

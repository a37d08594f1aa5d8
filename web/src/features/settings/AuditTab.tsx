import { Button, Group, Paper, Stack, Table, Text } from "@mantine/core";
import { IconArrowLeft, IconArrowRight, IconHistory } from "@tabler/icons-react";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";

import type { AuditEntry } from "@/api/gen";
import { listAuditOptions } from "@/api/gen/@tanstack/react-query.gen";
import { formatTime } from "@/components/format";
import { useSetSearch } from "@/components/RangeBar";
import { FilterBar, wholeRow } from "@/components/FilterBar";
import { SearchField } from "@/components/SearchField";
import { EmptyState, ErrorState, LoadingRows } from "@/components/states";

import { settingsSearch, type SettingsSearch } from "./search";

const perPage = 50;
const filters = [
  { key: "actor", label: "Who", placeholder: "user ada" },
  { key: "action", label: "What", placeholder: "createFunction" },
  { key: "target", label: "To what", placeholder: "hello" },
] as const;

/** Every change, and every attempt to sign in. */
export function AuditTab() {
  const { tab: _tab, ...search } = settingsSearch(useSearch({ strict: false }));
  const set = useSetSearch<SettingsSearch>();
  const navigate = useNavigate();
  const audit = useQuery({ ...listAuditOptions({ query: { ...search, limit: perPage } }), placeholderData: keepPreviousData, refetchInterval: search.before === undefined ? 15_000 : false });
  const items = audit.data?.items;
  const next = audit.data?.next;
  const older = () => void navigate({ to: ".", search: ((previous: Record<string, unknown>) => ({ ...previous, before: next })) as never });
  return (
    <Stack gap="md">
      <FilterBar range={false}>
        {filters.map(({ key, label, placeholder }, i) => (
          <SearchField key={key} label={label} placeholder={`${label}: ${placeholder}`} value={search[key]} onSearch={(text) => set({ [key]: text, before: undefined })} width={200} className={i === 0 ? wholeRow : undefined} />
        ))}
      </FilterBar>
      {audit.error && !items && <ErrorState error={audit.error} retry={() => void audit.refetch()} />}
      {!items && !audit.error && <Paper><LoadingRows rows={10} height={38} /></Paper>}
      {items?.length === 0 && <EmptyState icon={<IconHistory size={22} />} title="Nothing here">{Object.keys(search).length > 0 ? "No entry passes all filters." : "Changes appear here as they are made."}</EmptyState>}
      {items && items.length > 0 && <Entries items={items} />}
      {(search.before !== undefined || next !== undefined) && (
        <Group justify="center" gap="xs">
          <Button variant="default" size="xs" leftSection={<IconArrowLeft size={14} />} disabled={search.before === undefined} onClick={() => set({ before: undefined })}>Newest</Button>
          <Button variant="default" size="xs" rightSection={<IconArrowRight size={14} />} disabled={next === undefined} onClick={older}>Older</Button>
        </Group>
      )}
    </Stack>
  );
}

function Entries({ items }: { items: AuditEntry[] }) {
  return (
    <Paper style={{ overflow: "hidden" }}>
      <Table.ScrollContainer minWidth={860} type="native" tabIndex={0}>
        <Table verticalSpacing={7} horizontalSpacing="sm">
          <Table.Thead><Table.Tr><Table.Th>When</Table.Th><Table.Th>Who</Table.Th><Table.Th>What</Table.Th><Table.Th>To what</Table.Th><Table.Th>Detail</Table.Th><Table.Th>From</Table.Th><Table.Th ta="right">Status</Table.Th></Table.Tr></Table.Thead>
          <Table.Tbody>
            {items.map((entry) => (
              <Table.Tr key={entry.id}>
                <Table.Td className="num" style={{ whiteSpace: "nowrap" }}>{formatTime(entry.time)}</Table.Td>
                <Table.Td maw={200}><div className="truncate" title={entry.actor}>{entry.actor}</div></Table.Td>
                <Table.Td><code>{entry.action}</code></Table.Td>
                <Table.Td fw={550} style={{ whiteSpace: "nowrap" }}>{entry.target ?? "–"}</Table.Td>
                <Table.Td maw={220}><div className="truncate" title={entry.detail}>{entry.detail ?? ""}</div></Table.Td>
                <Table.Td className="num"><Text size="xs" c="var(--cove-muted)">{entry.address ?? ""}</Text></Table.Td>
                <Table.Td ta="right" className="num" c={entry.status >= 400 ? "var(--cove-bad)" : undefined}>{entry.status}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Table.ScrollContainer>
    </Paper>
  );
}

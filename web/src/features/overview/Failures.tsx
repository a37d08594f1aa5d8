import { Anchor, Skeleton, Table, Text } from "@mantine/core";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";

import { listInvocationsOptions } from "@/api/gen/@tanstack/react-query.gen";
import { rangeParameters, type AskedRange } from "@/api/metrics";
import { formatAgo, formatDuration, formatTime } from "@/components/format";
import { Outcome } from "@/components/Outcome";
import { Panel } from "@/components/Panel";
import { ErrorState } from "@/components/states";
import { useNow } from "@/lib/useNow";

const shown = 8;

/** The latest invocations that failed; each leads to its log. */
export function Failures({ range }: { range: AskedRange }) {
  const now = useNow();
  const failures = useQuery({
    ...listInvocationsOptions({ query: { outcome: "error", limit: shown, ...rangeParameters(range) } }),
    refetchInterval: range.live ? 10_000 : false,
    placeholderData: keepPreviousData,
  });
  const items = failures.data?.items;
  const all = <Anchor size="xs" renderRoot={(props) => <Link to="/invocations" search={{ outcome: "error" }} {...props} />}>All failures</Anchor>;
  return (
    <Panel title="Recent failures" actions={all} flush>
      {failures.error && !items && <ErrorState error={failures.error} retry={() => void failures.refetch()} compact />}
      {!items && !failures.error && <Skeleton height={shown * 37 + 36} mx="md" />}
      {items?.length === 0 && <Text c="var(--cove-muted)" size="sm" ta="center" py={32}>No failures in this time</Text>}
      {items && items.length > 0 && (
        <Table.ScrollContainer minWidth={720} type="native" tabIndex={0}>
          <Table highlightOnHover verticalSpacing={7} horizontalSpacing="md">
            <Table.Thead>
              <Table.Tr><Table.Th>When</Table.Th><Table.Th>Function</Table.Th><Table.Th>What</Table.Th><Table.Th>Message</Table.Th><Table.Th ta="right">Took</Table.Th></Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {items.map((one) => (
                <Table.Tr key={one.id}>
                  <Table.Td className="num" style={{ whiteSpace: "nowrap" }} title={formatTime(one.time)}>
                    <Anchor size="sm" renderRoot={(props) => <Link to="/invocations/$id" params={{ id: one.id }} {...props} />}>{formatAgo(one.time, now)}</Anchor>
                  </Table.Td>
                  <Table.Td><Anchor c="inherit" size="sm" fw={550} renderRoot={(props) => <Link to="/functions/$name" params={{ name: one.function }} {...props} />}>{one.function}</Anchor></Table.Td>
                  <Table.Td><Outcome outcome={one.outcome} type={one.error_type} /></Table.Td>
                  <Table.Td maw={420}><div className="truncate" title={one.error}>{one.error ?? "–"}</div></Table.Td>
                  <Table.Td ta="right" className="num" style={{ whiteSpace: "nowrap" }}>{formatDuration(one.timings.total_ns)}</Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </Table.ScrollContainer>
      )}
    </Panel>
  );
}

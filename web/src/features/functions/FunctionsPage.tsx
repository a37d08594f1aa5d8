import { Group, Select, Switch, Tooltip } from "@mantine/core";
import { IconChevronDown, IconChevronUp, IconPlus, IconSearch, IconSearchOff } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate, useSearch } from "@tanstack/react-router";
import type { ReactNode } from "react";

import type { Function as Fn } from "@/api/gen";
import { useMay } from "@/api/who";
import { Sparkline } from "@/components/charts";
import { formatAgo, formatCount, formatDuration, formatShare, formatTime } from "@/components/format";
import { notifyDone, notifyError } from "@/components/notify";
import { ButtonLink } from "@/components/ButtonLink";
import { PageHeader } from "@/components/PageHeader";
import { SearchField } from "@/components/SearchField";
import { EmptyState, ErrorState, LoadingRows } from "@/components/states";

import { FirstFunction } from "./FirstFunction";
import classes from "./FunctionsPage.module.css";
import { defaultOrder, errorShare, rowsOf, sortedBy, type Row } from "./list";
import { DisabledBadge, InstanceCount, RuntimeBadge } from "./parts";
import { functionsOptions, sparkOptions, useSwitch } from "./queries";
import type { FunctionsSearch } from "./search";

/** The table of all functions. */
export function FunctionsPage() {
  const functions = useQuery(functionsOptions);
  const sparks = useQuery(sparkOptions);
  const search = useSearch({ strict: false }) as FunctionsSearch;
  const mayChange = useMay("developer");
  const all = functions.data;
  const rows = all ? rowsOf(all, sparks.data ?? {}, search) : [];
  const none = all?.length === 0;
  return (
    <>
      <PageHeader
        title="Functions"
        lead={all ? (none ? "Nothing is deployed yet" : countText(rows.length, all.length)) : " "}
        actions={
          mayChange &&
          !none && (
            <ButtonLink to="/create" leftSection={<IconPlus size={16} />}>
              Create function
            </ButtonLink>
          )
        }
      />
      {functions.isError && !all ? (
        <ErrorState error={functions.error} retry={() => void functions.refetch()} />
      ) : none ? (
        <FirstFunction />
      ) : (
        <div className={classes.card}>
          <Toolbar all={all ?? []} />
          {!all ? (
            <LoadingRows rows={8} height={60} />
          ) : rows.length === 0 ? (
            <NothingFound />
          ) : (
            <Table rows={rows} mayChange={mayChange} />
          )}
        </div>
      )}
    </>
  );
}

function countText(shown: number, all: number): string {
  const functions = all === 1 ? "1 function" : `${formatCount(all)} functions`;
  return shown === all ? functions : `${formatCount(shown)} of ${functions}`;
}

/** The search as it is in the URL, and how to change it. */
function useFunctionsSearch(): [FunctionsSearch, (change: (old: FunctionsSearch) => FunctionsSearch) => void] {
  const search = useSearch({ strict: false }) as FunctionsSearch;
  const navigate = useNavigate();
  return [search, (change) => void navigate({ to: "/functions", search: change(search), replace: true })];
}

function Toolbar(props: { all: Fn[] }) {
  const [search, setSearch] = useFunctionsSearch();
  const values = (of: (fn: Fn) => string | undefined) => [...new Set(props.all.flatMap((fn) => of(fn) ?? []))].sort();
  const choose = (key: "runtime" | "isolation" | "state") => (value: string | null) =>
    setSearch(({ [key]: _, ...rest }) => (value === null ? rest : ({ ...rest, [key]: value } as FunctionsSearch)));
  return (
    <div className={classes.toolbar} role="search">
      <SearchField
        className={classes.search}
        label="Search functions"
        placeholder="Search name, description or route"
        icon={<IconSearch size={15} />}
        value={search.q}
        onSearch={(q) => setSearch(({ q: _, ...rest }) => (q === undefined ? rest : { ...rest, q }))}
      />
      <Group gap="xs" className={classes.filters}>
        <Select aria-label="Runtime" placeholder="Runtime" clearable data={values((fn) => fn.version.config.runtime)} value={search.runtime ?? null} onChange={choose("runtime")} />
        <Select aria-label="Isolation" placeholder="Isolation" clearable data={values((fn) => fn.version.config.isolation)} value={search.isolation ?? null} onChange={choose("isolation")} />
        <Select
          aria-label="State"
          placeholder="State"
          clearable
          data={[
            { value: "enabled", label: "Enabled" },
            { value: "disabled", label: "Disabled" },
          ]}
          value={search.state ?? null}
          onChange={choose("state")}
        />
      </Group>
    </div>
  );
}

function NothingFound() {
  return (
    <EmptyState
      bare
      icon={<IconSearchOff size={22} />}
      title="No function is like that"
      action={
        <ButtonLink to="/functions" search={{}} variant="default">
          Show all functions
        </ButtonLink>
      }
    />
  );
}

function Table(props: { rows: Row[]; mayChange: boolean }) {
  return (
    <table className={classes.table}>
      <thead>
        <tr>
          <SortHead sort="name">Function</SortHead>
          <th className={classes.wide}>Runtime</th>
          <th className={classes.wide}>Isolation</th>
          <th className={classes.medium}>Instances</th>
          <SortHead sort="calls">Last 24 hours</SortHead>
          <SortHead sort="errors" className={classes.medium}>
            Errors
          </SortHead>
          <SortHead sort="p99" className={classes.medium}>
            p99
          </SortHead>
          <SortHead sort="updated" className={classes.wide}>
            Changed
          </SortHead>
          <th className={classes.switch}>Enabled</th>
        </tr>
      </thead>
      <tbody>
        {props.rows.map((row) => (
          <FunctionRow key={row.fn.name} row={row} mayChange={props.mayChange} />
        ))}
      </tbody>
    </table>
  );
}

function SortHead(props: { sort: NonNullable<FunctionsSearch["sort"]>; children: ReactNode; className?: string | undefined }) {
  const [search, setSearch] = useFunctionsSearch();
  const active = (search.sort ?? "name") === props.sort;
  const order = search.order ?? defaultOrder(search.sort);
  const Icon = order === "asc" ? IconChevronUp : IconChevronDown;
  return (
    <th className={props.className} aria-sort={active ? (order === "asc" ? "ascending" : "descending") : "none"}>
      <button type="button" className={classes.sort} onClick={() => setSearch((old) => sortedBy(old, props.sort))}>
        {props.children}
        <Icon size={13} className={classes.sortIcon} data-active={active || undefined} aria-hidden="true" />
      </button>
    </th>
  );
}

function FunctionRow({ row: { fn, spark }, mayChange }: { row: Row; mayChange: boolean }) {
  const { config } = fn.version;
  const share = errorShare(spark);
  return (
    <tr data-disabled={fn.disabled || undefined}>
      <td className={classes.name}>
        <div className={classes.nameLine}>
          <Link to="/functions/$name" params={{ name: fn.name }} className={classes.link}>
            {fn.name}
          </Link>
          {fn.disabled && <DisabledBadge />}
        </div>
        <div className={classes.sub}>{config.description || (config.route ? <code>{config.route}</code> : "No route")}</div>
      </td>
      <td className={classes.wide}>
        <RuntimeBadge runtime={config.runtime} />
      </td>
      <td className={classes.wide}>{config.isolation}</td>
      <td className={classes.medium}>
        <InstanceCount instances={fn.instances} />
      </td>
      <td className={classes.spark}>
        <div className={classes.sparkBox}>
          {spark?.points && spark.total.invocations > 0 ? (
            <Sparkline
              values={spark.points.map((p) => p.invocations)}
              errors={spark.points.map((p) => p.errors)}
              label={`${formatCount(spark.total.invocations)} calls in the last 24 hours`}
              width={110}
              height={26}
            />
          ) : (
            <span className={classes.flat} aria-hidden="true" />
          )}
          <span className={`num ${classes.calls}`}>{formatCount(spark?.total.invocations ?? 0)}</span>
        </div>
      </td>
      <td className={classes.medium}>
        <span className="num" data-bad={(share ?? 0) > 0 || undefined}>
          {share === undefined ? "–" : formatShare(share)}
        </span>
      </td>
      <td className={`num ${classes.medium}`}>{formatDuration(spark?.total.latency?.p99_ns)}</td>
      <td className={classes.wide}>
        <Tooltip label={formatTime(fn.updated)}>
          <span className={classes.muted}>{formatAgo(fn.updated, Date.now())}</span>
        </Tooltip>
      </td>
      <td className={classes.switch}>
        <EnabledSwitch fn={fn} mayChange={mayChange} />
      </td>
    </tr>
  );
}

function EnabledSwitch({ fn, mayChange }: { fn: Fn; mayChange: boolean }) {
  const change = useSwitch();
  const set = (enabled: boolean) =>
    change.mutate(
      { name: fn.name, enabled },
      { onSuccess: () => notifyDone(enabled ? `${fn.name} takes requests again` : `${fn.name} refuses requests now`), onError: notifyError },
    );
  return (
    <Switch
      size="sm"
      checked={change.isPending ? change.variables.enabled : !fn.disabled}
      disabled={!mayChange || change.isPending}
      aria-label={`${fn.name} takes requests`}
      onChange={(e) => set(e.currentTarget.checked)}
    />
  );
}

import { ActionIcon, Badge, CopyButton, Group, Menu, Skeleton, Tooltip } from "@mantine/core";
import { IconCheck, IconCopy, IconDots, IconExternalLink, IconPlayerPause, IconPlayerPlay, IconRefresh, IconTrash } from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useParams, useRouterState } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import type { Function as Fn } from "@/api/gen";
import { asApiError } from "@/api/problem";
import { useMay } from "@/api/who";
import { ButtonLink } from "@/components/ButtonLink";
import { notifyDone, notifyError } from "@/components/notify";
import { PageHeader } from "@/components/PageHeader";
import { EmptyState, ErrorState } from "@/components/states";
import { validateTime } from "@/components/timeRange";

import { DeleteDialog } from "./DeleteDialog";
import classes from "./FunctionLayout.module.css";
import { DisabledBadge, InstanceCount, RuntimeBadge } from "./parts";
import { functionOptions, useRecycle, useSwitch } from "./queries";

const tabs = [
  { to: "/functions/$name", label: "Overview", exact: true },
  { to: "/functions/$name/test", label: "Test", exact: false },
  { to: "/functions/$name/code", label: "Code", exact: false },
  { to: "/functions/$name/invocations", label: "Invocations", exact: false },
  { to: "/functions/$name/logs", label: "Logs", exact: false },
  { to: "/functions/$name/versions", label: "Versions", exact: false },
  { to: "/functions/$name/settings", label: "Settings", exact: false },
] as const;

/** What stands above every page of one function. */
export function FunctionLayout() {
  const { name } = useParams({ strict: false }) as { name: string };
  const fn = useQuery(functionOptions(name));
  const path = useRouterState({ select: (s) => s.location.pathname });
  const bar = useRef<HTMLElement>(null);
  useEffect(() => {
    const tabs = bar.current;
    if (!tabs) return;
    // Where the tabs are wider than the window, the one that is shown is in view.
    const show = () => {
      const active = tabs.querySelector<HTMLElement>('[data-status="active"]');
      if (!active) return;
      const left = active.offsetLeft - tabs.offsetLeft;
      const within = left >= tabs.scrollLeft && left + active.offsetWidth <= tabs.scrollLeft + tabs.clientWidth;
      if (!within) tabs.scrollLeft = left - 60;
    };
    show();
    const sizes = new ResizeObserver(show);
    sizes.observe(tabs);
    return () => sizes.disconnect();
  }, [path]);
  if (fn.isError && asApiError(fn.error).status === 404) {
    return (
      <EmptyState icon={<IconTrash size={22} />} title={`There is no function ${name}`} action={<ButtonLink to="/functions" variant="default">To all functions</ButtonLink>}>
        It may have been deleted.
      </EmptyState>
    );
  }
  return (
    <>
      <PageHeader title={name} before={<Mark fn={fn.data} />} lead={<Lead fn={fn.data} />} actions={fn.data && <Actions fn={fn.data} />} />
      <nav ref={bar} className={classes.tabs} aria-label={`Pages of ${name}`}>
        {tabs.map((tab) => (
          <Link key={tab.to} to={tab.to} params={{ name }} search={validateTime} className={classes.tab} activeOptions={{ exact: tab.exact, includeSearch: false }}>
            {tab.label}
          </Link>
        ))}
      </nav>
      {fn.isError && !fn.data ? <ErrorState error={fn.error} retry={() => void fn.refetch()} /> : <Outlet />}
    </>
  );
}

function Mark(props: { fn: Fn | undefined }) {
  return props.fn?.disabled ? <DisabledBadge /> : null;
}

function Lead({ fn }: { fn: Fn | undefined }) {
  if (!fn) return <Skeleton height={14} width={260} my={4} />;
  const { config, number } = fn.version;
  return (
    <div className={classes.lead}>
      <RuntimeBadge runtime={config.runtime} />
      <span>{config.isolation}</span>
      <Link to="/functions/$name/versions" params={{ name: fn.name }} search={validateTime} className={classes.quiet}>
        version {number}
      </Link>
      <InstanceCount instances={fn.instances} />
      {fn.url !== undefined && <Address url={fn.url} />}
    </div>
  );
}

/** The address that the route answers at. One with a wildcard cannot be opened as it is. */
function Address(props: { url: string }) {
  const open = /[{}]/.test(props.url) ? undefined : props.url;
  return (
    <span className={classes.address}>
      <code className="truncate">{props.url}</code>
      <CopyButton value={props.url}>
        {({ copied, copy }) => (
          <Tooltip label={copied ? "Copied" : "Copy the address"}>
            <ActionIcon size="sm" variant="subtle" color="gray" aria-label="Copy the address" onClick={copy}>
              {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
            </ActionIcon>
          </Tooltip>
        )}
      </CopyButton>
      {open !== undefined && (
        <ActionIcon component="a" href={open} target="_blank" rel="noreferrer" size="sm" variant="subtle" color="gray" aria-label="Open in another tab">
          <IconExternalLink size={14} />
        </ActionIcon>
      )}
    </span>
  );
}

function replaced(instances: number): string {
  if (instances === 0) return "There was no instance to replace";
  return instances === 1 ? "The instance was replaced" : `${instances} instances were replaced`;
}

function Actions({ fn }: { fn: Fn }) {
  const mayChange = useMay("developer");
  const change = useSwitch();
  const recycle = useRecycle(fn.name);
  const [deleting, setDeleting] = useState(false);
  if (!mayChange) return <Badge variant="default">Read only</Badge>;
  const enabled = !fn.disabled;
  return (
    <Group gap="xs">
      <Menu position="bottom-end" shadow="md" width={240}>
        <Menu.Target>
          <ActionIcon variant="default" size={36} loading={recycle.isPending} aria-label={`More actions for ${fn.name}`}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            leftSection={enabled ? <IconPlayerPause size={16} /> : <IconPlayerPlay size={16} />}
            onClick={() =>
              change.mutate(
                { name: fn.name, enabled: !enabled },
                { onSuccess: () => notifyDone(enabled ? `${fn.name} refuses requests now` : `${fn.name} takes requests again`), onError: notifyError },
              )
            }
          >
            {enabled ? "Disable: refuse requests" : "Enable: take requests"}
          </Menu.Item>
          <Menu.Item
            leftSection={<IconRefresh size={16} />}
            onClick={() => recycle.mutate(undefined, { onSuccess: (done) => notifyDone(replaced(done.instances)), onError: notifyError })}
          >
            Recycle its instances
          </Menu.Item>
          <Menu.Divider />
          <Menu.Item color="red" leftSection={<IconTrash size={16} />} onClick={() => setDeleting(true)}>
            Delete
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <DeleteDialog fn={fn} opened={deleting} onClose={() => setDeleting(false)} />
    </Group>
  );
}

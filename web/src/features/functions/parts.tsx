import { Badge, Tooltip, VisuallyHidden } from "@mantine/core";

import type { Instances } from "@/api/gen";

import { instanceCount } from "./list";
import classes from "./parts.module.css";

/** A runtime by its name, with the colour of its language. */
export function RuntimeBadge(props: { runtime: string }) {
  const language = props.runtime.startsWith("python") ? "python" : props.runtime.startsWith("node") ? "node" : "other";
  return (
    <span className={classes.runtime} data-language={language}>
      {props.runtime}
    </span>
  );
}

/** How many instances there are and what they do. */
export function InstanceCount(props: { instances: Instances }) {
  const i = props.instances;
  const total = instanceCount(i);
  const words = [
    [i.busy, "busy"],
    [i.idle, "idle"],
    [i.paused, "paused"],
    [i.starting, "starting"],
    [i.stopping, "stopping"],
    [i.queued, "requests waiting"],
  ] as const;
  const text = words.flatMap(([n, word]) => (n > 0 ? [`${n} ${word}`] : [])).join(", ");
  const state = i.busy > 0 ? "busy" : i.starting > 0 ? "starting" : total > 0 ? "idle" : "none";
  return (
    <Tooltip label={text || "No instance: the next call starts one"}>
      <span className={classes.instances} data-state={state}>
        <span className={classes.dot} aria-hidden="true" />
        <span className="num">{total}</span>
        <VisuallyHidden>{text}</VisuallyHidden>
      </span>
    </Tooltip>
  );
}

/** Set on functions that refuse every request. */
export function DisabledBadge() {
  return (
    <Badge size="sm" className={classes.badge}>
      Disabled
    </Badge>
  );
}

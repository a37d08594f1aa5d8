import { Checkbox, Input, MultiSelect, SegmentedControl, Select, TagsInput, TextInput } from "@mantine/core";

import type { Isolation, Runtime } from "@/api/gen";

import type { Form } from "../config";

import { Section, type PartProps } from "./Section";
import classes from "./SettingsPage.module.css";

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

type TextField = { [K in keyof Form]: Form[K] extends string ? K : never }[keyof Form];

function Field(props: PartProps & { name: TextField; label: string; description?: string; mono?: boolean; whole?: boolean; placeholder?: string }) {
  const { name } = props;
  return (
    <TextInput
      className={props.whole ? classes.whole : undefined}
      label={props.label}
      description={props.description}
      placeholder={props.placeholder}
      value={props.form[name]}
      error={props.wrong[name]}
      readOnly={props.readOnly}
      onChange={(e) => props.set({ [name]: e.currentTarget.value })}
      classNames={props.mono ? { input: "mono" } : {}}
      inputWrapperOrder={["label", "input", "error", "description"]}
      spellCheck={false}
      autoComplete="off"
    />
  );
}

function Methods(props: PartProps & { name: "methods" | "corsMethods"; label: string; all: string }) {
  const { name, form } = props;
  return (
    <MultiSelect
      label={props.label}
      placeholder={form[name].length === 0 ? props.all : ""}
      data={methods}
      value={form[name]}
      readOnly={props.readOnly}
      error={props.wrong[name]}
      onChange={(chosen) => props.set({ [name]: chosen })}
    />
  );
}

/** What it is and where it runs. */
export function AboutSection(props: PartProps & { runtimes: Runtime[] | undefined; isolations: Isolation[] | undefined }) {
  const { form, set, wrong, readOnly } = props;
  const runtimes = props.runtimes?.map((r) => ({ value: r.name, label: r.name, disabled: !r.available })) ?? [{ value: form.runtime, label: form.runtime }];
  const isolations = props.isolations?.map((i) => ({ value: i.name, label: i.default ? `${i.name} (default)` : i.name, disabled: !i.available })) ?? [
    { value: form.isolation, label: form.isolation },
  ];
  const isolation = props.isolations?.find((i) => i.name === form.isolation);
  const egress = isolation === undefined || isolation.features.includes("egress");
  return (
    <Section title="Function" about="What it is, in which language it runs, and what walls it in.">
      <Field {...props} name="description" label="Description" whole />
      <Select label="Runtime" data={runtimes} value={form.runtime} allowDeselect={false} readOnly={readOnly} error={wrong.runtime} onChange={(v) => set({ runtime: v ?? form.runtime })} />
      <Field {...props} name="handler" label="Handler" mono />
      <Select label="Isolation" data={isolations} value={form.isolation} allowDeselect={false} readOnly={readOnly} error={wrong.isolation} onChange={(v) => set({ isolation: v ?? form.isolation })} />
      <Select
        label="Network"
        data={[
          { value: "none", label: "None" },
          { value: "egress", label: "Out to the world", disabled: !egress },
        ]}
        value={form.network}
        allowDeselect={false}
        readOnly={readOnly}
        error={wrong.network}
        onChange={(v) => set({ network: v ?? form.network })}
      />
    </Section>
  );
}

/** Where and for whom it answers. */
export function DoorSection(props: PartProps) {
  const { form, set, wrong, readOnly } = props;
  return (
    <Section title="Route" about="Where the gateway takes requests for it. Without a route only the API can call it.">
      <Field {...props} name="route" label="Path" placeholder="/hello/{name}" mono whole />
      <Methods {...props} name="methods" label="Methods" all="All" />
      <Input.Wrapper label="Who may call it" labelElement="div" labelProps={{ id: "auth-label" }}>
        <SegmentedControl
          fullWidth
          aria-labelledby="auth-label"
          data={[
            { value: "public", label: "Everybody" },
            { value: "token", label: "Who has a token" },
          ]}
          value={form.auth}
          readOnly={readOnly}
          onChange={(auth) => set({ auth })}
        />
      </Input.Wrapper>
      <TagsInput
        className={classes.whole}
        label="Browsers of other origins (CORS)"
        description="Enter adds one. None: Cove adds no headers."
        inputWrapperOrder={["label", "input", "error", "description"]}
        placeholder={form.corsOrigins.length === 0 ? "https://app.example.com" : ""}
        value={form.corsOrigins}
        readOnly={readOnly}
        error={wrong.cors}
        onChange={(corsOrigins) => set({ corsOrigins })}
      />
      {form.corsOrigins.length > 0 && <CorsFields {...props} />}
    </Section>
  );
}

/** What browsers of other origins may do, once there is an origin. */
function CorsFields(props: PartProps) {
  const { form, set, readOnly } = props;
  return (
    <>
      <Methods {...props} name="corsMethods" label="Methods of other origins" all="Those of the route" />
      <Field {...props} name="corsMaxAge" label="Preflights are kept for" description="0s to 24h; empty: as long as the browser likes" placeholder="10m" />
      <HeaderNames {...props} name="corsHeaders" label="Headers they may send" placeholder="Content-Type" />
      <HeaderNames {...props} name="corsExposeHeaders" label="Headers they may read" placeholder="X-Total" />
      <Checkbox
        className={classes.whole}
        label="Cookies may go along"
        checked={form.corsCredentials}
        disabled={readOnly}
        onChange={(e) => set({ corsCredentials: e.currentTarget.checked })}
      />
    </>
  );
}

function HeaderNames(props: PartProps & { name: "corsHeaders" | "corsExposeHeaders"; label: string; placeholder: string }) {
  const { name } = props;
  const value = props.form[name];
  return (
    <TagsInput
      label={props.label}
      placeholder={value.length === 0 ? props.placeholder : ""}
      value={value}
      readOnly={props.readOnly}
      error={props.wrong[name]}
      onChange={(names) => props.set({ [name]: names })}
    />
  );
}

/** What one instance and one request may use. */
export function LimitsSection(props: PartProps & { cpus: number | undefined }) {
  return (
    <Section title="Limits" about="Of one instance, and of one request. Times are written as 500ms, 10s, 5m; sizes as 64MiB, 1GiB.">
      <Field {...props} name="memory" label="Memory" description={`${props.form.runtime.startsWith("node") ? "64" : "32"} MiB to 64 GiB, /tmp included`} />
      <Field {...props} name="cpu" label="Processors" description={`0.05 to ${props.cpus ?? "those of the machine"}`} />
      <Field {...props} name="tmp" label="/tmp" description="1 MiB to all of the memory" />
      <Field {...props} name="max_body" label="Request body" description="1 KiB to 6 MiB" />
      <Field {...props} name="timeout" label="Run" description="100 ms to 15 min" />
      <Field {...props} name="init_timeout" label="Loading the code" description="100 ms to 5 min" />
      <Field {...props} name="queue_timeout" label="Waiting for an instance" description="1 ms to 5 min" />
    </Section>
  );
}

/** How many instances there are, and how long they stay. */
export function ScalingSection(props: PartProps) {
  const { form, set, readOnly } = props;
  return (
    <Section title="Scaling" about="How many instances there are, and how long one without work is kept.">
      <Field {...props} name="min" label="Always there" description="0 scales to zero" />
      <Field {...props} name="max" label="At most" description="1 to 1,000 instances" />
      <Field {...props} name="concurrency" label="Requests at once" description="In one instance: 1 to 100" />
      <Field {...props} name="queue" label="Requests waiting" description="1 to 10,000; one more gets 429" />
      <Field {...props} name="reserved" label="Reserved" description="Instances whose memory nobody else gets" />
      <Field {...props} name="pause" label="Frozen after" description="10 ms to 24 h without work" />
      <Field {...props} name="idle" label="Ended after" description="1 s to 24 h without work" />
      <Input.Wrapper className={classes.whole} label="How long an instance is kept" labelElement="div" labelProps={{ id: "policy-label" }}>
        <SegmentedControl
          aria-labelledby="policy-label"
          display="flex"
          w="fit-content"
          maw="100%"
          data={[
            { value: "adaptive", label: "Learnt from its calls" },
            { value: "fixed", label: "Always the same" },
          ]}
          value={form.policy}
          readOnly={readOnly}
          onChange={(policy) => set({ policy })}
        />
      </Input.Wrapper>
    </Section>
  );
}

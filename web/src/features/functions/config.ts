/**
 * What is wrong with a configuration, told while somebody types. The rules are
 * those of the API, which checks again and knows more: routes that are taken,
 * memory that is reserved.
 */
import type { Config } from "@/api/gen";
import { formatBytes, parseBytes, parseDuration } from "@/components/format";

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const ms = 1e6;
const s = 1e9;
const min = 60 * s;
const h = 60 * min;

/** The name of a function. */
export function wrongName(name: string): string | undefined {
  if (name === "") return "Needed";
  if (name.length > 63) return "At most 63 characters";
  if (!/^[a-z]/.test(name)) return "Begins with a letter from a to z";
  if (/[^a-z0-9-]/.test(name)) return "Only a to z, 0 to 9 and -";
  if (name.endsWith("-")) return "Does not end with -";
  return undefined;
}

/** A path pattern of the gateway, which may be empty. */
export function wrongRoute(route: string): string | undefined {
  if (route === "") return undefined;
  if (!route.startsWith("/")) return "Begins with /";
  if (/\s/.test(route)) return "No spaces";
  if (route.includes("//")) return "No empty parts";
  const seen = new Set<string>();
  const parts = route.slice(1).split("/");
  for (const [i, part] of parts.entries()) {
    const last = i === parts.length - 1;
    if (part === "." || part === "..") return "No . and no .. as a part";
    const braces = /^\{(.*)\}$/.exec(part);
    if (!braces) {
      if (/[{}]/.test(part)) return "A wildcard is a whole part: /{name}";
      continue;
    }
    const inner = braces[1] ?? "";
    if (inner === "$") {
      if (!last) return "{$} stands at the end only";
      continue;
    }
    const name = inner.replace(/\.\.\.$/, "");
    if (name !== inner && !last) return `{${inner}} stands at the end only`;
    if (!/^[\p{L}_][\p{L}\p{N}_]*$/u.test(name)) return "A wildcard's name has letters, digits and _";
    if (seen.has(name)) return `{${name}} is there twice`;
    seen.add(name);
  }
  return undefined;
}

function wrongDuration(text: string, least: number, most: number, range: string): string | undefined {
  const ns = parseDuration(text);
  if (Number.isNaN(ns)) return "A number with a unit: 500ms, 10s, 5m";
  return ns < least || ns > most ? `From ${range}` : undefined;
}

function wrongSize(text: string | number, least: number, most: number): string | undefined {
  const bytes = parseBytes(text);
  if (Number.isNaN(bytes)) return "A number with a unit: 64MiB, 1GiB";
  return bytes < least || bytes > most ? `From ${formatBytes(least)} to ${formatBytes(most)}` : undefined;
}

function wrongInteger(text: string, least: number, most: number): string | undefined {
  if (!/^\d+$/.test(text.trim())) return "A whole number";
  const n = Number(text);
  return n < least || n > most ? `From ${least} to ${most.toLocaleString("en")}` : undefined;
}

/** One environment variable as the form has it. */
export interface EnvRow {
  /** Tells rows apart while their names change. */
  id: number;
  name: string;
  value: string;
  secret: boolean;
  /** Set on a secret whose value the API keeps and never tells. */
  kept: boolean;
}

/** The settings as the form has them: every figure as it is typed. */
export interface Form {
  description: string;
  runtime: string;
  handler: string;
  isolation: string;
  network: string;
  route: string;
  methods: string[];
  auth: string;
  /** Without an origin there is no CORS, whatever the other fields of it say. */
  corsOrigins: string[];
  corsMethods: string[];
  corsHeaders: string[];
  corsExposeHeaders: string[];
  corsCredentials: boolean;
  corsMaxAge: string;
  memory: string;
  cpu: string;
  tmp: string;
  max_body: string;
  timeout: string;
  init_timeout: string;
  queue_timeout: string;
  min: string;
  max: string;
  idle: string;
  queue: string;
  concurrency: string;
  reserved: string;
  pause: string;
  policy: string;
  env: EnvRow[];
}

/** The form of a configuration. */
export function formOf(config: Config): Form {
  const scaling = config.scaling ?? {};
  const text = (value: string | number | undefined, fallback = "") => (value === undefined ? fallback : String(value));
  return {
    description: config.description ?? "",
    runtime: config.runtime,
    handler: config.handler ?? "",
    isolation: config.isolation ?? "",
    network: config.network ?? "none",
    route: config.route ?? "",
    methods: config.methods ?? [],
    auth: config.auth ?? "public",
    corsOrigins: config.cors?.origins ?? [],
    corsMethods: config.cors?.methods ?? [],
    corsHeaders: config.cors?.headers ?? [],
    corsExposeHeaders: config.cors?.expose_headers ?? [],
    corsCredentials: config.cors?.credentials ?? false,
    corsMaxAge: text(config.cors?.max_age),
    memory: text(config.memory),
    cpu: text(config.cpu),
    tmp: text(config.tmp),
    max_body: text(config.max_body),
    timeout: text(config.timeout),
    init_timeout: text(config.init_timeout),
    queue_timeout: text(config.queue_timeout),
    min: text(scaling.min, "0"),
    max: text(scaling.max),
    idle: text(scaling.idle),
    queue: text(scaling.queue),
    concurrency: text(scaling.concurrency, "1"),
    reserved: text(scaling.reserved, "0"),
    pause: text(scaling.pause),
    policy: scaling.policy ?? "adaptive",
    env: Object.entries(config.env ?? {})
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value], id) => envRow(id, name, value)),
  };
}

function envRow(id: number, name: string, value: NonNullable<Config["env"]>[string]): EnvRow {
  if (typeof value !== "object") return { id, name, value: String(value), secret: false, kept: false };
  const secret = value.secret ?? false;
  return { id, name, value: value.value ?? "", secret, kept: secret };
}

/** What is wrong, by the name of the field; "env.3" is the row with the id 3. */
export type Wrong = Record<string, string>;

/** checkForm finds what is wrong in the settings; cpus is what the machine has, if it is known. */
export function checkForm(form: Form, cpus?: number): Wrong {
  const memory = parseBytes(form.memory);
  const cpu = Number(form.cpu);
  const most = cpus ?? 1024;
  const max = Number(form.max);
  const node = form.runtime.startsWith("node");
  const checks: Record<string, string | undefined> = {
    description: form.description.length > 256 ? "At most 256 characters" : undefined,
    handler: form.handler !== "" && !/^[^\s/][^\s]*\.[A-Za-z_$][\w$]*$/.test(form.handler) ? "file.function, such as main.handler" : undefined,
    route: wrongRoute(form.route),
    ...checkCors(form),
    memory: wrongSize(form.memory, node ? 64 * MiB : 32 * MiB, 64 * GiB),
    cpu: form.cpu.trim() === "" || Number.isNaN(cpu) ? "A number, such as 0.5 or 2" : cpu < 0.05 || cpu > most ? `From 0.05 to ${most}` : undefined,
    tmp: wrongSize(form.tmp, MiB, Math.max(Number.isNaN(memory) ? 64 * GiB : memory, MiB)),
    max_body: wrongSize(form.max_body, KiB, 6 * MiB),
    timeout: wrongDuration(form.timeout, 100 * ms, 15 * min, "100ms to 15m"),
    init_timeout: wrongDuration(form.init_timeout, 100 * ms, 5 * min, "100ms to 5m"),
    queue_timeout: wrongDuration(form.queue_timeout, ms, 5 * min, "1ms to 5m"),
    max: wrongInteger(form.max, 1, 1000),
    min: wrongInteger(form.min, 0, Number.isInteger(max) && max > 0 ? max : 1000),
    reserved: wrongInteger(form.reserved, 0, Number.isInteger(max) && max > 0 ? max : 1000),
    queue: wrongInteger(form.queue, 1, 10_000),
    concurrency: wrongInteger(form.concurrency, 1, 100),
    idle: wrongDuration(form.idle, s, 24 * h, "1s to 24h"),
    pause: wrongDuration(form.pause, 10 * ms, 24 * h, "10ms to 24h"),
  };
  const wrong: Wrong = {};
  for (const [field, message] of Object.entries(checks)) if (message !== undefined) wrong[field] = message;
  checkEnv(form.env, wrong);
  return wrong;
}

const mostCors = 100;

function checkCors(form: Form): Record<string, string | undefined> {
  const { corsOrigins, corsHeaders, corsExposeHeaders, corsMaxAge } = form;
  if (corsOrigins.length === 0) return {};
  const tooMany = corsOrigins.length + corsHeaders.length + corsExposeHeaders.length > mostCors;
  const mixed = form.corsCredentials && corsOrigins.some((origin) => origin.trim() === "*");
  return {
    cors: tooMany ? `At most ${mostCors} origins and headers together` : mixed ? "Cookies cannot go along to every origin (*)" : corsOrigins.map(wrongOrigin).find(Boolean),
    corsHeaders: corsHeaders.map(wrongHeader).find(Boolean),
    corsExposeHeaders: corsExposeHeaders.map(wrongHeader).find(Boolean),
    corsMaxAge: corsMaxAge.trim() === "" ? undefined : wrongDuration(corsMaxAge, 0, 24 * h, "0s to 24h"),
  };
}

/** An origin as browsers send it, of any scheme: pages within apps have others than http. */
function wrongOrigin(text: string): string | undefined {
  const origin = text.trim();
  return origin === "*" || /^[a-z][a-z0-9+.-]*:\/\/[^\s/\\,*?#@]+$/i.test(origin) ? undefined : `${text} is no origin: https://app.example.com, or *`;
}

function wrongHeader(name: string): string | undefined {
  return /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(name) ? undefined : `${name} is no name of a header`;
}

/** The field of the form that shows what the API says of one of its own. */
export function fieldOf(apiField: string): string {
  if (apiField.startsWith("scaling.")) return apiField.slice("scaling.".length);
  if (apiField.startsWith("env")) return "env";
  if (!apiField.startsWith("cors")) return apiField;
  return corsFields[apiField.slice("cors.".length)] ?? "cors";
}

const corsFields: Record<string, string> = { methods: "corsMethods", headers: "corsHeaders", expose_headers: "corsExposeHeaders", max_age: "corsMaxAge" };

const envBytes = 4 * KiB;
const reservedName = /^(COVE_.*|AWS_LAMBDA_.*|LAMBDA_TASK_ROOT|LAMBDA_RUNTIME_DIR|_HANDLER|_X_AMZN_TRACE_ID)$/;

function checkEnv(rows: EnvRow[], wrong: Wrong): void {
  const seen = new Set<string>();
  let bytes = 0;
  for (const row of rows) {
    bytes += row.name.length + new TextEncoder().encode(row.value).length;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(row.name)) wrong[`env.${row.id}`] = row.name === "" ? "A name is needed" : "Letters, digits and _; no digit first";
    else if (reservedName.test(row.name)) wrong[`env.${row.id}`] = "Reserved for Cove: choose another name";
    else if (seen.has(row.name)) wrong[`env.${row.id}`] = "The name is there twice";
    else if (row.secret && !row.kept && row.value === "") wrong[`env.${row.id}`] = "A secret needs a value";
    seen.add(row.name);
  }
  if (bytes > envBytes) wrong.env = `All names and values together: at most 4 KiB, these have ${formatBytes(bytes)}`;
}

/** The merge patch (RFC 7396) that makes the configuration what the form says; empty if it is that already. */
export function patchOf(before: Form, after: Form): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  const plain = ["description", "runtime", "handler", "isolation", "network", "route", "auth", "memory", "tmp", "max_body", "timeout", "init_timeout", "queue_timeout"] as const;
  for (const key of plain) if (before[key] !== after[key]) patch[key] = after[key] === "" ? null : after[key];
  if (before.cpu !== after.cpu) patch.cpu = Number(after.cpu);
  if (!equal(before.methods, after.methods)) patch.methods = after.methods.length > 0 ? after.methods : null;
  const cors = corsPatch(before, after);
  if (cors === null || Object.keys(cors).length > 0) patch.cors = cors;
  const scaling: Record<string, unknown> = {};
  for (const key of ["min", "max", "queue", "concurrency", "reserved"] as const) if (before[key] !== after[key]) scaling[key] = Number(after[key]);
  for (const key of ["idle", "pause", "policy"] as const) if (before[key] !== after[key]) scaling[key] = after[key];
  if (Object.keys(scaling).length > 0) patch.scaling = scaling;
  const env = envPatch(before.env, after.env);
  if (Object.keys(env).length > 0) patch.env = env;
  return patch;
}

function corsPatch(before: Form, after: Form): Record<string, unknown> | null {
  if (after.corsOrigins.length === 0) return before.corsOrigins.length > 0 ? null : {};
  const patch: Record<string, unknown> = {};
  const lists = [["origins", "corsOrigins"], ["methods", "corsMethods"], ["headers", "corsHeaders"], ["expose_headers", "corsExposeHeaders"]] as const;
  for (const [field, key] of lists) if (!equal(before[key], after[key])) patch[field] = after[key].length > 0 ? after[key] : null;
  if (before.corsCredentials !== after.corsCredentials) patch.credentials = after.corsCredentials;
  const age = after.corsMaxAge.trim();
  if (before.corsMaxAge !== age) patch.max_age = age === "" ? null : age;
  return patch;
}

function envPatch(before: EnvRow[], after: EnvRow[]): Record<string, unknown> {
  const patch: Record<string, unknown> = {};
  const old = new Map(before.map((row) => [row.name, row]));
  for (const row of after) {
    const was = old.get(row.name);
    old.delete(row.name);
    if (was && was.value === row.value && was.secret === row.secret && was.kept === row.kept) continue;
    patch[row.name] = row.secret ? { value: row.value, secret: true } : row.value;
  }
  for (const name of old.keys()) patch[name] = null;
  return patch;
}

function equal(a: string[], b: string[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** How many settings a patch changes, for people. */
export function countChanges(patch: Record<string, unknown>): number {
  return Object.entries(patch).reduce((sum, [key, value]) => {
    const nested = (key === "scaling" || key === "env" || key === "cors") && value !== null && typeof value === "object";
    return sum + (nested ? Object.keys(value).length : 1);
  }, 0);
}

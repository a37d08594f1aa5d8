/** What the API's short words mean, in words for people and colours for charts. */

export interface Word {
  key: string;
  label: string;
  color: string;
  /** What it means, in a sentence. */
  help: string;
}

/** How an instance was got, from the fastest on. */
export const startClasses: Word[] = [
  { key: "warm", label: "Warm", color: "var(--chart-warm)", help: "An idle instance was there." },
  { key: "thawed", label: "Thawed", color: "var(--chart-thawed)", help: "A paused instance was resumed." },
  { key: "stem", label: "Stem", color: "var(--chart-stem)", help: "A sandbox with its language started took the function's code." },
  { key: "cold", label: "Cold", color: "var(--chart-cold)", help: "A sandbox was made in the request." },
  { key: "none", label: "No instance", color: "var(--chart-none)", help: "The request never got an instance." },
];

/** Whose fault an error is. */
export const faults: Word[] = [
  { key: "function", label: "Function", color: "var(--chart-function)", help: "The function's code failed." },
  { key: "platform", label: "Platform", color: "var(--chart-platform)", help: "Cove could not run it." },
  { key: "caller", label: "Caller", color: "var(--chart-caller)", help: "The request was not right, or its caller left." },
];

/** How an invocation ends. */
export const outcomes: Word[] = [
  { key: "ok", label: "OK", color: "var(--chart-ok)", help: "The handler answered." },
  { key: "function_error", label: "Handler error", color: "var(--chart-e1)", help: "The handler raised an error." },
  { key: "timeout", label: "Timeout", color: "var(--chart-e2)", help: "The function ran past its timeout." },
  { key: "out_of_memory", label: "Out of memory", color: "var(--chart-e3)", help: "The sandbox needed more memory than its limit." },
  { key: "runtime_exited", label: "Process ended", color: "var(--chart-e4)", help: "The function's process ended during the call." },
  { key: "init_error", label: "Load error", color: "var(--chart-e5)", help: "The function could not be loaded." },
  { key: "init_timeout", label: "Load timeout", color: "var(--chart-e6)", help: "The function took too long to load." },
  { key: "invalid_response", label: "Invalid answer", color: "var(--chart-e7)", help: "The answer cannot be sent as HTTP." },
  { key: "response_too_large", label: "Answer too large", color: "var(--chart-e7)", help: "The answer was larger than Cove takes." },
  { key: "queue_full", label: "Queue full", color: "var(--chart-e8)", help: "Too many requests were waiting." },
  { key: "overloaded", label: "Overloaded", color: "var(--chart-e8)", help: "No instance was free in time." },
  { key: "sandbox_start_failed", label: "Start failed", color: "var(--chart-e6)", help: "The sandbox did not start." },
  { key: "unavailable", label: "Unavailable", color: "var(--chart-e6)", help: "Something that Cove needs is missing." },
  { key: "shutting_down", label: "Shutting down", color: "var(--chart-none)", help: "Cove was shutting down." },
  { key: "caller_gone", label: "Caller gone", color: "var(--chart-none)", help: "The caller left before the answer." },
  { key: "internal", label: "Internal error", color: "var(--chart-platform)", help: "Cove itself failed." },
];

/** What instances do. */
export const states: Word[] = [
  { key: "busy", label: "Busy", color: "var(--chart-busy)", help: "Serving a request." },
  { key: "idle", label: "Idle", color: "var(--chart-idle)", help: "Ready and without a request." },
  { key: "paused", label: "Paused", color: "var(--chart-paused)", help: "Frozen, without processor time." },
  { key: "starting", label: "Starting", color: "var(--chart-starting)", help: "Being made, or loading the function." },
  { key: "stopping", label: "Stopping", color: "var(--chart-none)", help: "Being removed." },
];

/** The phases of an invocation, in their order. */
export const phases: Word[] = [
  { key: "queue", label: "Queue", color: "var(--chart-none)", help: "Waited for an instance." },
  { key: "start", label: "Start", color: "var(--chart-cold)", help: "A sandbox was made, thawed or taken." },
  { key: "init", label: "Init", color: "var(--chart-stem)", help: "The function was loaded." },
  { key: "run", label: "Run", color: "var(--chart-busy)", help: "The handler ran." },
  { key: "rest", label: "Other", color: "var(--chart-paused)", help: "Everything else: reading the request, writing the answer." },
];

/** The word for a key; one that is not known stands for itself. */
export function wordFor(words: Word[], key: string | undefined): Word {
  const found = words.find((word) => word.key === key);
  return found ?? { key: key ?? "", label: plain(key ?? "none"), color: "var(--chart-none)", help: "" };
}

/** "queue_full" as words: "Queue full". */
function plain(key: string): string {
  const words = key.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

const isolationColors: Record<string, string> = {
  gvisor: "var(--chart-1)",
  docker: "var(--chart-2)",
  runc: "var(--chart-3)",
  microvm: "var(--chart-4)",
  kubernetes: "var(--chart-5)",
  nanos: "var(--chart-4)",
};

/** The colour of an isolation, the same on every page. */
export function isolationColor(name: string): string {
  return isolationColors[name] ?? "var(--chart-6)";
}

/** What the API's short words mean, in words for people and colours for charts. */

export interface Word {
  key: string;
  label: string;
  color: string;
  /** What it means, in a sentence. */
  help: string;
}

/** Words with the names of their colours among the charts'. */
const words = (rows: [key: string, label: string, color: string, help: string][]): Word[] =>
  rows.map(([key, label, color, help]) => ({ key, label, color: `var(--chart-${color})`, help }));

/** How an instance was got, from the fastest on. */
export const startClasses = words([
  ["warm", "Warm", "warm", "An idle instance was there."],
  ["thawed", "Thawed", "thawed", "A paused instance was resumed."],
  ["stem", "Stem", "stem", "A sandbox with its language started took the function's code."],
  ["cold", "Cold", "cold", "A sandbox was made in the request."],
  ["none", "No instance", "none", "The request never got an instance."],
]);

/** Whose fault an error is. */
export const faults = words([
  ["function", "Function", "function", "The function's code failed."],
  ["platform", "Platform", "platform", "Cove could not run it."],
  ["caller", "Caller", "caller", "The request was not right, or its caller left."],
]);

/** How an invocation ends. */
export const outcomes = words([
  ["ok", "OK", "ok", "The handler answered."],
  ["function_error", "Handler error", "e1", "The handler raised an error."],
  ["timeout", "Timeout", "e2", "The function ran past its timeout."],
  ["out_of_memory", "Out of memory", "e3", "The sandbox needed more memory than its limit."],
  ["runtime_exited", "Process ended", "e4", "The function's process ended during the call."],
  ["init_error", "Load error", "e5", "The function could not be loaded."],
  ["init_timeout", "Load timeout", "e6", "The function took too long to load."],
  ["invalid_response", "Invalid answer", "e7", "The answer cannot be sent as HTTP."],
  ["response_too_large", "Answer too large", "e7", "The answer was larger than Cove takes."],
  ["queue_full", "Queue full", "e8", "Too many requests were waiting."],
  ["overloaded", "Overloaded", "e8", "No instance was free in time."],
  ["sandbox_start_failed", "Start failed", "e6", "The sandbox did not start."],
  ["unavailable", "Unavailable", "e6", "Something that Cove needs is missing."],
  ["shutting_down", "Shutting down", "none", "Cove was shutting down."],
  ["caller_gone", "Caller gone", "none", "The caller left before the answer."],
  ["internal", "Internal error", "platform", "Cove itself failed."],
]);

/** What instances do. */
export const states = words([
  ["busy", "Busy", "busy", "Serving a request."],
  ["idle", "Idle", "idle", "Ready and without a request."],
  ["paused", "Paused", "paused", "Frozen, without processor time."],
  ["starting", "Starting", "starting", "Being made, or loading the function."],
  ["stopping", "Stopping", "none", "Being removed."],
]);

/** The phases of an invocation, in their order. */
export const phases = words([
  ["queue", "Queue", "none", "Waited for an instance."],
  ["start", "Start", "cold", "A sandbox was made, thawed or taken."],
  ["init", "Init", "stem", "The function was loaded."],
  ["run", "Run", "busy", "The handler ran."],
  ["rest", "Other", "paused", "Everything else: reading the request, writing the answer."],
]);

/** The word for a key; one that is not known stands for itself. */
export function wordFor(among: Word[], key: string | undefined): Word {
  const found = among.find((word) => word.key === key);
  return found ?? { key: key ?? "", label: plain(key ?? "none"), color: "var(--chart-none)", help: "" };
}

/** "queue_full" as words: "Queue full". */
function plain(key: string): string {
  const text = key.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
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

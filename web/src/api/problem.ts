import type { FieldError, Problem } from "./gen";

/** What a request ended in that the API refused, or that never reached it. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** For programs: "not_found". "unreachable" where there was no answer. */
  readonly code: string;
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** The code in words. */
  readonly title: string;
  /** What happened and what to do next. */
  readonly detail: string;
  /** Each field that is wrong. */
  readonly errors: FieldError[];
  readonly requestId: string | undefined;

  constructor(problem: Partial<Problem>) {
    super(problem.detail ?? problem.title ?? "The request failed");
    this.code = problem.code ?? "unknown";
    this.status = problem.status ?? 0;
    this.title = problem.title ?? "The request failed";
    this.detail = problem.detail ?? "";
    this.errors = problem.errors ?? [];
    this.requestId = problem.request_id;
  }
}

/** What the API says of a field, as it stands below that: a sentence of its own. */
export function told(error: FieldError | undefined): string | undefined {
  return error && error.message.charAt(0).toUpperCase() + error.message.slice(1);
}

/** Makes an ApiError of whatever a request ended in. */
export function asApiError(error: unknown, response?: Response): ApiError {
  if (error instanceof ApiError) return error;
  if (!response && error instanceof Error) {
    return error.name === "AbortError"
      ? new ApiError({ code: "aborted", title: "Cancelled", detail: "The request was cancelled" })
      : new ApiError({ code: "unreachable", title: "Cove does not answer", detail: "The connection was refused or lost." });
  }
  if (error !== null && typeof error === "object" && "code" in error) {
    return new ApiError({ status: response?.status, ...(error as Partial<Problem>) });
  }
  return new ApiError({
    code: "unknown",
    status: response?.status ?? 0,
    title: response ? `The server answered ${response.status}` : "The request failed",
    detail: typeof error === "string" ? error.slice(0, 300) : "",
  });
}

/** Whether the session is over and the person must sign in again. */
export function isSignedOut(error: unknown): boolean {
  return asApiError(error).status === 401;
}

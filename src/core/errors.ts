// The one error type of the agent. Foreign errors (errno, SQLite, HTTP) become a CitadelError at the
// edge, in `system/` and in the providers; everything above decides by `kind` and `code`, never by text.

/** What sort of failure it is. Decides the exit code (`core/exit-code.ts`). */
export type ErrorKind =
  | "usage"
  | "settings"
  | "conflict"
  | "locked"
  | "integrity"
  | "cancelled"
  | "unavailable"
  | "rate-limited"
  | "no-space"
  | "read-only"
  | "not-mounted"
  | "not-found"
  | "permission"
  | "io"
  | "timeout"
  | "unsupported"
  | "internal";

/** Whether trying again can help: `later` (same call), `exhausted` (was tried often enough), `never`. */
export type Retry = "never" | "later" | "exhausted";

export interface CitadelErrorInit {
  readonly kind: ErrorKind;
  /** Stable upper-case code, documented by `explain CODE`: `LINK_TARGET_MISSING`. */
  readonly code: string;
  /** What failed, on what, in lower case, without a final full stop. */
  readonly message: string;
  readonly path?: string | undefined;
  /** The system call or the step that failed: `rename`, `open journal`. */
  readonly operation?: string | undefined;
  /** The system's own error name, when there is one: `ENOSPC`. */
  readonly errno?: string | undefined;
  /** What to do now, as one imperative sentence or a command. */
  readonly hint?: string | undefined;
  readonly retry?: Retry | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  readonly cause?: unknown;
}

/** A failure that a person can act on: what, where, why, what next. */
export class CitadelError extends Error {
  override readonly name = "CitadelError";
  readonly kind: ErrorKind;
  readonly code: string;
  readonly path: string | undefined;
  readonly operation: string | undefined;
  readonly errno: string | undefined;
  readonly hint: string | undefined;
  readonly retry: Retry;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(init: CitadelErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.kind = init.kind;
    this.code = init.code;
    this.path = init.path;
    this.operation = init.operation;
    this.errno = init.errno;
    this.hint = init.hint;
    this.retry = init.retry ?? "never";
    this.details = init.details ?? {};
  }
}

/** Throws when `condition` is false: a bug of ours, never bad input. @throws kind `internal` */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw internalError(message);
}

/** A bug of ours, to be thrown where `assert` does not fit. */
export function internalError(message: string): CitadelError {
  return new CitadelError({
    kind: "internal",
    code: "INTERNAL",
    message: `internal error: ${message}`,
    hint: "this is a bug in citadel-agent; please report it with the output of `citadel-agent incident`",
  });
}

/** Names the text of any thrown value, for messages and logs. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * Every error that Becalm raises on purpose. One class, a stable `code`, and a message made of three parts:
 * what happened, to which thing, and what to do next. docs/errors.md lists the codes; a test keeps the two equal.
 */
export const ERROR_CODES = {
  BECALM_ALERT_INVALID: "an alert or a request line that breaks the wire format or a limit",
  BECALM_POLICY_INVALID: "a policy file with mistakes",
  BECALM_STRATEGY_INVALID: "a strategy file with mistakes",
  BECALM_ARGUMENT_INVALID: "an invalid option, argument or event",
  BECALM_NOT_FOUND: "no such instance, group or file",
  BECALM_EVENT_REFUSED: "the instance's state does not accept the event",
  BECALM_CHECKPOINT_INVALID: "a stored checkpoint that cannot be read; the instance is quarantined",
  BECALM_CHECKPOINT_UNKNOWN_MACHINE: "a stored checkpoint of another machine; the instance is quarantined",
  BECALM_CHECKPOINT_NEWER: "a stored checkpoint of a newer machine or format; the instance is quarantined",
  BECALM_GROUP_UNREADABLE: "a group's stored state cannot be read; its alerts are refused until it can",
  BECALM_EPISODE_UNREADABLE: "the record of an alert's episode cannot be read; the alert is refused until it can",
  BECALM_STOPS_UNREADABLE: "the record of the emergency stops cannot be read; nothing is decided until it can",
  BECALM_CONFLICT: "other writers won 20 times in a row; nothing was written, send again",
  BECALM_NAMESPACE_MODE: "the namespace was made in another mode: by an engine, a simulated run or an executing run",
  BECALM_NAMESPACE_PARTITIONS: "the namespace was made with another number of partitions",
  BECALM_NAMESPACE_NEWER: "the namespace has the format of a newer version",
  BECALM_NAMESPACE_FORMAT: "the namespace has a format that engines of an earlier version share; raise it first",
  BECALM_NAMESPACE_BUSY: "another virtual run works on this namespace",
  BECALM_STORE_BUSY: "another process writes to this store, which takes one writer",
  BECALM_STORE_UNAVAILABLE: "the store cannot be reached",
  BECALM_STORE_FULL: "the store is out of memory and refused the write; nothing was written",
  BECALM_STORE_FORBIDDEN: "the store's user may not do what is needed; nothing was written",
  BECALM_STORE_FAILED: "the store answered with an unexpected error",
  BECALM_HISTORY_BROKEN: "an audit trail that was changed, or a replay that disagrees with it",
  BECALM_BUNDLE_BROKEN: "an exported bundle that was changed or cut short, or another file",
  BECALM_EFFECT_FORBIDDEN: "an effect that this engine may not run",
  BECALM_WAIT_TIMEOUT: "an instance did not reach the expected state in time",
  BECALM_OUTPUT_FAILED: "the result of a command, or a bundle of what is removed, cannot be written",
  BECALM_STOPPED: "the engine is stopped or stopping",
  BECALM_BUSY: "more arrives than can be taken; nothing was written, send again",
  BECALM_FINGERPRINT_TAKEN: "an alert with the fingerprint of another one that has other labels; it was not taken",
  BECALM_CLOCK_SKEW: "this process's clock and the store's are too far apart; nothing was decided, send again",
  BECALM_REQUEST_REFUSED: "an HTTP request that breaks a rule of the protocol or a limit",
  BECALM_VERSION_MOVED: "the instance is no longer at the version that the caller saw",
  BECALM_UNAUTHENTICATED: "a request without a valid token",
  BECALM_FORBIDDEN: "a caller, page or address that may not do this",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An error with a stable code. `details` holds the ids and values that the message names. */
export class BecalmError extends Error {
  override readonly name = "BecalmError";
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; details?: Record<string, unknown> } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
  }

  /** With its message, which JSON leaves out of an error. */
  toJSON(): { name: string; code: ErrorCode; message: string; details: Readonly<Record<string, unknown>> } {
    return { name: this.name, code: this.code, message: this.message, details: this.details };
  }
}

/** The error's code if it is one of ours, else `undefined`. Works across copies of the package. */
export function errorCode(error: unknown): ErrorCode | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" && code in ERROR_CODES ? (code as ErrorCode) : undefined;
}

/** Text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

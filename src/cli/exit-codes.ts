import { BecalmError, type ErrorCode, errorCode } from "../model/errors.ts";

export const EXIT = { done: 0, failed: 1, usedWrongly: 2, notFound: 3, refused: 4 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Which exit code an error ends the command with. docs/errors.md has the same table; a test keeps the two equal. */
export const EXIT_CODES: Readonly<Record<ErrorCode, ExitCode>> = {
  BECALM_ALERT_INVALID: EXIT.failed,
  BECALM_POLICY_INVALID: EXIT.usedWrongly,
  BECALM_STRATEGY_INVALID: EXIT.usedWrongly,
  BECALM_ARGUMENT_INVALID: EXIT.usedWrongly,
  BECALM_NOT_FOUND: EXIT.notFound,
  BECALM_EVENT_REFUSED: EXIT.refused,
  BECALM_CHECKPOINT_INVALID: EXIT.failed,
  BECALM_CHECKPOINT_UNKNOWN_MACHINE: EXIT.failed,
  BECALM_CHECKPOINT_NEWER: EXIT.failed,
  BECALM_GROUP_UNREADABLE: EXIT.failed,
  BECALM_EPISODE_UNREADABLE: EXIT.failed,
  BECALM_STOPS_UNREADABLE: EXIT.failed,
  BECALM_CONFLICT: EXIT.refused,
  BECALM_NAMESPACE_MODE: EXIT.refused,
  BECALM_NAMESPACE_PARTITIONS: EXIT.refused,
  BECALM_NAMESPACE_NEWER: EXIT.refused,
  BECALM_NAMESPACE_FORMAT: EXIT.refused,
  BECALM_NAMESPACE_BUSY: EXIT.refused,
  BECALM_STORE_BUSY: EXIT.refused,
  BECALM_STORE_UNAVAILABLE: EXIT.failed,
  BECALM_STORE_FULL: EXIT.failed,
  BECALM_STORE_FORBIDDEN: EXIT.failed,
  BECALM_STORE_FAILED: EXIT.failed,
  BECALM_HISTORY_BROKEN: EXIT.failed,
  BECALM_BUNDLE_BROKEN: EXIT.failed,
  BECALM_EFFECT_FORBIDDEN: EXIT.usedWrongly,
  BECALM_WAIT_TIMEOUT: EXIT.failed,
  BECALM_OUTPUT_FAILED: EXIT.failed,
  BECALM_STOPPED: EXIT.failed,
  BECALM_BUSY: EXIT.failed,
  BECALM_FINGERPRINT_TAKEN: EXIT.failed,
  BECALM_CLOCK_SKEW: EXIT.failed,
  BECALM_REQUEST_REFUSED: EXIT.failed,
  BECALM_VERSION_MOVED: EXIT.refused,
  BECALM_UNAUTHENTICATED: EXIT.refused,
  BECALM_FORBIDDEN: EXIT.refused,
};

export function exitCodeOf(error: unknown): ExitCode {
  const code = errorCode(error);
  return code === undefined ? EXIT.failed : EXIT_CODES[code];
}

/** The command, an option or an argument is wrong. */
export function usedWrongly(message: string): BecalmError {
  return new BecalmError("BECALM_ARGUMENT_INVALID", message);
}

import { BecalmError, type ErrorCode, errorCode } from "../../model/errors.ts";

export type RefusalStatus = 400 | 401 | 403 | 404 | 405 | 409 | 410 | 412 | 413 | 415 | 422 | 428 | 503;

export type RefusalText = {
  readonly why: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly details?: Readonly<Record<string, unknown>>;
};

/** A request that is answered with an error: its status, and the code and the sentence that the answer's body holds. */
export class HttpRefusal extends BecalmError {
  readonly status: RefusalStatus;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: RefusalStatus, code: ErrorCode, { why, headers = {}, details = {} }: RefusalText) {
    super(code, why, { details });
    this.status = status;
    this.headers = headers;
  }
}

const RETRY: Readonly<Record<string, string>> = { "retry-after": "1" };

/**
 * What the code of an error means to an HTTP client. Whatever may succeed later is 503: senders repeat those and
 * nothing else.
 */
const STATUS_OF: Readonly<Partial<Record<ErrorCode, RefusalStatus>>> = {
  BECALM_ALERT_INVALID: 400,
  BECALM_POLICY_INVALID: 400,
  BECALM_STRATEGY_INVALID: 400,
  BECALM_ARGUMENT_INVALID: 400,
  BECALM_FINGERPRINT_TAKEN: 400,
  BECALM_NOT_FOUND: 404,
  BECALM_EVENT_REFUSED: 409,
  BECALM_CHECKPOINT_INVALID: 409,
  BECALM_CHECKPOINT_UNKNOWN_MACHINE: 409,
  BECALM_CHECKPOINT_NEWER: 409,
  BECALM_HISTORY_BROKEN: 409,
  BECALM_EFFECT_FORBIDDEN: 403,
};

/** The refusal that an error means, or null for a mistake of the program. */
export function refusalOf(error: unknown): HttpRefusal | null {
  if (error instanceof HttpRefusal) return error;
  const code = errorCode(error);
  if (code === undefined) return null;
  const status = STATUS_OF[code] ?? 503;
  const { message, details } = error as BecalmError;
  return new HttpRefusal(status, code, { why: message, headers: status === 503 ? RETRY : {}, details });
}

/** The other side may try again: nothing is wrong with the request. */
export function isForNow(error: unknown): boolean {
  return refusalOf(error)?.status === 503;
}

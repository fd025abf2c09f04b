import { BecalmError } from "../model/errors.ts";

/** Why something was not taken: a closed list, so that counters may be kept by it. docs/inputs.md has the same. */
export const REJECTION_CODES = {
  json: "the text is not JSON",
  shape: "JSON of another shape than the format's",
  received_at: "receivedAt is not a time",
  labels: "labels that are missing, empty or not text",
  annotations: "annotations that are not a map of texts",
  starts_at: "startsAt is missing or not a time",
  ends_at: "endsAt is not a time, or an alert of API v2 ends before it starts",
  status: "a status that is missing, or other than firing and resolved",
  suppressed: "listed by Alertmanager as silenced, inhibited or muted",
  limit: "a limit of this page is exceeded",
} as const;

export type RejectionCode = keyof typeof REJECTION_CODES;

/** One thing that was not taken. `index` is the alert's place in its body, null when the whole line is meant. */
export type AlertRejection = { readonly index: number | null; readonly code: RejectionCode; readonly reason: string };

/**
 * A reading that failed, as a value: a body of ten thousand bad alerts costs ten thousand small objects, not ten
 * thousand stack traces. Readers of this folder return it instead of throwing; `instanceof Rejection` tells it apart.
 */
export class Rejection {
  readonly code: RejectionCode;
  readonly reason: string;

  constructor(code: RejectionCode, reason: string) {
    this.code = code;
    this.reason = reason;
  }

  /** The same as an error, for callers that can do nothing but fail. */
  toError(what: string): BecalmError {
    return new BecalmError(
      "BECALM_ALERT_INVALID",
      `${what} is invalid: ${this.reason}. Correct it and send it again.`,
      {
        details: { code: this.code },
      },
    );
  }
}

/** A value in a reason: short, and never the whole of a hostile text. */
export function shown(value: unknown): string {
  if (value === undefined) return "nothing";
  const text =
    typeof value === "object" && value !== null
      ? Array.isArray(value)
        ? "a list"
        : "an object"
      : JSON.stringify(value);
  return text !== undefined && text.length > 60 ? `${text.slice(0, 57)}...` : String(text);
}

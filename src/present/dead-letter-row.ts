/** An attempt that is set aside as JSON for other programs: the rows of `dead-letters --json` and of the HTTP API. */
import { isoTime } from "./time-text.ts";

/** Key order is part of the output. */
export type DeadLetterRow = {
  readonly id: string;
  readonly instance: string;
  readonly kind: string | null;
  readonly policy: string | null;
  readonly attempt: number;
  readonly deliveries: number;
  readonly emittedAt: string;
  readonly setAsideAt: string;
};

type DeadLetter = Omit<DeadLetterRow, "emittedAt" | "setAsideAt"> & {
  readonly emittedAtMs: number;
  readonly setAsideAtMs: number;
};

export function deadLetterRow(letter: DeadLetter): DeadLetterRow {
  const { id, instance, kind, policy, attempt, deliveries, emittedAtMs, setAsideAtMs } = letter;
  return {
    id,
    instance,
    kind,
    policy,
    attempt,
    deliveries,
    emittedAt: isoTime(emittedAtMs),
    setAsideAt: isoTime(setAsideAtMs),
  };
}

import type { Clock } from "../../system/clock.ts";

/** How long equal faults are only counted after one was reported. */
const QUIET_MS = 10_000;

type Quiet = { readonly untilMs: number; count: number };

/**
 * Reports a fault at once, and those of the same kind that follow as a number: thousands of equal lines say no more
 * than one.
 */
export class RepeatedFaults {
  readonly #clock: Clock;
  readonly #report: (what: string, error: unknown) => void;
  readonly #quiet = new Map<string, Quiet>();

  constructor(clock: Clock, report: (what: string, error: unknown) => void) {
    this.#clock = clock;
    this.#report = report;
  }

  /** `kind`: faults of one kind are reported once. */
  report(kind: string, what: string, error: unknown): void {
    const nowMs = this.#clock.now();
    const quiet = this.#quiet.get(kind);
    if (quiet !== undefined && nowMs < quiet.untilMs) {
      quiet.count += 1;
      return;
    }
    this.#forgetOver(nowMs, kind);
    const missed = quiet?.count ?? 0;
    this.#quiet.set(kind, { untilMs: nowMs + QUIET_MS, count: 0 });
    this.#report(missed === 0 ? what : `${what} (${missed} more like it since the last report)`, error);
  }

  #forgetOver(nowMs: number, kept: string): void {
    for (const [kind, { untilMs, count }] of this.#quiet)
      if (kind !== kept && untilMs <= nowMs && count === 0) this.#quiet.delete(kind);
  }
}

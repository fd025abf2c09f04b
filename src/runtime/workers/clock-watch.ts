/**
 * How far this process's clock is from the store's. Times of decisions are the process's, leases are the store's, and
 * other processes have clocks of their own: a clock that is far off ends what others wait for, or removes what is
 * alive.
 *
 * It learns the store's clock from a pulse now and then; between two of them time that passes is measured by a clock
 * that nobody sets, so that a clock which is set while nobody asks is noticed at once.
 */

import { formatDuration } from "../../model/duration.ts";
import { BecalmError } from "../../model/errors.ts";
import type { StoreClock } from "../../stores/store.ts";
import type { Clock } from "../../system/clock.ts";

/** From here on it is reported, though nothing is refused. */
const WARN_MS = 1_000;
/** No more can be known: an answer takes its time. */
const SHOWN_MS = 100;

export type ClockWatchOptions = {
  readonly clock: Clock;
  /** Beyond it alerts are refused, no timer fires and nothing is removed; null: nothing is compared. */
  readonly maxSkewMs: number | null;
  readonly report: (level: "warn" | "error", what: string) => void;
};

type Learned = { readonly skewMs: number; readonly where: string; readonly atMs: number; readonly passedMs: number };

export class ClockWatch {
  readonly #options: ClockWatchOptions;
  #learned: Learned | null = null;

  constructor(options: ClockWatchOptions) {
    this.#options = options;
  }

  /** `sentAtMs`: when the clocks were asked, by this process's. The answer lies between that and now. */
  learn(clocks: readonly StoreClock[], sentAtMs: number): void {
    const atMs = this.#options.clock.now();
    let furthest: Learned | null = null;
    for (const { where, nowMs } of clocks) {
      const skewMs = sentAtMs > nowMs ? sentAtMs - nowMs : atMs < nowMs ? atMs - nowMs : 0;
      if (furthest === null || Math.abs(skewMs) > Math.abs(furthest.skewMs))
        furthest = { skewMs, where, atMs, passedMs: performance.now() };
    }
    this.#learned = furthest;
    this.#report();
  }

  /** How far this process is ahead of the store (below 0: behind it); null: not known, or not compared. */
  get skewMs(): number | null {
    if (this.#learned === null || this.#options.maxSkewMs === null) return null;
    const { skewMs, atMs, passedMs } = this.#learned;
    return Math.round(skewMs + (this.#options.clock.now() - atMs) - (performance.now() - passedMs));
  }

  get isOff(): boolean {
    const { maxSkewMs } = this.#options;
    return maxSkewMs !== null && Math.abs(this.skewMs ?? 0) > maxSkewMs;
  }

  /** @throws BECALM_CLOCK_SKEW */
  requireAgreement(): void {
    if (this.isOff) throw this.#refusal();
  }

  /** Why alerts are refused; null: they are not. */
  get refusal(): BecalmError | null {
    return this.isOff ? this.#refusal() : null;
  }

  #refusal(): BecalmError {
    const { maxSkewMs } = this.#options;
    return new BecalmError(
      "BECALM_CLOCK_SKEW",
      `${this.#sentence()}: alerts are refused until they agree within ${formatDuration(maxSkewMs ?? 0)}. Set the clocks (NTP), then send again.`,
      { details: { skewMs: this.skewMs, maxSkewMs } },
    );
  }

  #report(): void {
    if (this.isOff) {
      const until = formatDuration(this.#options.maxSkewMs ?? 0);
      const what = `${this.#sentence()}: alerts are refused, no timer fires and nothing is removed until they agree within ${until}. Set the clocks (NTP)`;
      this.#options.report("error", what);
    } else if (Math.abs(this.skewMs ?? 0) > WARN_MS)
      this.#options.report("warn", `${this.#sentence()}. Set the clocks (NTP): windows and deadlines are off by that`);
  }

  #sentence(): string {
    const skewMs = this.skewMs ?? 0;
    const far = formatDuration(Math.round(Math.abs(skewMs) / SHOWN_MS) * SHOWN_MS);
    return `The clock of this process is ${far} ${skewMs > 0 ? "ahead of" : "behind"} that of ${this.#learned?.where ?? "the store"}`;
  }
}

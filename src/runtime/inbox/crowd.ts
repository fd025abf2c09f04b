/**
 * How many batches are under way in this process. When there are enough, who would begin more waits until there are
 * fewer: a thousand groups at once are decided no faster than some hundreds, and what each has read and decided is
 * copied by one garbage collection after the other until its commit is answered.
 */
import type { Clock } from "../../system/clock.ts";

/** More than the groups of most storms, which therefore never wait. */
const BATCHES_MAX = 256;
/** When none of those under way ends for so long, their shard may be away: they count no longer. */
const STALLED_AFTER_MS = 50;

/** Batches that count together. */
export type Counted = { batches: number };

export class Crowd {
  readonly #realTime: Clock;
  readonly #waiting: (() => void)[] = [];
  #counted: Counted = { batches: 0 };
  #isNextExpected = false;
  /** Has one ended since it was last looked at? Looked at only while somebody waits. */
  #hasEnded = false;
  #isWatched = false;

  constructor(realTime: Clock) {
    this.#realTime = realTime;
  }

  /** Calls `begin`: now, or when there is room, in the order in which they came. */
  pass(begin: () => void): void {
    if (this.#counted.batches < BATCHES_MAX) {
      begin();
      return;
    }
    this.#waiting.push(begin);
    if (!this.#isWatched) this.#watch();
  }

  /** A batch begins; answers what it counts in until it leaves. */
  enter(): Counted {
    this.#counted.batches += 1;
    return this.#counted;
  }

  leave(counted: Counted): void {
    counted.batches -= 1;
    this.#hasEnded = true;
    if (this.#waiting.length > 0) this.#expectNext();
  }

  /** A turn of the event loop later: what the ended ones lead to goes with it. */
  #expectNext(): void {
    if (this.#isNextExpected || this.#counted.batches >= BATCHES_MAX) return;
    this.#isNextExpected = true;
    setImmediate(() => {
      this.#isNextExpected = false;
      while (this.#waiting.length > 0 && this.#counted.batches < BATCHES_MAX) this.#waiting.shift()?.();
    });
  }

  #watch(): void {
    this.#isWatched = true;
    this.#hasEnded = false;
    this.#realTime.schedule(STALLED_AFTER_MS, () => {
      this.#isWatched = false;
      if (this.#waiting.length === 0) return;
      if (!this.#hasEnded) this.#counted = { batches: 0 };
      this.#expectNext();
      this.#watch();
    });
  }
}

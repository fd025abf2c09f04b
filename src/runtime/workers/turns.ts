import type { Clock } from "../../system/clock.ts";

/**
 * One at a time, in the order in which they come; whoever takes longer than `msMax` keeps the next one waiting no
 * longer.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #msMax: number;
  readonly #waiting: (() => void)[] = [];
  #isFree = true;

  constructor(clock: Clock, msMax: number) {
    this.#clock = clock;
    this.#msMax = msMax;
  }

  /** Resolves when it is one's turn, with what ends it. */
  async take(): Promise<() => void> {
    if (this.#isFree) this.#isFree = false;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      cancel();
      const next = this.#waiting.shift();
      if (next === undefined) this.#isFree = true;
      else next();
    };
    const cancel = this.#clock.schedule(this.#msMax, end);
    return end;
  }
}

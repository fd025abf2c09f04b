/**
 * Shares the thread between the engine and those who watch it. While commits come in, watching takes at most a sixtieth
 * of the time; when nothing else happens it goes on at once.
 */
const SLICE_MS = 3;
const WAIT_PER_WORK = 59;
const WAIT_MS_MAX = 200;

export class Pacer {
  #freeAtMs = 0;
  #isBusy = false;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** The engine has committed something. */
  noticeWork(): void {
    this.#isBusy = true;
  }

  /** Resolves when it is the caller's turn. */
  async turn(): Promise<void> {
    do {
      const waitMs = this.#freeAtMs - this.#now();
      await new Promise<void>((resolve) => (waitMs > 0 ? setTimeout(resolve, waitMs) : setImmediate(resolve)));
    } while (this.#freeAtMs > this.#now());
  }

  /** Calls `work` until it has nothing left or its slice is over. */
  slice(work: () => boolean): void {
    const startMs = this.#now();
    while (work() && this.#now() - startMs < SLICE_MS) {
      // All is done in the condition.
    }
    this.#charge(startMs);
  }

  /** Calls `read`, whose time counts as watching too. */
  async reading(read: () => Promise<void>): Promise<void> {
    const startMs = this.#now();
    await read();
    this.#charge(startMs);
  }

  #charge(startMs: number): void {
    const endMs = this.#now();
    if (this.#isBusy) this.#freeAtMs = endMs + Math.min((endMs - startMs) * WAIT_PER_WORK, WAIT_MS_MAX);
    this.#isBusy = false;
  }
}

/**
 * The slots of one kind of attempt: who waits for one, first come first served, and how many are taken. Actions and
 * notices have slots of their own, so that neither waits for the other's to end.
 */
import type { Effect } from "../../instance/effect.ts";
import type { Attempt } from "./attempt.ts";

export class AttemptSlots {
  readonly #count: number;
  readonly #begin: (attempt: Attempt) => void;
  readonly #queue: Attempt[] = [];
  #out = 0;
  #isFilling = false;

  constructor(count: number, begin: (attempt: Attempt) => void) {
    this.#count = count;
    this.#begin = begin;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  get out(): number {
    return this.#out;
  }

  add(attempt: Attempt): void {
    this.#queue.push(attempt);
    this.fill();
  }

  /** One that was out has ended; `fill` lets the next one begin. */
  end(): void {
    this.#out -= 1;
  }

  /** A loop, because attempts that end at once would otherwise call each other ever deeper. */
  fill(): void {
    if (this.#isFilling) return;
    this.#isFilling = true;
    try {
      while (this.#out < this.#count) {
        const attempt = this.#queue.shift();
        if (attempt === undefined) break;
        this.#out += 1;
        this.#begin(attempt);
      }
    } finally {
      this.#isFilling = false;
    }
  }

  /** Takes all but the first `keptCount` out of those that wait. */
  takeBack(keptCount: number): Effect[] {
    return this.#queue.splice(keptCount).map(({ effect }) => effect);
  }
}

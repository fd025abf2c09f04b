/** Long work in short turns: other work of the process comes in between. */
import { setImmediate as turn } from "node:timers/promises";

/** What is decided live waits at most so long for a turn to end. */
const TURN_MS = 5;

export class Turns {
  readonly #check: () => void;
  #turnEndsMs = performance.now() + TURN_MS;

  /** `check`: asked at the end of each turn; it throws when nobody waits for the rest. */
  constructor(check: () => void) {
    this.#check = check;
  }

  /** Waits if the turn is over. */
  async next(): Promise<void> {
    if (performance.now() < this.#turnEndsMs) return;
    this.#check();
    await turn();
    this.#turnEndsMs = performance.now() + TURN_MS;
  }
}

/** Long work in short turns: other requests come in between, and it ends when its client has left or its time is over. */
import { setImmediate as turn } from "node:timers/promises";
import { HttpRefusal } from "../http/http-refusal.ts";

/** What is decided live waits at most so long for a turn to end. */
const TURN_MS = 5;

export class Turns {
  readonly #isGone: () => boolean;
  readonly #untilMs: number;
  #turnEndsMs = performance.now() + TURN_MS;

  constructor({ isGone, withinMs }: { isGone: () => boolean; withinMs: number }) {
    this.#isGone = isGone;
    this.#untilMs = performance.now() + withinMs;
  }

  /** Waits if the turn is over. Throws when nobody waits for the work, or it has taken too long. */
  async next(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs < this.#turnEndsMs) return;
    if (this.#isGone()) throw new HttpRefusal(503, "BECALM_STOPPED", { why: "The client has left." });
    if (nowMs > this.#untilMs) {
      const why = "This takes too long. Give a shorter `since`, or run `becalm diff --from-store` beside the store.";
      throw new HttpRefusal(503, "BECALM_BUSY", { why });
    }
    await turn();
    this.#turnEndsMs = performance.now() + TURN_MS;
  }
}

/** The turns of work that a request waits for: it ends when its client has left or its time is over. */
import { Turns as ShortTurns } from "../../system/turns.ts";
import { HttpRefusal } from "../http/http-refusal.ts";

export class Turns extends ShortTurns {
  constructor({ isGone, withinMs }: { isGone: () => boolean; withinMs: number }) {
    const untilMs = performance.now() + withinMs;
    super(() => {
      if (isGone()) throw new HttpRefusal(503, "BECALM_STOPPED", { why: "The client has left." });
      if (performance.now() <= untilMs) return;
      const why = "This takes too long. Give a shorter `since`, or run `becalm diff --from-store` beside the store.";
      throw new HttpRefusal(503, "BECALM_BUSY", { why });
    });
  }
}

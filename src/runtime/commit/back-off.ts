import { BecalmError } from "../../model/errors.ts";
import { CONFLICT_BACKOFF_MS_MAX, CONFLICT_BACKOFF_MS_MIN, CONFLICT_COUNT_MAX } from "../../model/limits.ts";
import type { Runtime } from "../runtime.ts";

/** How long to wait after a conflict: as chance has it, so that two that met do not meet again. */
export function backoffMs({ random }: { readonly random: () => number }): number {
  return CONFLICT_BACKOFF_MS_MIN + random() * (CONFLICT_BACKOFF_MS_MAX - CONFLICT_BACKOFF_MS_MIN);
}

export type Retrying = Pick<Runtime, "pause" | "random">;

/**
 * Reads and writes a record until nobody else has written it in between; waits a moment between two tries, so that the
 * others get done. `attempt` answers false when it has lost.
 * @throws BECALM_CONFLICT after 20 lost tries in a row; nothing was written
 */
export async function untilWritten(from: Retrying, what: string, attempt: () => Promise<boolean>): Promise<void> {
  for (let losses = 0; !(await attempt()); ) {
    losses += 1;
    if (losses === CONFLICT_COUNT_MAX)
      throw new BecalmError("BECALM_CONFLICT", `Others changed ${what} ${losses} times in a row. Try again.`);
    await from.pause(backoffMs(from));
  }
}

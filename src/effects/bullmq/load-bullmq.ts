/** BullMQ is optional: it is for teams that run it anyway. */
import { BecalmError, messageOf } from "../../model/errors.ts";

export type BullMq = Pick<typeof import("bullmq"), "Queue" | "QueueEvents" | "Worker" | "DelayedError">;

/** @throws BECALM_ARGUMENT_INVALID if the package is missing. Tests replace the import with `load`. */
export async function loadBullmq(load: () => Promise<BullMq> = () => import("bullmq")): Promise<BullMq> {
  try {
    return await load();
  } catch (error) {
    throw new BecalmError(
      "BECALM_ARGUMENT_INVALID",
      `The package bullmq cannot be loaded (${messageOf(error).split("\n", 1)[0]}). Install it beside Becalm (npm install bullmq), or leave the queue out: workers need none.`,
      { cause: error },
    );
  }
}

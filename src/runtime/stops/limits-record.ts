/**
 * Which brakes hold, for processes without the policy file: workers commit failed attempts, which brakes count. Engines
 * write it when they put policies into force; where no policy ever had a brake, nothing is written.
 */

import { errorCode } from "../../model/errors.ts";
import type { Store } from "../../stores/store.ts";
import type { PoliciesInForce, Runtime } from "../runtime.ts";
import { ownBrakes, type ScopedLimits } from "./brakes.ts";

/** Beside the records of episodes, in partition 0; no alert's key begins so. */
const LIMITS_KEY = "!limits";

export async function recordLimits(store: Store, inForce: PoliciesInForce): Promise<void> {
  const expected = await read(store);
  const value = JSON.stringify(ownBrakes(inForce));
  if (value === (expected ?? "[]")) return;
  // Whoever writes at the same moment puts other policies into force: the last one stands, as it does for them.
  // A store that is full still lets an engine start, which frees room.
  await store
    .renewEpisodes({ partition: 0, writes: [{ key: LIMITS_KEY, expected, value }] })
    .catch((error: unknown) => {
      if (errorCode(error) !== "BECALM_STORE_FULL") throw error;
    });
}

export async function learnLimits({ store, inForce }: Pick<Runtime, "store" | "inForce">): Promise<void> {
  const text = await read(store);
  inForce.foreignBrakes = text === null ? [] : (JSON.parse(text) as ScopedLimits[]);
}

async function read(store: Store): Promise<string | null> {
  const request = { partition: 0, groupId: null, instanceIds: [], episodeKeys: [LIMITS_KEY] };
  return (await store.load(request)).episodes.get(LIMITS_KEY) ?? null;
}

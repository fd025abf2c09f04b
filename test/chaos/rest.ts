import { setTimeout as delay } from "node:timers/promises";
import type { Store } from "../../src/stores/store.ts";

const OPEN_STATES = ["Idle", "Processing", "Proceeding", "Defense", "Waiting", "Failed", "Skipped"];
const LOOK_EVERY_MS = 100;
/** Something moves all the time, and comes to no end. */
const PATIENCE = 6;

/**
 * Whether nothing is left to be done. A queue that gets shorter is waited for, as groups have that act one at a time;
 * not what has stood still for `stillMsMax`.
 */
export async function comesToRest(store: Store, stillMsMax: number): Promise<boolean> {
  const giveUpAtMs = performance.now() + PATIENCE * stillMsMax;
  let movedAtMs = performance.now();
  let before = "";
  while (performance.now() < Math.min(giveUpAtMs, movedAtMs + stillMsMax)) {
    const left = await leftIn(store);
    if (left.length === 0) return true;
    const now = left.join(" ");
    if (now !== before) movedAtMs = performance.now();
    before = now;
    await delay(LOOK_EVERY_MS);
  }
  return false;
}

/** The first of each kind that is not at rest. */
async function leftIn(store: Store): Promise<string[]> {
  const left: string[] = [];
  for (const under of OPEN_STATES) {
    const { instances } = await store.list({ limit: 1, under });
    for (const { id, version } of instances) left.push(`${id}@${version}`);
  }
  for (const { owner, name } of await store.timers({ lane: "work", untilMs: Number.MAX_SAFE_INTEGER, limit: 1 }))
    left.push(`${owner}:${name}`);
  for (const { id } of await store.listEffects({ limit: 1 })) left.push(id);
  return left;
}

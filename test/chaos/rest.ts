import type { Store } from "../../src/stores/store.ts";
import { until } from "./deployment.ts";

const OPEN_STATES = ["Idle", "Processing", "Proceeding", "Defense", "Waiting", "Failed", "Skipped"];

/** Whether nothing is left to be done before `msMax` is over. */
export async function comesToRest(store: Store, msMax: number): Promise<boolean> {
  const isAtRest = async () => {
    for (const under of OPEN_STATES) if ((await store.list({ limit: 1, under })).instances.length > 0) return false;
    const due = await store.timers({ lane: "work", untilMs: Number.MAX_SAFE_INTEGER, limit: 1 });
    return due.length + (await store.listEffects({ limit: 1 })).length === 0;
  };
  return until("everything is at rest", isAtRest, msMax).then(
    () => true,
    () => false,
  );
}

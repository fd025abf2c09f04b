/** What a store says will happen, and nothing in it will make happen. For `audit verify`. */
import { timersOf } from "../instance/draft.ts";
import { timerLane } from "../instance/timer-lane.ts";
import { BecalmError } from "../model/errors.ts";
import { partitionOfId } from "../model/ids.ts";
import { tryInstance } from "../runtime/commit/read-instance.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import type { StoredInstance, TimerKey } from "../stores/store.ts";

/**
 * The first timer that the checkpoint lists and the store does not have; null: there is none. What cannot be read is
 * quarantined, and waits.
 */
export async function missingTimer(instances: InstanceReader, stored: StoredInstance): Promise<string | null> {
  const instance = await tryInstance(instances.runtime, stored);
  if (instance instanceof BecalmError) return null;
  const expected = [...timersOf(instance)];
  if (expected.length === 0) return null;
  const keys = expected.map(
    ([name, { arm }]): TimerKey => ({
      lane: timerLane(name),
      owner: instance.id,
      name,
      arm,
      partition: partitionOfId(instance.id) as number,
    }),
  );
  const dueAtMs = await instances.runtime.store.dueTimes(keys);
  const [name, timer] = expected.find((_, index) => dueAtMs[index] === null) ?? [];
  if (timer === undefined) return null;
  return `is in ${instance.snapshot.state.split(".")[0]} until its timer "${name}" of ${new Date(timer.dueAtMs).toISOString()}, which the store does not have: nothing will move it`;
}

export type StuckEffect = { readonly id: string; readonly what: string };

/** Effects of all partitions that no engine will ever take. */
export async function stuckEffects(instances: InstanceReader): Promise<StuckEffect[]> {
  const { store, partitions } = instances.runtime;
  const found: StuckEffect[] = [];
  for (let partition = 0; partition < partitions; partition += 1) {
    for (const id of await store.unclaimedEffects(partition))
      found.push({ id, what: "is in the outbox without a claim: no engine will run it" });
  }
  return found;
}

/** What a store says will happen, and nothing in it will make happen. For `audit verify`. */
import { timersOf } from "../instance/draft.ts";
import { topLevel } from "../instance/step.ts";
import { timerLane } from "../instance/timer-lane.ts";
import { BecalmError } from "../model/errors.ts";
import { partitionOfId } from "../model/ids.ts";
import { tryInstance } from "../runtime/commit/read-instance.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { RAISED_FORMAT, type StoredInstance, type TimerKey } from "../stores/store.ts";

const LISTED_COUNT = 1_000;

/**
 * The first timer that the checkpoint lists and the store does not have, or has at another time; null: there is none.
 * What cannot be read is quarantined, and waits.
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
  const index = expected.findIndex(([, timer], place) => dueAtMs[place] !== timer.dueAtMs);
  const [name, timer] = expected[index] ?? [];
  if (timer === undefined) return null;
  const found = dueAtMs[index] ?? null;
  const known = found === null ? "does not have: nothing will move it" : `has at ${timeText(found)}: it was moved`;
  return `is in ${instance.snapshot.state.split(".")[0]} until its timer "${name}" of ${timeText(timer.dueAtMs)}, which the store ${known}`;
}

/** A store may hold a time that no date can have. */
export function timeText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

/** Instances by the state that their checkpoints have. */
export type InStates = ReadonlyMap<string, readonly string[]>;

/** Instances that are in a state, while the list of that state does not name them: those who look there miss them. */
export async function hiddenInstances(instances: InstanceReader, inStates: InStates): Promise<StuckEffect[]> {
  const hidden: StuckEffect[] = [];
  if (instances.runtime.format.acting < RAISED_FORMAT) return hidden;
  for (const [state, ids] of inStates) {
    const listed = await idsUnder(instances, state);
    const unlisted = ids.filter((id) => !listed.has(id));
    if (unlisted.length === 0) continue;
    // An engine may have moved them meanwhile.
    const again = await idsUnder(instances, state);
    for (const id of unlisted)
      if (!again.has(id) && (await stateOf(instances, id)) === state)
        hidden.push({ id, what: `is ${state}, and the list of that state does not name it: somebody hid it there` });
  }
  return hidden;
}

async function idsUnder({ runtime: { store } }: InstanceReader, under: string): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const from: { cursor?: string } = cursor === undefined ? {} : { cursor };
    const page = await store.list({ limit: LISTED_COUNT, under, ...from });
    for (const { id } of page.instances) ids.add(id);
    cursor = page.next;
  }
  return ids;
}

/** null: it is gone, or cannot be read. */
async function stateOf(instances: InstanceReader, id: string): Promise<string | null> {
  const instance = await instances.instance(id).catch(() => null);
  return instance === null ? null : topLevel(instance.snapshot.state);
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

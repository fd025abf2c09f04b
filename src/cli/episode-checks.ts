/** Records of episodes that the instances of their alerts cannot have. For `audit verify`. */
import { birthOf, decodeSteps } from "../instance/audit.ts";
import type { Birth } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { episodeFault } from "../instance/episode-fault.ts";
import { LEASE_ARM, LEASE_TIMER } from "../instance/lease-timer.ts";
import { timerLane } from "../instance/timer-lane.ts";
import { grouped } from "../model/grouped.ts";
import { episodeTagOf, partitionOfId } from "../model/ids.ts";
import { episodeKeyOf } from "../runtime/inbox/routing.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { NAMESPACE_FORMAT, RAISED_FORMAT, type TimerKey } from "../stores/store.ts";

/** An instance whose trail holds. */
export type Held = { readonly instance: Instance; readonly lines: readonly string[] };

type Recorded = Held & { readonly birth: Birth; readonly key: string; readonly partition: number };

const LOOKED_COUNT_MAX = 3;

/**
 * By id, what does not fit. What does not fit at first is read again, and counts if neither the instance nor the record
 * has moved meanwhile.
 */
export async function episodeFaults(runtime: Runtime, held: readonly Held[]): Promise<ReadonlyMap<string, string>> {
  const faults = new Map<string, string>();
  if (runtime.format.acting < RAISED_FORMAT) return faults;
  const recorded = held.flatMap((one) => recordedBy(one) ?? []);
  for (const [partition, some] of grouped(recorded, (one) => one.partition)) {
    const records = await recordsOf(runtime, partition, some);
    for (const one of some) {
      if ((await faultOf(runtime, one, records.get(one.key) ?? null)) === null) continue;
      const fault = await lookAgain(runtime, one);
      if (fault !== null) faults.set(one.instance.id, fault);
    }
  }
  return faults;
}

/** null: no alert made it. */
function recordedBy({ instance, lines }: Held): Recorded | null {
  if (instance.kind !== "action") return null;
  const birth = birthOf(instance.id, lines);
  const partition = partitionOfId(instance.id);
  if (birth.alert === null || partition === null) return null;
  const key = episodeKeyOf({ episodeTag: episodeTagOf(birth.policy) }, birth.alert.fingerprint);
  return { instance, lines, birth, key, partition };
}

async function recordsOf({ store }: Runtime, partition: number, some: readonly Recorded[]) {
  const episodeKeys = [...new Set(some.map(({ key }) => key))];
  return (await store.load({ partition, groupId: null, instanceIds: [], episodeKeys })).episodes;
}

/** null: it fits, or it moves on and on; then it is for another time. */
async function lookAgain(runtime: Runtime, one: Recorded): Promise<string | null> {
  const { instance, key, partition } = one;
  const request = { partition, groupId: null, instanceIds: [instance.id], episodeKeys: [key] };
  let before = await runtime.store.load(request);
  for (let looked = 1; looked <= LOOKED_COUNT_MAX; looked += 1) {
    // Whoever has moved it on would be told of anew.
    if (before.instances.get(instance.id)?.version !== instance.version) return null;
    const record = before.episodes.get(key) ?? null;
    const fault = await faultOf(runtime, one, record);
    const now = await runtime.store.load(request);
    const isStill = now.instances.get(instance.id)?.version === instance.version;
    if (fault === null || !isStill) return null;
    if ((now.episodes.get(key) ?? null) === record) return fault;
    before = now;
  }
  return null;
}

async function faultOf(runtime: Runtime, one: Recorded, record: string | null): Promise<string | null> {
  const { instance, birth, lines } = one;
  const { format, mode } = runtime;
  const evidence = {
    instance,
    birth,
    record,
    isLeaseOver: isLeaseOver(instance.id, birth, lines),
    areAllRecorded: format.acting >= NAMESPACE_FORMAT,
    isWhole: mode !== "live",
  };
  // Asking for the timer is a call of its own, and few need it.
  if (episodeFault({ ...evidence, isLeaseWatched: false }) === null) return null;
  return episodeFault({ ...evidence, isLeaseWatched: await isLeaseWatched(runtime, one) });
}

function isLeaseOver(id: string, birth: Birth, lines: readonly string[]): boolean {
  if (!lines.some((line) => line.includes("lease_over"))) return false;
  return decodeSteps(id, lines, birth).some(
    ({ event }) => event.type === "alert.resolved" && event.reason === "lease_over",
  );
}

async function isLeaseWatched({ store }: Runtime, { instance: { id }, partition }: Recorded): Promise<boolean> {
  const lease: TimerKey = { lane: timerLane(LEASE_TIMER), owner: id, name: LEASE_TIMER, arm: LEASE_ARM, partition };
  const [dueAtMs] = await store.dueTimes([lease]);
  return dueAtMs != null;
}

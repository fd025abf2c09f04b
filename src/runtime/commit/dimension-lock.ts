/**
 * The dimension lock: while a group is forming, at most max(floor(count / 2), 1) processes decide for it at once. It only saves the work
 * that a lost compare-and-set throws away; it is never the safety, so an error of the lock is as good as a free slot.
 */
import { isForming } from "../../convergence/group.ts";
import { DIMENSION_LOCK_LEASE_MS, DIMENSION_LOCK_RETRY_MS } from "../../model/limits.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import type { DimensionLockHold } from "../../stores/dimension-lock.ts";
import type { World } from "../world.ts";
import type { Read } from "./batch-read.ts";

export type LockAnswer = {
  /** null: decide. Otherwise all slots are taken: look again then. */
  readonly busyUntilMs: number | null;
  readonly release: () => Promise<void>;
};

type Locking = Pick<Read, "address" | "group" | "instances" | "readable">;

export const UNLOCKED: LockAnswer = { busyUntilMs: null, release: async () => {} };

/** Takes a slot when the batch decides new instances of a forming group; null: it needs none. Virtual time takes none: it is alone. */
export function takeDimensionLock(world: World, read: Locking): Promise<LockAnswer> | null {
  const { partition, groupId } = read.address;
  if (world.mode !== "live" || groupId === null || !isForming(read.group)) return null;
  const count = countDecided(world, read);
  if (count === null) return null;
  return acquire(world, { key: groupId, partition, slots: Math.max(Math.floor(count / 2), 1) });
}

async function acquire(world: World, slot: { key: string; partition: number; slots: number }): Promise<LockAnswer> {
  const hold = await world.store.lock.acquire({ ...slot, leaseMs: DIMENSION_LOCK_LEASE_MS }).catch(() => undefined);
  if (hold === undefined) return UNLOCKED;
  if (hold === null) return { busyUntilMs: world.clock.now() + DIMENSION_LOCK_RETRY_MS, release: UNLOCKED.release };
  return { busyUntilMs: null, release: () => released(hold) };
}

/** The threshold of the rule that the batch's first undecided instance falls under; null: the batch decides none. */
function countDecided(world: World, read: Locking): number | null {
  for (const { command } of read.readable) {
    if (command.type === "create" && !read.instances.has(command.id))
      return command.policy.policy.converge?.count ?? null;
    if (command.type !== "unpark") continue;
    const instance = read.instances.get(command.id);
    if (instance === undefined) continue;
    const key = policyKey({ name: instance.policy, version: instance.policyVersion });
    return world.versions.get(key)?.policy.converge?.count ?? null;
  }
  return null;
}

/** A hold whose lease has run out frees itself. */
async function released(hold: DimensionLockHold): Promise<void> {
  await hold.release().catch(() => {});
}

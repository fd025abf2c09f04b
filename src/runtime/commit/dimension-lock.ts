/**
 * The dimension lock: while a group is forming, at most max(floor(count / 2), 1) processes decide for it at once. It
 * only saves the work that a lost compare-and-set throws away; it is never the safety, so an error of the lock is as
 * good as a free slot.
 */
import { isForming } from "../../convergence/group.ts";
import { DIMENSION_LOCK_LEASE_MS, DIMENSION_LOCK_RETRY_MS } from "../../model/limits.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import type { BatchRuntime } from "../runtime.ts";
import type { Snapshot } from "./group-source.ts";

export type LockAnswer = {
  /** null: decide. Otherwise all slots are taken: look again then. */
  readonly busyUntilMs: number | null;
  readonly release: () => Promise<void>;
};

/** Does the batch decide new instances of a forming group? Virtual time takes no lock: it is alone. */
export function needsLock({ mode }: BatchRuntime, { batch, group }: Snapshot): boolean {
  return mode === "live" && batch.address.groupId !== null && isForming(group);
}

/** Takes a slot; null: the batch decides nobody, or the lock does not answer. */
export async function lockDimension(runtime: BatchRuntime, snapshot: Snapshot): Promise<LockAnswer | null> {
  const { partition, groupId } = snapshot.batch.address;
  const count = countDecided(runtime, snapshot);
  if (count === null || groupId === null) return null;
  const slots = Math.max(Math.floor(count / 2), 1);
  try {
    const slot = { key: groupId, partition, slots, leaseMs: DIMENSION_LOCK_LEASE_MS };
    const hold = await runtime.store.lock.acquire(slot);
    // A hold whose lease has run out frees itself.
    if (hold !== null) return { busyUntilMs: null, release: () => hold.release().catch(() => {}) };
    return { busyUntilMs: runtime.clock.now() + DIMENSION_LOCK_RETRY_MS, release: async () => {} };
  } catch {
    return null;
  }
}

/** The threshold of the rule that the batch's first undecided instance falls under; null: the batch decides none. */
function countDecided(runtime: BatchRuntime, { received, instances }: Snapshot): number | null {
  for (const command of received.commands) {
    if (command.type === "create" && !instances.has(command.id)) return command.policy.policy.converge?.count ?? null;
    if (command.type !== "unpark") continue;
    const instance = instances.get(command.id);
    if (instance === undefined) continue;
    const key = policyKey({ name: instance.policy, version: instance.policyVersion });
    return runtime.versions.get(key)?.policy.converge?.count ?? null;
  }
  return null;
}

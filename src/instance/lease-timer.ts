/**
 * Timers of leases. An episode ends by itself when its lease runs out, and whoever looks at its record sees that; a
 * timer is only needed where that end moves the instance.
 *
 * The lease's timer is not part of the checkpoint: renewing a lease writes none. It is armed once under one key, looks
 * at the record when it fires, and is armed again if the lease has been renewed meanwhile.
 */
import type { Instance } from "./checkpoint.ts";
import type { Decision } from "./decision.ts";
import type { Received } from "./receive.ts";

export const LEASE_TIMER = "lease";
export const LEASE_ARM = 0;

export type LeaseTimers = { readonly armed: ReadonlyMap<string, number>; readonly cancelled: readonly string[] };

const NONE: LeaseTimers = { armed: new Map(), cancelled: [] };

/** Lease timers that a commit arms, with their due times by instance, and cancels. Most commits have none. */
export function leaseTimers({ instances }: Decision, { words }: Received): LeaseTimers {
  const armed = new Map<string, number>();
  const cancelled: string[] = [];
  const moving = new Set<string>();
  for (const { instance, before } of instances) {
    const was = before !== null && isMovable(before);
    const is = isMovable(instance);
    if (is === was) continue;
    if (was) cancelled.push(instance.id);
    // Nothing of its lease is known here: the timer looks at once. A lease that ended before that moves it no more.
    else if (before !== null) armed.set(instance.id, instance.atMs);
    else moving.add(instance.id);
  }
  for (const { kind, id, leaseUntilMs } of words) {
    if (leaseUntilMs === null || id === null) continue;
    if (kind === "lease_goes_on" || moving.has(id)) armed.set(id, leaseUntilMs);
  }
  return armed.size + cancelled.length === 0 ? NONE : { armed, cancelled };
}

/** Would the end of its alert move it? That of a lease says nothing to one that is verified. */
export function isMovable({ kind, snapshot }: Instance): boolean {
  const { state, context } = snapshot;
  if (kind !== "action" || context.closed || context.policy.keepOnResolved) return false;
  return state === "Idle" || state === "Proceeding" || state === "Defense" || state === "Waiting";
}

import { BecalmError } from "../../model/errors.ts";
import {
  CONFLICT_BACKOFF_MS_MAX,
  CONFLICT_BACKOFF_MS_MIN,
  CONFLICT_COUNT_BEFORE_LEASE,
  CONFLICT_COUNT_MAX,
  GROUP_LEASE_MS,
} from "../../model/limits.ts";
import type { CommitOutcome } from "../../stores/store.ts";
import type { World } from "../world.ts";

/** Where a batch belongs: a group, or (groupId null) the lone instances of a partition. */
export type Address = { readonly partition: number; readonly groupId: string | null };

/** Works of equal keys go through the same mailbox. */
export function mailboxKey({ groupId, partition }: Address): string {
  return groupId ?? `partition ${partition}`;
}

/** Whoever is fenced waits the lease out: its tries must last longer than that. */
const FENCED_PAUSE_MS = GROUP_LEASE_MS / 10;

/**
 * Repeats a read-decide-commit until its commit is applied. After 3 conflicts in a row the process takes a lease on the group, so that
 * the others are fenced for a second; after 20 the batch is refused: nothing of it was written.
 * @throws BECALM_CONFLICT
 */
export async function withRetries<T>(
  world: World,
  address: Address,
  attempt: () => Promise<{ readonly outcome: CommitOutcome; readonly results: T }>,
): Promise<T> {
  for (let conflicts = 0; conflicts < CONFLICT_COUNT_MAX; conflicts += 1) {
    if (conflicts >= CONFLICT_COUNT_BEFORE_LEASE && address.groupId !== null) {
      await world.store.lease({
        groupId: address.groupId,
        partition: address.partition,
        owner: world.owner,
        ttlMs: GROUP_LEASE_MS,
      });
    }
    const { outcome, results } = await attempt();
    if (outcome === "applied" || outcome === "duplicate") return results;
    await world.pause(outcome === "fenced" ? FENCED_PAUSE_MS : backoffMs(world));
  }
  const what = address.groupId === null ? `partition ${address.partition}` : `group ${address.groupId}`;
  throw new BecalmError(
    "BECALM_CONFLICT",
    `Other writers won ${CONFLICT_COUNT_MAX} times in a row on ${what}; nothing was written. Send it again.`,
    {
      details: { ...address },
    },
  );
}

function backoffMs(world: World): number {
  return CONFLICT_BACKOFF_MS_MIN + world.random() * (CONFLICT_BACKOFF_MS_MAX - CONFLICT_BACKOFF_MS_MIN);
}

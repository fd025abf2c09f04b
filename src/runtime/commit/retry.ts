import { BecalmError } from "../../model/errors.ts";
import {
  CONFLICT_BACKOFF_MS_MAX,
  CONFLICT_BACKOFF_MS_MIN,
  CONFLICT_COUNT_BEFORE_LEASE,
  CONFLICT_COUNT_MAX,
  GROUP_LEASE_MS,
} from "../../model/limits.ts";
import type { BatchRuntime } from "../runtime.ts";
import type { Batch, BatchResult, EnvelopeResult } from "./batch.ts";
import { type BatchOptions, isApplied, runBatch } from "./run-batch.ts";

/** Whoever is fenced waits the lease out: its tries must last longer than that. */
const FENCED_PAUSE_MS = GROUP_LEASE_MS / 10;

/**
 * Runs a batch until its commit is applied. A wrong guess is decided again at once. After 3 conflicts in a row the process takes a lease
 * on the group, so that the others are fenced for a second; after 20 the batch is refused: nothing of it was written.
 * `lost`: how it came out when it was run before; null: it was not.
 * @throws BECALM_CONFLICT
 */
export async function runUntilCommitted(
  runtime: BatchRuntime,
  batch: Batch,
  { lost = null, ...options }: BatchOptions & { readonly lost?: BatchResult | null } = {},
): Promise<readonly EnvelopeResult[]> {
  let result = lost;
  for (let conflicts = 0; conflicts < CONFLICT_COUNT_MAX; ) {
    if (result === null || result.outcome === "stale") {
      if (conflicts >= CONFLICT_COUNT_BEFORE_LEASE) await leaseGroup(runtime, batch);
      result = await runBatch(runtime, batch, options);
      if (isApplied(result.outcome)) return result.results;
      if (result.outcome === "stale") continue;
    }
    await runtime.pause(result.outcome === "fenced" ? FENCED_PAUSE_MS : backoffMs(runtime));
    conflicts += 1;
    result = null;
  }
  const { groupId, partition } = batch.address;
  const what = groupId === null ? `partition ${partition}` : `group ${groupId}`;
  throw new BecalmError(
    "BECALM_CONFLICT",
    `Other writers won ${CONFLICT_COUNT_MAX} times in a row on ${what}; nothing was written. Send it again.`,
    { details: { ...batch.address } },
  );
}

async function leaseGroup({ store, owner }: BatchRuntime, { address }: Batch): Promise<void> {
  const { groupId, partition } = address;
  if (groupId !== null) await store.lease({ groupId, partition, owner, ttlMs: GROUP_LEASE_MS });
}

function backoffMs({ random }: BatchRuntime): number {
  return CONFLICT_BACKOFF_MS_MIN + random() * (CONFLICT_BACKOFF_MS_MAX - CONFLICT_BACKOFF_MS_MIN);
}

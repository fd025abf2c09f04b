import { BecalmError } from "../../model/errors.ts";
import {
  CONFLICT_COUNT_BEFORE_LEASE,
  CONFLICT_COUNT_MAX,
  GROUP_LEASE_MS,
  LEASE_WAIT_COUNT_MAX,
} from "../../model/limits.ts";
import type { BatchRuntime } from "../runtime.ts";
import { backoffMs } from "./back-off.ts";
import type { Batch, BatchResult, EnvelopeResult } from "./batch.ts";
import { type BatchOptions, isApplied, runBatch } from "./run-batch.ts";

/**
 * Runs a batch until its commit is applied. A wrong guess is decided again at once. After 3 conflicts in a row, or when
 * it meets another's lease, the process takes its turn: it waits for a lease on the group, decides while the others are
 * fenced, and gives the lease back. After 20 conflicts, or when its turn does not come, the batch is refused: nothing
 * of it was written. `lost`: how it came out when it was run before; null: it was not.
 * @throws BECALM_CONFLICT
 */
export async function runUntilCommitted(
  runtime: BatchRuntime,
  batch: Batch,
  { lost = null, ...options }: BatchOptions & { readonly lost?: BatchResult | null } = {},
): Promise<readonly EnvelopeResult[]> {
  let last = lost?.outcome ?? null;
  let isCrowded = false;
  for (let conflicts = 0; ; ) {
    if (last === "conflict" || last === "fenced") {
      conflicts += 1;
      isCrowded ||= last === "fenced" || conflicts >= CONFLICT_COUNT_BEFORE_LEASE;
      if (conflicts === CONFLICT_COUNT_MAX) throw refused(batch, `Other writers won ${conflicts} times in a row`);
      await runtime.pause(backoffMs(runtime));
    }
    const result = isCrowded ? await runInTurn(runtime, batch, options) : await runBatch(runtime, batch, options);
    if (isApplied(result.outcome)) return result.results;
    last = result.outcome;
  }
}

/** Runs a batch while it has the lease on its group. Ungrouped instances have none to take. */
async function runInTurn(runtime: BatchRuntime, batch: Batch, options: BatchOptions): Promise<BatchResult> {
  const { groupId, partition } = batch.address;
  if (groupId === null) return runBatch(runtime, batch, options);
  const { store, owner } = runtime;
  for (let waits = 0; !(await store.lease({ groupId, partition, owner, ttlMs: GROUP_LEASE_MS })); waits += 1) {
    if (waits === LEASE_WAIT_COUNT_MAX)
      throw refused(batch, "Its turn did not come: others decided one after the other");
    await runtime.pause(backoffMs(runtime));
  }
  try {
    return await runBatch(runtime, batch, options);
  } finally {
    // One that cannot be given back runs out.
    await store.endLease({ groupId, partition, owner }).catch(() => {});
  }
}

function refused({ address }: Batch, why: string): BecalmError {
  const { groupId, partition } = address;
  const where = groupId === null ? `partition ${partition}` : `group ${groupId}`;
  return new BecalmError("BECALM_CONFLICT", `${why} on ${where}; nothing was written. Send it again.`, {
    details: { ...address },
  });
}

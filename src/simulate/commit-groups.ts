/**
 * Commits commands in virtual time: in order within each group, groups beside each other. Groups do not see each other,
 * so nobody notices.
 */
import { grouped } from "../model/grouped.ts";
import type { Batch, Envelope, EnvelopeResult } from "../runtime/commit/batch.ts";
import { mailboxKey } from "../runtime/commit/batch.ts";
import { runUntilCommitted } from "../runtime/commit/retry.ts";
import { countFitting, sizeOf } from "../runtime/inbox/batch-size.ts";
import type { BatchRuntime } from "../runtime/runtime.ts";
import { hasBrakes } from "../runtime/stops/brakes.ts";

/** Groups whose batches are committed at once. */
const GROUPS_AT_ONCE = 64;

/** Results are in the order of the commands. `ordinal`: the line among those of the same time. */
export async function commitByGroup(
  runtime: BatchRuntime,
  envelopes: readonly Envelope[],
  ordinal: number,
): Promise<EnvelopeResult[]> {
  const results = new Map<Envelope, EnvelopeResult>();
  const groups = grouped(envelopes, ({ address }) => mailboxKey(address));
  const next = groups.values();
  const worker = async () => {
    for (const group of next) await commitGroup(runtime, group, { ordinal, results });
  };
  // A brake counts over all groups: which attempt is one too many must not depend on who is faster.
  const atOnce = hasBrakes(runtime.inForce) ? 1 : GROUPS_AT_ONCE;
  await Promise.all(Array.from({ length: Math.min(atOnce, groups.size) }, worker));
  return envelopes.map((envelope) => results.get(envelope) as EnvelopeResult);
}

async function commitGroup(
  runtime: BatchRuntime,
  group: Envelope[],
  { ordinal, results }: { ordinal: number; results: Map<Envelope, EnvelopeResult> },
): Promise<void> {
  const sizes = group.map(sizeOf);
  while (group.length > 0) {
    const fitting = countFitting(sizes);
    sizes.splice(0, fitting);
    const envelopes = group.splice(0, fitting);
    const batch: Batch = { address: (envelopes[0] as Envelope).address, envelopes };
    const answers = await runUntilCommitted(runtime, batch, { ordinal });
    for (const [index, envelope] of envelopes.entries()) results.set(envelope, answers[index] as EnvelopeResult);
  }
}

/**
 * Retention: an instance at rest is forgotten, with its audit, some time after its last step and the last receipt of
 * its alert.
 */
import { isAtRest } from "../../instance/open-index.ts";
import { BecalmError } from "../../model/errors.ts";
import { tryInstance } from "../commit/read-instance.ts";
import { lastRecordOf } from "../instance-episode.ts";
import type { Runtime } from "../runtime.ts";

const PAGE_COUNT = 256;

/** Removes what is older than `retentionMs` at rest. Returns how many instances were removed. */
export async function sweep(runtime: Runtime, retentionMs: number): Promise<number> {
  const untilMs = runtime.clock.now() - retentionMs;
  let removed = 0;
  for (let partition = 0; partition < runtime.partitions; partition += 1)
    removed += await sweepPartition(runtime, partition, untilMs);
  return removed;
}

async function sweepPartition(runtime: Runtime, partition: number, untilMs: number): Promise<number> {
  let removed = 0;
  let after: { createdAtMs: number; id: string } | undefined;
  for (;;) {
    const page = await runtime.store.oldest({
      partition,
      createdUntilMs: untilMs,
      limit: PAGE_COUNT,
      ...(after === undefined ? {} : { after }),
    });
    removed += await sweepPage(runtime, { partition, ids: page.map(({ id }) => id), untilMs });
    if (page.length < PAGE_COUNT) return removed;
    after = page.at(-1);
  }
}

async function sweepPage(
  runtime: Runtime,
  { partition, ids, untilMs }: { partition: number; ids: readonly string[]; untilMs: number },
): Promise<number> {
  if (ids.length === 0) return 0;
  const { instances } = await runtime.store.load({ partition, groupId: null, instanceIds: ids });
  const touched = await runtime.store.touched(ids);
  let removed = 0;
  for (const stored of instances.values()) {
    // A quarantined instance is never removed: somebody may repair it.
    const instance = await tryInstance(runtime, stored);
    if (instance instanceof BecalmError || !isAtRest(instance)) continue;
    if (Math.max(instance.atMs, touched.get(instance.id) ?? 0) > untilMs) continue;
    const record = await lastRecordOf(runtime, instance);
    if (await runtime.store.remove(instance.id, stored.version, record ?? undefined)) removed += 1;
  }
  return removed;
}

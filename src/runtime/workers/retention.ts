/**
 * Retention: an instance at rest is forgotten, with its audit, some time after its last step and the last receipt of
 * its alert. If it is to be exported before, it is removed only when its export is durable.
 */
import type { Instance } from "../../instance/checkpoint.ts";
import { isAtRest } from "../../instance/open-index.ts";
import { BecalmError, errorCode } from "../../model/errors.ts";
import type { RecordCondition, StoredInstance } from "../../stores/store.ts";
import { tryInstance } from "../commit/read-instance.ts";
import { lastRecordOf } from "../instance-episode.ts";
import type { Runtime } from "../runtime.ts";

const PAGE_COUNT = 256;

/**
 * Writes instances that are about to be removed, and resolves when they are durable, with the ids of those that it
 * wrote: the others stay. Rejects with BECALM_OUTPUT_FAILED if it could not write.
 */
export type ExportRemoved = (page: RemovedPage) => Promise<ReadonlySet<string>>;

export type RemovedPage = { readonly partition: number; readonly instances: readonly StoredInstance[] };

export type Retention = {
  readonly retentionMs: number;
  /** Absent: what is removed is not exported. */
  readonly exportRemoved?: ExportRemoved | undefined;
  /**
   * Asked before each partition: what must hold of its removals. null: removing is left to others, and the sweep ends.
   * Absent: nothing must hold.
   */
  readonly mayRemove?: ((partition: number) => Promise<RecordCondition | null>) | undefined;
  /** Called with an instance that stays because its history or its alert's record cannot be read. */
  readonly onUnreadable: (instanceId: string, error: unknown) => void;
};

/**
 * Removes what is older than `retentionMs` at rest. Returns how many instances were removed. Rejects as `exportRemoved`
 * does: then its page, and what would have come after it, is still there.
 */
export async function sweep(
  runtime: Runtime,
  { retentionMs, exportRemoved, mayRemove, onUnreadable }: Retention,
): Promise<number> {
  const untilMs = runtime.clock.now() - retentionMs;
  let removed = 0;
  for (let partition = 0; partition < runtime.partitions; partition += 1) {
    const condition = await mayRemove?.(partition);
    if (condition === null) return removed;
    removed += await sweepPartition(runtime, { partition, untilMs, exportRemoved, condition, onUnreadable });
  }
  return removed;
}

type Sweep = Pick<Retention, "exportRemoved" | "onUnreadable"> & {
  readonly partition: number;
  readonly untilMs: number;
  readonly condition: RecordCondition | undefined;
};

async function sweepPartition(runtime: Runtime, its: Sweep): Promise<number> {
  const { partition, untilMs } = its;
  let removed = 0;
  let after: { createdAtMs: number; id: string } | undefined;
  for (;;) {
    const page = await runtime.store.oldest({
      partition,
      createdUntilMs: untilMs,
      limit: PAGE_COUNT,
      ...(after === undefined ? {} : { after }),
    });
    removed += await sweepPage(
      runtime,
      page.map(({ id }) => id),
      its,
    );
    if (page.length < PAGE_COUNT) return removed;
    after = page.at(-1);
  }
}

type Over = { readonly stored: StoredInstance; readonly instance: Instance };

async function sweepPage(runtime: Runtime, ids: readonly string[], its: Sweep): Promise<number> {
  if (ids.length === 0) return 0;
  const { instances } = await runtime.store.load({ partition: its.partition, groupId: null, instanceIds: ids });
  const atRest: Over[] = [];
  for (const stored of instances.values()) {
    // A quarantined instance is never removed: somebody may repair it.
    const instance = await tryInstance(runtime, stored);
    if (instance instanceof BecalmError || !isAtRest(instance)) continue;
    atRest.push({ stored, instance });
  }
  let removed = 0;
  for (const one of await exported(runtime, await over(runtime, atRest, its), its))
    if (await remove(runtime, one, its)) removed += 1;
  return removed;
}

const UNREADABLE: readonly (string | undefined)[] = ["BECALM_HISTORY_BROKEN", "BECALM_EPISODE_UNREADABLE"];

/** One that cannot be read stays, as a quarantined one does, and holds up no other. */
async function remove(
  runtime: Runtime,
  { stored, instance }: Over,
  { condition, onUnreadable }: Sweep,
): Promise<boolean> {
  try {
    const episode = (await lastRecordOf(runtime, instance)) ?? undefined;
    return await runtime.store.remove(instance.id, stored.version, { episode, condition });
  } catch (error) {
    if (!UNREADABLE.includes(errorCode(error))) throw error;
    onUnreadable(instance.id, error);
    return false;
  }
}

/** Those whose last step, and the last receipt of their alert, are long enough ago. */
async function over(runtime: Runtime, atRest: readonly Over[], { untilMs }: Sweep): Promise<readonly Over[]> {
  if (atRest.length === 0) return atRest;
  const touched = await runtime.store.touched(atRest.map(({ instance }) => instance.id));
  return atRest.filter(({ instance: { id, atMs } }) => Math.max(atMs, touched.get(id) ?? 0) <= untilMs);
}

/** Those that may go: all, or those whose exports are durable. An alert that came meanwhile keeps its instance. */
async function exported(runtime: Runtime, leaving: readonly Over[], its: Sweep): Promise<readonly Over[]> {
  const { partition, exportRemoved } = its;
  if (exportRemoved === undefined || leaving.length === 0) return leaving;
  const written = await exportRemoved({ partition, instances: leaving.map(({ stored }) => stored) });
  return over(
    runtime,
    leaving.filter(({ stored }) => written.has(stored.id)),
    its,
  );
}

/** Reads what a store has recorded, newest first, into a recording. Only reads. */
import type { Birth, History } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { endedByLease, NO_GRACE } from "../model/episode.ts";
import { lastEpisode } from "../model/episode-record.ts";
import { BecalmError } from "../model/errors.ts";
import { grouped } from "../model/grouped.ts";
import { episodeTagOf, idNames, instanceNameParts, partitionOfId } from "../model/ids.ts";
import { tryInstance } from "../runtime/commit/read-instance.ts";
import { episodeKeyOf } from "../runtime/inbox/routing.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import type { StoredInstance } from "../stores/store.ts";
import type { RecordedEnd } from "./recorded-history.ts";
import type { Recording } from "./recording.ts";

const PAGE_COUNT = 256;
const READ_AT_ONCE = 32;

export type StoredReading = {
  /** Instances that were created before are left out. */
  readonly fromMs: number;
  /** Others are left out, and their histories are not read. */
  readonly isWanted?: (instance: Instance) => boolean;
  readonly nowMs: number;
  /** At most so many are read, the newest; default: all. */
  readonly limit?: number;
  /** Called now and then: it may wait, and throws when nobody waits for the rest. */
  readonly onRead?: (count: number) => Promise<void> | void;
  /** Told of an instance whose history cannot be read; it is left out. */
  readonly onUnreadable: (id: string, error: BecalmError) => void;
};

/** Adds every instance that was created since `fromMs`. Gives how many were read. */
export async function recordStored(
  reader: InstanceReader,
  recording: Pick<Recording, "add">,
  reading: StoredReading,
): Promise<number> {
  let cursor: string | null | undefined;
  let count = 0;
  while (cursor !== null && count < (reading.limit ?? Number.POSITIVE_INFINITY)) {
    const from = cursor === undefined ? {} : { cursor };
    const page = await reader.runtime.store.list({ limit: PAGE_COUNT, ...from });
    let isOlder = false;
    for (let start = 0; start < page.instances.length; start += READ_AT_ONCE) {
      const some = page.instances.slice(start, start + READ_AT_ONCE);
      const read = (await Promise.all(some.map((stored) => readOne(reader, stored, reading)))).flatMap(
        (one) => one ?? [],
      );
      const wanted = read.filter(({ history }) => history.birth.createdAtMs >= reading.fromMs);
      const born = wanted.map(({ history }) => ({ id: history.instance, birth: history.birth }));
      const ends = await endsOf(reader, born, reading.nowMs);
      for (const [index, one] of wanted.entries()) recording.add({ ...one, end: one.ended ?? ends[index] ?? null });
      count += wanted.length;
      await reading.onRead?.(count);
      isOlder ||= wanted.length < read.length;
    }
    cursor = isOlder ? null : page.next;
  }
  return count;
}

/**
 * How many instances were created from then on; their histories are not read. One that cannot be read counts as those
 * around it.
 */
export async function countStored(
  { runtime }: InstanceReader,
  { fromMs, between }: { readonly fromMs: number; readonly between: () => Promise<void> | void },
): Promise<number> {
  let cursor: string | null | undefined;
  let count = 0;
  while (cursor !== null) {
    const page = await runtime.store.list({ limit: PAGE_COUNT, ...(cursor === undefined ? {} : { cursor }) });
    const instances = await Promise.all(page.instances.map((stored) => tryInstance(runtime, stored)));
    const own = instances.filter((one) => one instanceof BecalmError || one.createdAtMs >= fromMs);
    count += own.length;
    cursor = own.length < instances.length ? null : page.next;
    await between();
  }
  return count;
}

/** `ended`: as a bundle tells. */
type ReadInstance = {
  readonly history: History;
  readonly instance: Instance | null;
  readonly ended: RecordedEnd | null;
};

/** null: its retention ended meanwhile, or its history cannot be read. */
async function readOne(
  reader: InstanceReader,
  stored: StoredInstance,
  { onUnreadable, isWanted }: StoredReading,
): Promise<ReadInstance | null> {
  try {
    const instance = await tryInstance(reader.runtime, stored);
    if (isWanted !== undefined && (instance instanceof BecalmError || !isWanted(instance))) return null;
    const history = await reader.history(stored.id);
    return { history, instance: instance instanceof BecalmError ? null : instance, ended: stored.ended ?? null };
  } catch (error) {
    if (!(error instanceof BecalmError)) throw error;
    if (error.code !== "BECALM_NOT_FOUND") onUnreadable(stored.id, error);
    return null;
  }
}

/**
 * How the episodes of instances ended, as far as their records, which hold the last one of each alert, tell. One each;
 * null: nobody knows, or it has not ended.
 */
export async function endsOf(
  { runtime }: InstanceReader,
  born: readonly { readonly id: string; readonly birth: Birth }[],
  nowMs: number,
): Promise<(RecordedEnd | null)[]> {
  const named = born.map(({ id, birth: { kind, policy, alert } }) => {
    if (kind !== "action" || alert === null) return null;
    const { fingerprint } = alert;
    const key = episodeKeyOf({ episodeTag: episodeTagOf(policy) }, fingerprint);
    return { id, key, policy, fingerprint, partition: partitionOfId(id) ?? 0 };
  });
  const byPartition = grouped(
    named.filter((one) => one !== null),
    ({ partition }) => partition,
  );
  const loads = [...byPartition].map(async ([partition, some]) => {
    const episodeKeys = [...new Set(some.map(({ key }) => key))];
    const { episodes } = await runtime.store.load({ partition, groupId: null, instanceIds: [], episodeKeys });
    return [partition, episodes] as const;
  });
  const records = new Map(await Promise.all(loads));
  // No lease runs out because a file ends.
  const untilMs = runtime.mode === "live" ? nowMs : Number.NEGATIVE_INFINITY;
  return named.map((one) => {
    const record = one === null ? undefined : records.get(one.partition)?.get(one.key);
    return one === null || record === undefined ? null : endIn(record, one, untilMs);
  });
}

type Named = { readonly id: string; readonly policy: string; readonly fingerprint: string };

function endIn(record: string, { id, policy, fingerprint }: Named, nowMs: number): RecordedEnd | null {
  const episode = endedByLease(lastEpisode(record), nowMs, NO_GRACE);
  const isOwn = idNames(id, instanceNameParts({ policy, fingerprint, startMs: episode.startMs }));
  if (!isOwn || episode.end === null) return null;
  return { reason: episode.end.reason, atMs: episode.end.receivedAtMs };
}

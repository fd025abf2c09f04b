/**
 * What has become of the instances of a run, read from its store: the rows of `becalm run --json` and of `diff`.
 *
 * F1 it describes the file, not the run: whoever made the instances, the same lines come out, byte for byte.
 * F2 instances are read in batches, so that a long file needs little memory and a distant store few waits.
 */
import type { History } from "../instance/audit-types.ts";
import { decodeCheckpoint, type Instance } from "../instance/checkpoint.ts";
import { summaryIdOf } from "../instance/notices.ts";
import { topLevel } from "../instance/step.ts";
import { errorCode } from "../model/errors.ts";
import { partitionOfId } from "../model/ids.ts";
import type { InstanceState } from "../model/instance-types.ts";
import { isoTime } from "../present/time-text.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import type { StoredInstance } from "../stores/store.ts";

const BATCH_COUNT = 256;
const HISTORIES_AT_ONCE = 64;

/** Key order is part of the output. */
export type InstanceLine = {
  readonly id: string;
  readonly policy: string;
  readonly alert: {
    readonly fingerprint: string;
    readonly startsAt: string;
    readonly labels: Readonly<Record<string, string>>;
  } | null;
  /** null: its checkpoint cannot be read. */
  readonly state: InstanceState | null;
  readonly path: readonly InstanceState[];
  readonly verdict: string | null;
  readonly reason: string | null;
  readonly group: string | null;
  readonly attempts: number;
};

/** What a file, or a history, brought. `ids`: of its instances, in order; some may not exist. */
export type Counted = Pick<FileSummary, "alerts" | "unmatched" | "rejected" | "resolved" | "late" | "truncated"> & {
  readonly ids: ReadonlySet<string>;
};

export type FileSummary = {
  readonly alerts: number;
  readonly instances: number;
  readonly executed: number;
  readonly skipped: number;
  readonly waiting: number;
  readonly groups: number;
  readonly summaries: number;
  readonly unmatched: number;
  readonly rejected: number;
  /** Receipts that were resolved when they came. */
  readonly resolved: number;
  /** Late words, firing or resolved. */
  readonly late: number;
  /** Alerts that senders say that they have left out. */
  readonly truncated: number;
};

/** Instances in which nothing happens until somebody else does something. */
const WAITING_STATES: readonly (InstanceState | null)[] = ["Waiting", "Defense", "Proceeding"];

export function isWaiting(state: InstanceState | null): boolean {
  return WAITING_STATES.includes(state);
}

/** `summaries`: ids of those of the groups that it opened. */
export type Row = { readonly line: InstanceLine; readonly summaries: readonly string[] };

/** What a run has dropped from its store already. `summaries`: how many of the notices among it were sent. */
export type Dropped = { readonly summaries: number; rowOf(id: string): Row | null };

const NOTHING_DROPPED: Dropped = { summaries: 0, rowOf: () => null };

type Reporting = {
  readonly onLine: (line: InstanceLine) => Promise<void>;
  /** Hears of what cannot be read. */
  readonly onQuarantined: (error: unknown) => void;
  readonly dropped?: Dropped;
};

/** Calls `onLine` for each instance of the file, in order, and gives the totals. */
export async function reportFile(
  instances: InstanceReader,
  taken: Counted,
  { onLine, onQuarantined, dropped = NOTHING_DROPPED }: Reporting,
): Promise<FileSummary> {
  const totals = { instances: 0, executed: 0, skipped: 0, waiting: 0, groups: 0, summaries: dropped.summaries };
  for (const ids of batches([...taken.ids], BATCH_COUNT)) {
    const rows = await readRows(instances, { ids, onQuarantined, dropped });
    const summaries = rows.flatMap((row) => row.summaries);
    totals.groups += summaries.length;
    totals.summaries += await countSent(instances, summaries);
    for (const { line } of rows) {
      totals.instances += 1;
      if (line.attempts > 0) totals.executed += 1;
      if (line.state === "Skipped") totals.skipped += 1;
      if (isWaiting(line.state)) totals.waiting += 1;
      await onLine(line);
    }
  }
  const { alerts, unmatched, rejected, resolved, late, truncated } = taken;
  return { alerts, ...totals, unmatched, rejected, resolved, late, truncated };
}

async function readRows(
  instances: InstanceReader,
  { ids, onQuarantined, dropped }: Omit<Required<Reporting>, "onLine"> & { readonly ids: readonly string[] },
): Promise<Row[]> {
  const known = new Map(ids.map((id) => [id, dropped.rowOf(id)]));
  const stored = await loadAll(
    instances,
    ids.filter((id) => known.get(id) === null),
  );
  const rows: (Row | null)[] = [];
  for (const some of batches(ids, HISTORIES_AT_ONCE)) {
    const read = some.map(async (id) => {
      const one = stored.get(id);
      return one === undefined ? (known.get(id) ?? null) : rowOf(instances, one, onQuarantined);
    });
    rows.push(...(await Promise.all(read)));
  }
  return rows.filter((row) => row !== null);
}

async function rowOf(
  instances: InstanceReader,
  stored: StoredInstance,
  onQuarantined: (error: unknown) => void,
): Promise<Row> {
  const history = await instances.history(stored.id);
  try {
    const instance = decodeCheckpoint(stored, instances.runtime.versions);
    return { line: instanceLine(instance, history), summaries: summariesOf(history) };
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    onQuarantined(error);
    const { id, policy, alert, path, group } = instanceLine(null, history);
    return {
      line: { id, policy, alert, state: null, path, verdict: null, reason: null, group, attempts: 0 },
      summaries: [],
    };
  }
}

/** The promised line of an instance. `instance: null` leaves out what only the checkpoint knows. */
export function instanceLine(instance: Instance | null, history: History): InstanceLine {
  const { birth } = history;
  return {
    id: history.instance,
    policy: birth.policy,
    alert: birth.alert === null ? null : alertLine(birth.alert),
    state: instance === null ? null : topLevel(instance.snapshot.state),
    path: wholePath(history),
    verdict: instance?.verdict ?? null,
    reason: instance?.reason ?? null,
    group: birth.group,
    attempts: instance?.snapshot.context.attempt ?? 0,
  };
}

function alertLine({
  fingerprint,
  startsAtMs,
  labels,
}: NonNullable<History["birth"]["alert"]>): NonNullable<InstanceLine["alert"]> {
  const names = Object.keys(labels).sort(byCodeUnits);
  return {
    fingerprint,
    startsAt: isoTime(startsAtMs),
    labels: Object.fromEntries(names.map((name) => [name, labels[name] as string])),
  };
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Top-level states over an instance's whole life: each entry's path goes on where the one before ended. */
export function wholePath({ entries }: History): InstanceState[] {
  const path: InstanceState[] = [];
  for (const entry of entries) {
    const steps = entry.path[0] === path.at(-1) ? entry.path.slice(1) : entry.path;
    path.push(...steps);
  }
  return path;
}

/** Of each group that an instance opened, the id that its summary has, or would have. */
export function summariesOf({ instance, entries }: History): string[] {
  return entries.flatMap(({ event, atMs }) => {
    if (!("group" in event) || event.group?.observation.isNew !== true) return [];
    return [summaryIdOf(instance, event.type === "reconsider" ? atMs : undefined)];
  });
}

/** How many of these summaries were sent. */
async function countSent(instances: InstanceReader, summaries: readonly string[]): Promise<number> {
  const stored = await loadAll(instances, summaries);
  let count = 0;
  for (const one of stored.values()) {
    try {
      if (decodeCheckpoint(one, instances.runtime.versions).snapshot.context.attempt > 0) count += 1;
    } catch (error) {
      if (errorCode(error) === undefined) throw error;
    }
  }
  return count;
}

/** Stored instances by id, one read a partition. */
async function loadAll(instances: InstanceReader, ids: readonly string[]): Promise<Map<string, StoredInstance>> {
  const byPartition = new Map<number, string[]>();
  for (const id of ids) {
    const partition = partitionOfId(id) ?? 0;
    const some = byPartition.get(partition);
    if (some === undefined) byPartition.set(partition, [id]);
    else some.push(id);
  }
  const loaded = await Promise.all(
    [...byPartition].map(([partition, instanceIds]) =>
      instances.runtime.store.load({ partition, groupId: null, instanceIds }),
    ),
  );
  return new Map(loaded.flatMap(({ instances }) => [...instances]));
}

function* batches<T>(all: readonly T[], count: number): Generator<readonly T[]> {
  for (let start = 0; start < all.length; start += count) yield all.slice(start, start + count);
}

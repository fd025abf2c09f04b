/**
 * What a batch must know before it is decided, read from the store: its group, its instances, the episodes of its
 * alerts, and whoever waits.
 *
 * Most batches take one read. A second one is for instances that only the episodes name: of an end, or of an activity
 * that is over. Whoever may settle a peer that somebody waits for also reads its peers and waiters: they may be
 * quarantined.
 */
import type { Group } from "../../convergence/group.ts";
import { type Tally, tallyKey } from "../../convergence/tally.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import { type Incoming, type Received, receiveAll } from "../../instance/receive.ts";
import { STOPS_KEY } from "../../instance/stops-record.ts";
import { BecalmError } from "../../model/errors.ts";
import { COMMIT_INSTANCE_COUNT_MAX } from "../../model/limits.ts";
import type { LoadResult } from "../../stores/store.ts";
import type { Runtime } from "../runtime.ts";
import { type Address, type Batch, isCreation, neededId } from "./batch.ts";
import type { GroupCache } from "./group-cache.ts";
import type { BatchRead, Snapshot } from "./group-source.ts";
import { tryInstance } from "./read-instance.ts";

export type ReadFrom = Pick<Runtime, "store" | "versions" | "leaseGrace" | "stops">;

/** `asked`: ids that were looked for, whether they exist or not. */
type Found = {
  readonly asked: Set<string>;
  readonly instances: Map<string, Instance>;
  readonly quarantined: Map<string, BecalmError>;
  /** First history lines. */
  readonly births: Map<string, string>;
};

type Waiting = Pick<Snapshot, "waiters" | "hasMoreWaiters">;

export const NOTHING_COUNTED: ReadonlyMap<string, Tally> = new Map();

export const NOBODY_WAITS: Waiting = { waiters: [], hasMoreWaiters: false };

export async function readStored(
  from: ReadFrom,
  batch: Batch,
  { cache, turn }: { cache: GroupCache; turn: number | null },
): Promise<BatchRead> {
  const { address } = batch;
  const { partition, groupId } = address;
  const { instanceIds, episodeKeys } = neededBy(batch);
  const request = {
    partition,
    groupId,
    instanceIds: [...instanceIds],
    episodeKeys: [...episodeKeys, STOPS_KEY],
    births: true,
  };
  const loaded = await from.store.load(request);
  from.stops.learn(partition, loaded.episodes.get(STOPS_KEY) ?? null);
  const group = loaded.group === null || groupId === null ? null : cache.decode(groupId, loaded.group);
  const found: Found = { asked: instanceIds, instances: new Map(), quarantined: new Map(), births: new Map() };
  if (loaded.instances.size > 0) await decodeInto(from, loaded, found);
  const running = group?.open?.running ?? [];
  if (running.length > 0) await readMore(from, address, { ids: running.slice(0, COMMIT_INSTANCE_COUNT_MAX), found });
  const received = await receive(from, batch, { records: loaded.episodes, found, turn });
  const waiting =
    group !== null && mayMoveWaiters(group, received.commands)
      ? await readWaiters(from, group, { batch, found })
      : NOBODY_WAITS;
  const { instances, quarantined } = found;
  return {
    snapshot: {
      batch,
      received,
      group,
      instances,
      quarantined,
      tallies: group === null ? NOTHING_COUNTED : await readTallies(from, group, batch),
      waiters: waiting.waiters,
      hasMoreWaiters: waiting.hasMoreWaiters,
    },
    precondition: { groupVersion: loaded.group?.version ?? 0, afterCommitId: null, isGuess: false },
  };
}

/** Summaries are few: one for the whole life of a group. */
async function readTallies(
  { store }: ReadFrom,
  group: Group,
  { address: { partition }, envelopes }: Batch,
): Promise<ReadonlyMap<string, Tally>> {
  const tallies = new Map<string, Tally>();
  for (const { command } of envelopes) {
    if (command.type !== "summarise") continue;
    const summary = group.summaries.find(({ timer }) => timer.arm === command.arm);
    if (summary === undefined) continue;
    const key = tallyKey(group, summary);
    const tally = await store.tally({ partition, key });
    if (tally !== null) tallies.set(key, tally);
  }
  return tallies;
}

function neededBy({ envelopes }: Batch): { instanceIds: Set<string>; episodeKeys: string[] } {
  const instanceIds = new Set<string>();
  const keys = new Set<string>();
  for (const { command } of envelopes) {
    const id = neededId(command);
    if (id !== null) instanceIds.add(id);
    if (command.type === "receipt" || command.type === "lease") keys.add(command.key);
  }
  return { instanceIds, episodeKeys: [...keys] };
}

/**
 * Takes the receipts, and reads the instances that their episodes name. Those may be unreadable, which the receipts
 * must know.
 */
async function receive(
  from: ReadFrom,
  { address, envelopes }: Batch,
  { records, found, turn }: { records: ReadonlyMap<string, string>; found: Found; turn: number | null },
): Promise<Received> {
  const incoming = envelopes.map(({ command }) => command);
  const take = () =>
    receiveAll({ incoming, records, partition: address.partition, turn, grace: from.leaseGrace, ...found });
  const received = take();
  const ids = [...received.commands.flatMap((command) => neededId(command) ?? []), ...goingOn(received)].filter(
    (id) => !found.asked.has(id),
  );
  if (ids.length === 0) return received;
  await readMore(from, address, { ids, found });
  return take();
}

/** Instances whose labels tell whether a receipt is about them. */
function goingOn({ words }: Received): string[] {
  return words.flatMap(({ kind, id }) => ((kind === "goes_on" || kind === "late") && id !== null ? [id] : []));
}

/**
 * Whatever is not a creation may settle a peer of the waiters. And only waiters that can be read keep a group open past
 * its end.
 */
export function mayMoveWaiters({ open, waiters }: Group, commands: readonly Incoming[]): boolean {
  if (waiters === 0) return false;
  if (commands.some((command) => !isCreation(command))) return true;
  return (
    open !== null &&
    open.inProgress === 0 &&
    commands.some((command) => "atMs" in command && command.atMs > open.endsAtMs)
  );
}

/**
 * The first waiters: pages of them, until one holds somebody who can be read. Those that cannot be read stay, and would
 * hide who stands behind them.
 */
async function readWaiters(
  from: ReadFrom,
  group: Group,
  { batch, found }: { batch: Batch; found: Found },
): Promise<Waiting> {
  const { address, envelopes } = batch;
  const limit = Math.max(COMMIT_INSTANCE_COUNT_MAX - envelopes.length, 1);
  const page = { groupId: group.id, partition: address.partition, set: "waiters", limit } as const;
  const waiters: string[] = [];
  for (;;) {
    const ids = await from.store.members({ ...page, offset: waiters.length });
    await readMore(from, address, { ids, found });
    waiters.push(...ids);
    const isLast = ids.length < limit;
    if (isLast || ids.some((id) => found.instances.has(id))) return { waiters, hasMoreWaiters: !isLast };
  }
}

async function readMore(
  from: ReadFrom,
  { partition }: Address,
  { ids, found }: { ids: readonly string[]; found: Found },
): Promise<void> {
  const instanceIds = ids.filter((id) => !found.instances.has(id) && !found.quarantined.has(id));
  if (instanceIds.length === 0) return;
  for (const id of instanceIds) found.asked.add(id);
  await decodeInto(from, await from.store.load({ partition, groupId: null, instanceIds, births: true }), found);
}

async function decodeInto(from: ReadFrom, loaded: LoadResult, found: Found): Promise<void> {
  for (const stored of loaded.instances.values()) {
    const read = await tryInstance(from, stored);
    if (read instanceof BecalmError) found.quarantined.set(stored.id, read);
    else found.instances.set(stored.id, read);
    if (stored.birth !== undefined) found.births.set(stored.id, stored.birth);
  }
}

/**
 * What a batch must know before it is decided: its group, its instances, who waits. From one read, or from what this process knows already.
 *
 * B1 what is known and not read is only a guess; the commit's compare-and-set makes it safe. A batch that loses is read.
 * B2 whoever may settle a peer that somebody waits for is read: peers and waiters may be quarantined.
 */

import type { Group } from "../../convergence/group.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import type { Command } from "../../instance/decide.ts";
import { BecalmError } from "../../model/errors.ts";
import { COMMIT_INSTANCE_COUNT_MAX } from "../../model/limits.ts";
import type { LoadResult, TimerKey } from "../../stores/store.ts";
import type { World } from "../world.ts";
import { type Address, mailboxKey } from "./conflicts.ts";
import { tryInstance } from "./read-instance.ts";

/** A command on its way through a mailbox, with what is done with as soon as it is committed. */
export type Work = {
  readonly command: Command;
  /** The effect whose result this is: it leaves the outbox in the same commit. */
  readonly settles?: string;
  /** The timer that fired. */
  readonly fired?: TimerKey;
  /** The command's instance as this process has committed it: if nobody has changed it since, it need not be read. */
  readonly known?: Instance;
};

/** What one mailbox sends on a turn. */
export type Batch = { readonly address: Address; readonly works: readonly Work[] };

/** A batch with what was read for it. */
export type Read = Batch & {
  /** Works whose instance can be read. */
  readonly readable: readonly Work[];
  readonly group: Group | null;
  readonly groupVersion: number;
  /** The commit without which this may not be what is stored; null: it was read, or there is no group. */
  readonly follows: string | null;
  /** False: it was known. */
  readonly isRead: boolean;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly waiters: readonly string[];
  readonly hasMoreWaiters: boolean;
  readonly quarantined: ReadonlyMap<string, BecalmError>;
};

const NOTHING_QUARANTINED: Read["quarantined"] = new Map();

/** Is everything known that these works must know? New alerts are taken for new; that they are is a condition of the commit. */
export function isKnown(world: World, { address, works }: Batch): boolean {
  const { groupId } = address;
  if (!works.every(({ command, known }) => command.type === "create" || known !== undefined)) return false;
  if (groupId === null)
    return works.every(({ known }) => known === undefined) || world.groups.lastLone(mailboxKey(address)) !== null;
  const known = world.groups.get(groupId);
  if (known !== null) return !needsPeers(known.group, works);
  return world.groups.mayBeNew(groupId) && works.every(({ command }) => command.type === "create");
}

/** null: it has to be read. */
export function knownFor(world: World, batch: Batch): Read | null {
  if (!isKnown(world, batch) || !world.groups.mayGuess(mailboxKey(batch.address))) return null;
  const { address, works } = batch;
  const known = address.groupId === null ? null : world.groups.get(address.groupId);
  const instances = new Map<string, Instance>();
  for (const work of works) if (work.known !== undefined) instances.set(work.known.id, work.known);
  return {
    address,
    works,
    readable: works,
    group: known?.group ?? null,
    groupVersion: known?.version ?? 0,
    follows: address.groupId === null ? world.groups.lastLone(mailboxKey(address)) : (known?.seenBy ?? null),
    isRead: false,
    instances,
    quarantined: NOTHING_QUARANTINED,
    waiters: NOBODY.waiters,
    hasMoreWaiters: false,
  };
}

/** B2. */
function needsPeers(group: Group, works: readonly Work[]): boolean {
  return (group.open !== null && group.open.running.length > 0) || needsWaiters(group, works);
}

export async function readFor(world: World, { address, works }: Batch): Promise<Read> {
  const { groupId } = address;
  const { partition } = address;
  const isUnknown = groupId !== null && world.groups.isUnknown(groupId);
  const loaded = await world.store.load({ partition, groupId, instanceIds: idsOf(works) });
  if (isUnknown) world.groups.foundNew(loaded.group === null && loaded.instances.size === 0);
  const group = loaded.group === null || groupId === null ? null : world.groups.decode(groupId, loaded.group);
  if (works.some(({ command }) => command.type === "create" && loaded.instances.has(command.id)))
    world.groups.metDuplicate(mailboxKey(address));
  const known: Known = { instances: new Map(), quarantined: new Map() };
  if (loaded.instances.size > 0) await decodeInto(world, loaded, known);
  const running = group?.open?.running ?? [];
  if (running.length > 0) await readMore(world, address, { ids: running.slice(0, COMMIT_INSTANCE_COUNT_MAX), known });
  const waiting =
    group === null || !needsWaiters(group, works) ? NOBODY : await readWaiters(world, group, { address, works, known });
  const readable =
    known.quarantined.size === 0
      ? works
      : works.filter((work) => !known.quarantined.has(instanceIdOf(work.command) ?? ""));
  return {
    address,
    works,
    readable,
    group,
    groupVersion: loaded.group?.version ?? 0,
    follows: null,
    isRead: true,
    instances: known.instances,
    quarantined: known.quarantined,
    waiters: waiting.waiters,
    hasMoreWaiters: waiting.hasMoreWaiters,
  };
}

function idsOf(works: readonly Work[]): string[] {
  const ids = new Set<string>();
  for (const { command } of works) {
    const id = instanceIdOf(command);
    if (id !== null) ids.add(id);
  }
  return [...ids];
}

type Known = { readonly instances: Map<string, Instance>; readonly quarantined: Map<string, BecalmError> };

const NOBODY: Pick<Read, "waiters" | "hasMoreWaiters"> = { waiters: [], hasMoreWaiters: false };

/** Whatever is not a creation may settle their peer. And only waiters that can be read keep a group open past its end. */
function needsWaiters({ open, waiters }: Group, works: readonly Work[]): boolean {
  if (waiters === 0) return false;
  if (works.some((work) => work.command.type !== "create")) return true;
  return (
    open !== null &&
    open.inProgress === 0 &&
    works.some((work) => work.command.type === "create" && work.command.atMs > open.endsAtMs)
  );
}

/** The first waiters: pages of them, until one holds somebody who can be read. Those that cannot be read stay, and would hide who stands behind them. */
async function readWaiters(
  world: World,
  group: Group,
  { address, works, known }: { address: Address; works: readonly Work[]; known: Known },
): Promise<Pick<Read, "waiters" | "hasMoreWaiters">> {
  const limit = Math.max(COMMIT_INSTANCE_COUNT_MAX - works.length, 1);
  const page = { groupId: group.id, partition: address.partition, set: "waiters", limit } as const;
  const waiters: string[] = [];
  for (;;) {
    const ids = await world.store.members({ ...page, offset: waiters.length });
    await readMore(world, address, { ids, known });
    waiters.push(...ids);
    const isLast = ids.length < limit;
    if (isLast || ids.some((id) => known.instances.has(id))) return { waiters, hasMoreWaiters: !isLast };
  }
}

async function readMore(
  world: World,
  address: Address,
  { ids, known }: { ids: readonly string[]; known: Known },
): Promise<void> {
  const missing = ids.filter((id) => !known.instances.has(id) && !known.quarantined.has(id));
  if (missing.length === 0) return;
  await decodeInto(
    world,
    await world.store.load({ partition: address.partition, groupId: null, instanceIds: missing }),
    known,
  );
}

async function decodeInto(world: World, loaded: LoadResult, into: Known): Promise<void> {
  for (const stored of loaded.instances.values()) {
    const read = await tryInstance(world, stored);
    if (read instanceof BecalmError) into.quarantined.set(stored.id, read);
    else into.instances.set(stored.id, read);
  }
}

export function instanceIdOf(command: Command): string | null {
  return command.type === "summarise" || command.type === "wake" ? null : command.id;
}

/**
 * Groups that are not what their instances make them. For `audit verify`.
 *
 * Instances are read one after the other while engines write, so what does not fit at first is only a suspicion. It is
 * read again, and counts if nothing has moved meanwhile: a commit that moves an instance into or out of what its group
 * counts changes the version of both.
 */
import type { Group } from "../convergence/group.ts";
import { tryGroup } from "../convergence/group-codec.ts";
import { groupFault, groupMemberOf, isBystander } from "../instance/group-fault.ts";
import { groupTimers } from "../instance/timer-changes.ts";
import { timerLane } from "../instance/timer-lane.ts";
import { BecalmError } from "../model/errors.ts";
import { grouped } from "../model/grouped.ts";
import { partitionOf } from "../model/ids.ts";
import { tryInstance } from "../runtime/commit/read-instance.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { MemberSet } from "../stores/store.ts";
import { timeText } from "./loose-ends.ts";
import { type SeenGroup, SeenGroups } from "./seen-groups.ts";

export type GroupFault = { readonly group: string; readonly what: string };

const LOOKED_AT_ONCE = 32;
const PAGE_COUNT = 1_000;
const LOOKED_COUNT_MAX = 3;

/** `seen`: all instances, as they were read one after the other. */
export async function groupFaults({ runtime }: InstanceReader, seen: SeenGroups): Promise<GroupFault[]> {
  const ids = seen.clear();
  const suspects: string[] = [];
  for (let start = 0; start < ids.length; start += LOOKED_AT_ONCE) {
    const some = ids.slice(start, start + LOOKED_AT_ONCE);
    const looks = await Promise.all(some.map((id) => look(runtime, id, seen.of(id))));
    suspects.push(...some.filter((_, index) => looks[index]?.what != null));
  }
  const faults: GroupFault[] = [];
  for (const [partition, some] of grouped(suspects, (id) => partitionOf(id, runtime.partitions)))
    faults.push(...(await lookAgain(runtime, partition, some)));
  return faults;
}

/** Reads all instances of the partition, again and again while one of these groups moves. */
async function lookAgain(runtime: Runtime, partition: number, ids: readonly string[]): Promise<GroupFault[]> {
  const faults: GroupFault[] = [];
  let left = ids;
  for (let looked = 1; looked <= LOOKED_COUNT_MAX && left.length > 0; looked += 1) {
    const before = await Promise.all(left.map((id) => versionOf(runtime, id)));
    const seen = await seenIn(runtime, partition);
    const moved: string[] = [];
    for (const [index, id] of left.entries()) {
      const found = seen.isClear(id) ? await look(runtime, id, seen.of(id)) : null;
      if (found === null || found.what === null) continue;
      const isStill = found.version === before[index] && (await staysAs(runtime, { id, ...found }, seen.of(id)));
      if (isStill) faults.push({ group: id, what: found.what });
      else moved.push(id);
    }
    left = moved;
  }
  return faults;
}

async function seenIn(runtime: Runtime, partition: number): Promise<SeenGroups> {
  const seen = new SeenGroups(runtime.partitions);
  const all = { partition, createdUntilMs: Number.MAX_SAFE_INTEGER, limit: PAGE_COUNT };
  let page = await runtime.store.oldest(all);
  while (page.length > 0) {
    const instanceIds = page.map(({ id }) => id);
    const { instances } = await runtime.store.load({ partition, groupId: null, instanceIds, births: true });
    for (const stored of instances.values()) {
      const read = await tryInstance(runtime, stored);
      if (read instanceof BecalmError) seen.doubt(stored.id, null, stored.birth);
      else seen.add(read);
    }
    const after = page.at(-1);
    page = after === undefined ? [] : await runtime.store.oldest({ ...all, after });
  }
  return seen;
}

type Look = { readonly version: number; readonly what: string | null };

/** A group beside its instances; null: one that it names cannot be read. */
async function look(runtime: Runtime, id: string, { members: seen, isCut }: SeenGroup): Promise<Look | null> {
  const { store, mode } = runtime;
  const [waiters, held] = [await idsIn(runtime, id, "waiters"), await idsIn(runtime, id, "held")];
  // Those that have come since the others were read, and those that no list names.
  const strangers = [...waiters, ...held].filter((one) => !seen.has(one));
  const { group: stored, instances } = await store.load({ ...addressOf(runtime, id), instanceIds: strangers });
  const version = stored?.version ?? 0;
  const members = new Map(seen);
  for (const one of instances.values()) {
    const read = await tryInstance(runtime, one);
    if (read instanceof BecalmError) return null;
    if (read.groupId === id) members.set(read.id, groupMemberOf(read));
  }
  const group = stored === null ? null : tryGroup(id, stored.value);
  if (group instanceof BecalmError) return { version, what: "cannot be read: its alerts are refused" };
  const isWhole = mode !== "live" && !isCut;
  const shortestWindowMs = shortestWindow(runtime, group);
  const what = groupFault({ group, members, waiters, held, isWhole, shortestWindowMs });
  return { version, what: what ?? (await timerFault(runtime, id, group)) };
}

/** Does it, and does each instance that it counts, have the version that was looked at? */
async function staysAs(runtime: Runtime, { id, version }: Look & { readonly id: string }, { members }: SeenGroup) {
  const counted = [...members.values()].filter((one) => !isBystander(one));
  const now = await runtime.store.load({ ...addressOf(runtime, id), instanceIds: counted.map((one) => one.id) });
  return (
    (now.group?.version ?? 0) === version && counted.every((one) => now.instances.get(one.id)?.version === one.version)
  );
}

async function versionOf(runtime: Runtime, id: string): Promise<number> {
  const { group } = await runtime.store.load({ ...addressOf(runtime, id), instanceIds: [] });
  return group?.version ?? 0;
}

function addressOf({ partitions }: Runtime, groupId: string) {
  return { partition: partitionOf(groupId, partitions), groupId };
}

async function idsIn(runtime: Runtime, groupId: string, set: MemberSet): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const request = { ...addressOf(runtime, groupId), set, limit: PAGE_COUNT, offset: ids.length };
    const page = await runtime.store.members(request);
    ids.push(...page);
    if (page.length < PAGE_COUNT) return ids;
  }
}

/** Of the rules that the group's policy has had. */
function shortestWindow({ versions }: Runtime, group: Group | null): number {
  const windows = [...versions.values()].flatMap(({ policy: { name, converge } }) =>
    name === group?.policy && converge !== null ? converge.windowMs : [],
  );
  return windows.length === 0 ? 0 : Math.min(...windows);
}

/** A summary, or a look at those that wait, for which no timer is armed. */
async function timerFault(runtime: Runtime, owner: string, group: Group | null): Promise<string | null> {
  const timers = groupTimers(group);
  if (timers.length === 0) return null;
  const { partition } = addressOf(runtime, owner);
  const keys = timers.map(({ name, timer: { arm } }) => ({ lane: timerLane(name), owner, name, arm, partition }));
  const dueAtMs = await runtime.store.dueTimes(keys);
  const missing = timers.find(({ timer }, index) => dueAtMs[index] !== timer.dueAtMs);
  if (missing === undefined) return null;
  const { name, timer } = missing;
  return `waits for its timer "${name}" of ${timeText(timer.dueAtMs)}, which the store does not have at that time`;
}

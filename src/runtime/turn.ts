/**
 * The main path: one batch of commands for one mailbox -> ONE read -> `decide` -> ONE commit. Whoever wants to know what Becalm does
 * with an alert reads this file and core/decide.ts.
 *
 * T1 nothing that a decision says is acted upon before its commit has been applied.
 * T2 a conflict throws the decision away: the state is read and decided again.
 * T3 what cannot be read is not written: quarantined instances keep their events and timers waiting.
 */
import type { Instance } from "../core/checkpoint.ts";
import { type Command, type CommandResult, type Decision, decide } from "../core/decide.ts";
import { encodeEffect } from "../core/effect.ts";
import { BecalmError } from "../core/errors.ts";
import { type Group, idleAtMs } from "../core/group.ts";
import { decodeGroup, encodeGroup } from "../core/group-codec.ts";
import { COMMIT_INSTANCE_COUNT_MAX } from "../core/limits.ts";
import { timerChanges } from "../core/timer-changes.ts";
import type { Commit, CommitOutcome, LoadResult, TimerKey, TimerRow } from "../ports/store.ts";
import { type Address, withRetries } from "./conflicts.ts";
import { type LockAnswer, takeDimensionLock } from "./dimension-lock.ts";
import { tryInstance } from "./read-instance.ts";
import type { World } from "./world.ts";

/** A command on its way through a mailbox, with what is done with as soon as it is committed. */
export type Work = {
  readonly command: Command;
  /** The effect whose result this is: it leaves the outbox in the same commit. */
  readonly settles?: string;
  /** The timer that fired. */
  readonly fired?: TimerKey;
};

/** `quarantined`: the instance's checkpoint cannot be read; nothing was written, the command waits. */
export type WorkResult =
  | CommandResult
  | { readonly outcome: "quarantined"; readonly instance: null; readonly error: BecalmError };

/** Groups are kept this long after they could be forgotten: late results and re-sent alerts still find them. */
const GROUP_KEPT_MS = 7 * 24 * 3_600_000;

/** Takes a batch through the main path. Results stand in the order of the work. `turn`: only in virtual time (core/effect.ts). */
export async function takeTurn(
  world: World,
  address: Address,
  { batch, turn = 0 }: { readonly batch: readonly Work[]; readonly turn?: number },
): Promise<WorkResult[]> {
  return withRetries(world, address, async () => {
    const read = await readFor(world, address, batch);
    const readable =
      read.quarantined.size === 0
        ? batch
        : batch.filter((work) => !read.quarantined.has(instanceIdOf(work.command) ?? ""));
    const lock = await takeDimensionLock(world, read, readable);
    const decision = decide({
      ...address,
      group: read.group,
      instances: read.instances,
      waiters: read.waiters,
      hasMoreWaiters: read.hasMoreWaiters,
      quarantined: new Set(read.quarantined.keys()),
      policies: world.versions,
      commands: readable.map((work) => parkedIf(lock, work.command)),
      isVirtual: world.mode === "virtual",
      turn,
    });
    const results = inOrder(batch, readable, { decision, quarantined: read.quarantined });
    const isSettling = readable.some((work) => work.settles !== undefined || work.fired !== undefined);
    if (decision.isEmpty && !isSettling) {
      await lock.release();
      return { outcome: "applied", results };
    }
    const outcome = await committed(world, commitOf(world, address, { decision, readable, read }), lock);
    if (outcome === "applied" || outcome === "duplicate") world.committed(decision);
    return { outcome, results };
  });
}

async function committed(world: World, commit: Commit, lock: LockAnswer): Promise<CommitOutcome> {
  try {
    return await world.store.commit(commit);
  } finally {
    await lock.release();
  }
}

/** New instances of a forming group that meet a busy lock stay Idle until then; others are decided. */
function parkedIf(lock: LockAnswer, command: Command): Command {
  if (lock.busyUntilMs === null || (command.type !== "create" && command.type !== "unpark")) return command;
  return { ...command, lockBusyUntilMs: lock.busyUntilMs };
}

export type Read = {
  readonly partition: number;
  readonly groupId: string | null;
  readonly group: Group | null;
  readonly groupVersion: number;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly waiters: readonly string[];
  readonly hasMoreWaiters: boolean;
  readonly quarantined: ReadonlyMap<string, BecalmError>;
};

async function readFor(world: World, address: Address, batch: readonly Work[]): Promise<Read> {
  const ids = [...new Set(batch.flatMap((work) => instanceIdOf(work.command) ?? []))];
  const loaded = await world.store.load({ ...address, instanceIds: ids });
  const group = loaded.group === null ? null : decodeGroup(address.groupId ?? "", loaded.group.value);
  const instances = new Map<string, Instance>();
  const quarantined = new Map<string, BecalmError>();
  await decodeInto(world, loaded, { instances, quarantined });
  const known = { instances, quarantined };
  await readMore(world, address, { ids: (group?.open?.running ?? []).slice(0, COMMIT_INSTANCE_COUNT_MAX), known });
  const waiting =
    group === null || !needsWaiters(group, batch) ? NOBODY : await readWaiters(world, group, { address, batch, known });
  return { ...address, group, groupVersion: loaded.group?.version ?? 0, ...known, ...waiting };
}

type Known = { readonly instances: Map<string, Instance>; readonly quarantined: Map<string, BecalmError> };

const NOBODY: Pick<Read, "waiters" | "hasMoreWaiters"> = { waiters: [], hasMoreWaiters: false };

/** Whatever is not a creation may settle their peer. And only waiters that can be read keep a group open past its end. */
function needsWaiters({ open, waiters }: Group, batch: readonly Work[]): boolean {
  if (waiters === 0) return false;
  if (batch.some((work) => work.command.type !== "create")) return true;
  return (
    open !== null &&
    open.inProgress === 0 &&
    batch.some((work) => work.command.type === "create" && work.command.atMs > open.endsAtMs)
  );
}

/** The first waiters. */
async function readWaiters(
  world: World,
  group: Group,
  { address, batch, known }: { address: Address; batch: readonly Work[]; known: Known },
): Promise<Pick<Read, "waiters" | "hasMoreWaiters">> {
  const limit = Math.max(COMMIT_INSTANCE_COUNT_MAX - batch.length, 1);
  const waiters = await world.store.members({ groupId: group.id, partition: address.partition, set: "waiters", limit });
  await readMore(world, address, { ids: waiters, known });
  return { waiters, hasMoreWaiters: waiters.length === limit };
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

function instanceIdOf(command: Command): string | null {
  return command.type === "summarise" || command.type === "wake" ? null : command.id;
}

function inOrder(
  batch: readonly Work[],
  readable: readonly Work[],
  { decision, quarantined }: { decision: Decision; quarantined: ReadonlyMap<string, BecalmError> },
): WorkResult[] {
  if (quarantined.size === 0) return [...decision.results];
  const results = new Map(readable.map((work, index) => [work, decision.results[index] as CommandResult]));
  return batch.map((work) => {
    const error = quarantined.get(instanceIdOf(work.command) ?? "");
    return error === undefined
      ? (results.get(work) as CommandResult)
      : { outcome: "quarantined", instance: null, error };
  });
}

/** The one commit of a decision. */
function commitOf(
  world: World,
  address: Address,
  { decision, readable, read }: { decision: Decision; readable: readonly Work[]; read: Read },
): Commit {
  const timers = timersOf(address, decision);
  return {
    commitId: world.commitId(),
    partition: address.partition,
    owner: world.owner,
    group: groupWrite(world, decision, read),
    instances: decision.instances.map(({ instance, before, value, lines }) => ({
      id: instance.id,
      expectedVersion: before?.version ?? 0,
      value,
      createdAtMs: instance.createdAtMs,
      historyLines: lines,
    })),
    effects: decision.effects.map((effect) => ({
      id: effect.id,
      partition: address.partition,
      value: encodeEffect(effect),
    })),
    effectLeaseMs: world.effectLeaseMs(),
    settledEffectIds: readable.flatMap((work) => work.settles ?? []),
    timersArmed: timers.armed,
    timersCancelled: [...timers.cancelled, ...readable.flatMap((work) => work.fired ?? [])],
    membersAdded: decision.memberChanges.flatMap(({ set, instanceId, order }) =>
      order === null ? [] : [{ set, instanceId, order }],
    ),
    membersRemoved: decision.memberChanges.flatMap(({ set, instanceId, order }) =>
      order === null ? [{ set, instanceId }] : [],
    ),
  };
}

function groupWrite(world: World, { group, isEmpty }: Decision, read: Read): Commit["group"] {
  if (group === null || isEmpty) return null;
  const idle =
    world.mode === "virtual"
      ? null
      : idleAtMs(group, group.forming.length === 0 ? 0 : widestWindowMs(world, group.policy));
  const ttlMs = idle === null ? null : Math.max(idle - group.lastAtMs, 0) + GROUP_KEPT_MS;
  return { id: group.id, expectedVersion: read.groupVersion, value: encodeGroup(group), ttlMs };
}

/** An older version of the rule may still decide here, for an instance that was parked under it. */
function widestWindowMs(world: World, policyName: string): number {
  let widestMs = 0;
  for (const { policy } of world.versions.values()) {
    if (policy.name === policyName) widestMs = Math.max(widestMs, policy.converge?.windowMs ?? 0);
  }
  return widestMs;
}

function timersOf(address: Address, decision: Decision): { armed: TimerRow[]; cancelled: TimerKey[] } {
  const armed: TimerRow[] = [];
  const cancelled: TimerKey[] = [];
  const key = (owner: string, name: string, arm: number): TimerKey => ({
    lane: name === "approval" ? "approval" : "work",
    owner,
    name,
    arm,
    partition: address.partition,
  });
  for (const changed of decision.instances) {
    const changes = timerChanges(changed);
    for (const [name, timer] of changes.armed)
      armed.push({ ...key(changed.instance.id, name, timer.arm), dueAtMs: timer.dueAtMs });
    for (const [name, timer] of changes.cancelled) cancelled.push(key(changed.instance.id, name, timer.arm));
  }
  const groupId = decision.group?.id ?? "";
  for (const { name, timer } of decision.groupTimersArmed)
    armed.push({ ...key(groupId, name, timer.arm), dueAtMs: timer.dueAtMs });
  for (const { name, timer } of decision.groupTimersCancelled) cancelled.push(key(groupId, name, timer.arm));
  return { armed, cancelled };
}

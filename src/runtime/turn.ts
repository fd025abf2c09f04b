/**
 * The main path: one batch of commands of one mailbox -> ONE read -> `decide` -> ONE commit. Whoever wants to know what Becalm does
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
import { encodeGroup } from "../core/group-codec.ts";
import { COMMIT_INSTANCE_COUNT_MAX } from "../core/limits.ts";
import { timerChanges } from "../core/timer-changes.ts";
import type { Commit, CommitOutcome, LoadResult, MemberSet, TimerKey, TimerRow } from "../ports/store.ts";
import { type Address, withRetries } from "./conflicts.ts";
import { type LockAnswer, takeDimensionLock, UNLOCKED } from "./dimension-lock.ts";
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

/** What one mailbox sends on a turn. */
export type Batch = { readonly address: Address; readonly works: readonly Work[] };

/** How a batch came out. Results stand in the order of its works; they are true only when it was applied. */
export type Taken = { readonly outcome: CommitOutcome; readonly results: readonly WorkResult[] };

/** Why a batch could not be tried at all: a store that is away, a group that cannot be read. Nothing of it was written. */
export class TurnFailure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/** Takes a batch through the main path, again when others won. `lost`: how it came out when it was tried with others. */
export async function takeTurn(
  world: World,
  batch: Batch,
  { turn = 0, lost = null }: { turn?: number; lost?: Taken | null } = {},
): Promise<readonly WorkResult[]> {
  let first = lost;
  return withRetries(world, batch.address, async () => {
    const [taken] = first === null ? await tryTurns(world, [batch], turn) : [first];
    first = null;
    if (taken instanceof TurnFailure) throw taken.error;
    return taken as Taken;
  });
}

/**
 * Tries batches of different mailboxes beside each other: what each phase asks of the store travels together, and the batches of one
 * partition in one command. Each comes out for itself. `turn`: only in virtual time (core/effect.ts).
 */
export async function tryTurns(world: World, batches: readonly Batch[], turn = 0): Promise<(Taken | TurnFailure)[]> {
  const reads = await Promise.all(batches.map((batch) => readFor(world, batch).catch(failed)));
  const locks = await lockAll(world, reads);
  const decided = reads.map((read, index) =>
    read instanceof TurnFailure ? read : decideOn(world, read, { lock: locks[index] as LockAnswer, turn }),
  );
  const outcomes = await Promise.all(decided.map((one) => committed(world, one)));
  const taken = decided.map((one, index) =>
    one instanceof TurnFailure ? one : concluded(world, one, outcomes[index] as CommitOutcome | TurnFailure),
  );
  await Promise.all(locks.flatMap((lock) => (lock === UNLOCKED ? [] : lock.release())));
  return taken;
}

/** Tells of a commit (T1). */
function concluded(
  world: World,
  { decision, results, commit }: Decided,
  outcome: CommitOutcome | TurnFailure,
): Taken | TurnFailure {
  if (outcome instanceof TurnFailure) return outcome;
  try {
    if (commit !== null && (outcome === "applied" || outcome === "duplicate")) {
      if (decision.group !== null && commit.group?.value != null)
        world.groups.learn(commit.group.value, decision.group);
      world.committed(decision);
    }
    return { outcome, results };
  } catch (error) {
    return failed(error);
  }
}

function failed(error: unknown): TurnFailure {
  return new TurnFailure(error);
}

/** Most turns need no lock, and then nothing is waited for. */
async function lockAll(world: World, reads: readonly (Read | TurnFailure)[]): Promise<LockAnswer[]> {
  const asked = reads.map((read) => (read instanceof TurnFailure ? null : takeDimensionLock(world, read)));
  if (asked.every((answer) => answer === null)) return asked.map(() => UNLOCKED);
  return Promise.all(asked.map(async (answer) => answer ?? UNLOCKED));
}

type Decided = {
  readonly decision: Decision;
  readonly results: readonly WorkResult[];
  /** null: nothing changed, there is nothing to commit. */
  readonly commit: Commit | null;
};

function decideOn(world: World, read: Read, { lock, turn }: { lock: LockAnswer; turn: number }): Decided | TurnFailure {
  try {
    const decision = decide({
      ...read.address,
      group: read.group,
      instances: read.instances,
      waiters: read.waiters,
      hasMoreWaiters: read.hasMoreWaiters,
      quarantined: read.quarantined,
      policies: world.versions,
      commands: read.readable.map((work) => parkedIf(lock, work.command)),
      isVirtual: world.mode === "virtual",
      turn,
    });
    const isSettling = read.readable.some((work) => work.settles !== undefined || work.fired !== undefined);
    const commit = decision.isEmpty && !isSettling ? null : commitOf(world, decision, read);
    return { decision, results: inOrder(read, decision), commit };
  } catch (error) {
    return failed(error);
  }
}

/** Never rejects: the batches beside it go on. */
async function committed(world: World, one: Decided | TurnFailure): Promise<CommitOutcome | TurnFailure> {
  if (one instanceof TurnFailure) return one;
  try {
    return one.commit === null ? "applied" : await world.store.commit(one.commit);
  } catch (error) {
    return failed(error);
  }
}

/** New instances of a forming group that meet a busy lock stay Idle until then; others are decided. */
function parkedIf(lock: LockAnswer, command: Command): Command {
  if (lock.busyUntilMs === null || (command.type !== "create" && command.type !== "unpark")) return command;
  return { ...command, lockBusyUntilMs: lock.busyUntilMs };
}

/** A batch with what was read for it. */
export type Read = Batch & {
  /** Works whose instance can be read. */
  readonly readable: readonly Work[];
  readonly group: Group | null;
  readonly groupVersion: number;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly waiters: readonly string[];
  readonly hasMoreWaiters: boolean;
  readonly quarantined: ReadonlyMap<string, BecalmError>;
};

async function readFor(world: World, { address, works }: Batch): Promise<Read> {
  const loaded = await world.store.load({ ...address, instanceIds: idsOf(works) });
  const group = loaded.group === null ? null : world.groups.decode(address.groupId ?? "", loaded.group.value);
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
  return { address, works, readable, group, groupVersion: loaded.group?.version ?? 0, ...known, ...waiting };
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

/** The first waiters. */
async function readWaiters(
  world: World,
  group: Group,
  { address, works, known }: { address: Address; works: readonly Work[]; known: Known },
): Promise<Pick<Read, "waiters" | "hasMoreWaiters">> {
  const limit = Math.max(COMMIT_INSTANCE_COUNT_MAX - works.length, 1);
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

function inOrder({ works, readable, quarantined }: Read, decision: Decision): readonly WorkResult[] {
  if (quarantined.size === 0) return decision.results;
  const results = new Map(readable.map((work, index) => [work, decision.results[index] as CommandResult]));
  return works.map((work) => {
    const error = quarantined.get(instanceIdOf(work.command) ?? "");
    return error === undefined
      ? (results.get(work) as CommandResult)
      : { outcome: "quarantined", instance: null, error };
  });
}

/** The one commit of a decision. */
function commitOf(world: World, decision: Decision, read: Read): Commit {
  const { address, readable } = read;
  const timers = timersOf(read, decision);
  return {
    commitId: world.commitId(),
    partition: address.partition,
    owner: world.owner,
    group: groupWrite(world, decision, read),
    instances: decision.instances.map(({ instance, before, body, lines }) => ({
      id: instance.id,
      expectedVersion: before?.version ?? 0,
      head: instance.head,
      body,
      createdAtMs: instance.createdAtMs,
      historyLines: lines,
    })),
    effects: decision.effects.map((effect) => ({
      id: effect.id,
      partition: address.partition,
      value: encodeEffect(effect),
    })),
    effectLeaseMs: world.effectLeaseMs(),
    settledEffectIds: settledBy(readable),
    timersArmed: timers.armed,
    timersCancelled: timers.cancelled,
    ...memberWrites(decision),
  };
}

function settledBy(works: readonly Work[]): string[] {
  const ids: string[] = [];
  for (const { settles } of works) if (settles !== undefined) ids.push(settles);
  return ids;
}

function memberWrites({ memberChanges }: Decision): Pick<Commit, "membersAdded" | "membersRemoved"> {
  const membersAdded: { set: MemberSet; instanceId: string; order: number }[] = [];
  const membersRemoved: { set: MemberSet; instanceId: string }[] = [];
  for (const { set, instanceId, order } of memberChanges) {
    if (order === null) membersRemoved.push({ set, instanceId });
    else membersAdded.push({ set, instanceId, order });
  }
  return { membersAdded, membersRemoved };
}

function groupWrite(world: World, { group, isEmpty, isGroupChanged }: Decision, read: Read): Commit["group"] {
  if (group === null || isEmpty) return null;
  if (!isGroupChanged) return { id: group.id, expectedVersion: read.groupVersion, value: null, ttlMs: null };
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

/** The timers that the decision arms and cancels; those that fired are gone with it. */
function timersOf({ address, readable }: Read, decision: Decision): { armed: TimerRow[]; cancelled: TimerKey[] } {
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
  for (const { fired } of readable) if (fired !== undefined) cancelled.push(fired);
  return { armed, cancelled };
}

/**
 * The main path: one batch of commands of one mailbox -> ONE read -> `decide` -> ONE commit. Whoever wants to know what Becalm does
 * with an alert reads this file and instance/decide.ts.
 *
 * T1 nothing that a decision says is acted upon before its commit has been applied.
 * T2 a conflict throws the decision away: the state is read and decided again.
 * T3 what cannot be read is not written: quarantined instances keep their events and timers waiting.
 * T4 a batch may start from what the one before it has left or will leave; its commit then follows that one's, and is refused without it.
 */
import { type Command, type CommandResult, type Decision, decide } from "../../instance/decide.ts";
import type { BecalmError } from "../../model/errors.ts";
import type { Commit, CommitOutcome } from "../../stores/store.ts";
import type { World } from "../world.ts";
import { commitOf } from "./batch-commit.ts";
import { type Batch, instanceIdOf, knownFor, type Read, readFor } from "./batch-read.ts";
import { type Address, mailboxKey, withRetries } from "./conflicts.ts";
import { type LockAnswer, takeDimensionLock, UNLOCKED } from "./dimension-lock.ts";

/** `quarantined`: the instance's checkpoint cannot be read; nothing was written, the command waits. */
export type WorkResult =
  | CommandResult
  | { readonly outcome: "quarantined"; readonly instance: null; readonly error: BecalmError };

/** How a batch came out. Results stand in the order of its works; they are true only when it was applied. */
export type Taken = {
  readonly outcome: CommitOutcome;
  readonly results: readonly WorkResult[];
  /** False: it started from what was known. That it lost may mean only that somebody had written since. */
  readonly isRead: boolean;
};

/** Why a batch could not be tried at all: a store that is away, a group that cannot be read. Nothing of it was written. */
export class TurnFailure {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/**
 * Takes a batch through the main path, again when others won. `lost`: how it came out when it was tried with others; a batch that was
 * not read for that has lost nothing yet.
 */
export async function takeTurn(
  world: World,
  batch: Batch,
  { turn = 0, lost = null }: { turn?: number; lost?: Taken | null } = {},
): Promise<readonly WorkResult[]> {
  let first = lost?.isRead === true ? lost : null;
  return withRetries(world, batch.address, async () => {
    const [taken] = first === null ? await (await beginTurns(world, [batch], { turn, mustRead: true })).taken : [first];
    first = null;
    if (taken instanceof TurnFailure) throw taken.error;
    return taken as Taken;
  });
}

/** Turns whose commits are on their way. `taken` never rejects: each batch comes out for itself, in the order of the batches. */
export type TurnsUnderway = { readonly taken: Promise<(Taken | TurnFailure)[]> };

/**
 * Begins the turns of batches of different mailboxes beside each other: what each phase asks of the store travels together, and the batches of
 * one partition in one command. Resolves when the commits are on their way: from then on a group is known as they will leave it, so its next
 * batch may begin (T4). `turn`: only in virtual time (instance/effect.ts).
 */
export async function beginTurns(
  world: World,
  batches: readonly Batch[],
  { turn = 0, mustRead = false }: { turn?: number; mustRead?: boolean } = {},
): Promise<TurnsUnderway> {
  const known = batches.map((batch) => (mustRead ? null : knownFor(world, batch)));
  const reads = known.includes(null)
    ? await Promise.all(batches.map(async (batch, index) => known[index] ?? readFor(world, batch).catch(failed)))
    : (known as Read[]);
  const asked = reads.map((read) => (read instanceof TurnFailure ? null : takeDimensionLock(world, read)));
  const locks = asked.every((answer) => answer === null)
    ? NO_LOCKS
    : await Promise.all(asked.map(async (answer) => answer ?? UNLOCKED));
  const decided = reads.map((read, index) =>
    read instanceof TurnFailure ? read : decideOn(world, read, { lock: locks[index] ?? UNLOCKED, turn }),
  );
  const outcomes = decided.map((one) => committed(world, one));
  return { taken: conclude(world, { decided, outcomes, locks }) };
}

const NO_LOCKS: readonly LockAnswer[] = [];

async function conclude(
  world: World,
  {
    decided,
    outcomes,
    locks,
  }: {
    decided: readonly (Decided | TurnFailure)[];
    outcomes: readonly Promise<CommitOutcome | TurnFailure>[];
    locks: readonly LockAnswer[];
  },
): Promise<(Taken | TurnFailure)[]> {
  const known = await Promise.all(outcomes);
  const taken = decided.map((one, index) =>
    one instanceof TurnFailure ? one : concluded(world, one, known[index] as CommitOutcome | TurnFailure),
  );
  if (locks.length > 0) await Promise.all(locks.flatMap((lock) => (lock === UNLOCKED ? [] : lock.release())));
  return taken;
}

/** Tells of a commit (T1). */
function concluded(
  world: World,
  { read, decision, results, commit }: Decided,
  outcome: CommitOutcome | TurnFailure,
): Taken | TurnFailure {
  const isApplied = outcome === "applied" || outcome === "duplicate";
  if (commit !== null && !isApplied) world.groups.forget(mailboxKey(read.address));
  if (outcome instanceof TurnFailure) return outcome;
  if (!isApplied && !read.isRead) hasGuessedWrong(world, read);
  try {
    if (commit !== null && isApplied) world.committed(decision);
    return { outcome, results, isRead: read.isRead };
  } catch (error) {
    return failed(error);
  }
}

function hasGuessedWrong({ groups }: World, { address, group }: Read): void {
  groups.hasLost(mailboxKey(address));
  if (address.groupId !== null && group === null) groups.foundNew(false);
}

function failed(error: unknown): TurnFailure {
  return new TurnFailure(error);
}

type Decided = {
  readonly read: Read;
  readonly decision: Decision;
  readonly results: readonly WorkResult[];
  /** null: nothing changed, there is nothing to commit. */
  readonly commit: Commit | null;
};

function decideOn(world: World, read: Read, { lock, turn }: { lock: LockAnswer; turn: number }): Decided | TurnFailure {
  try {
    const { partition, groupId } = read.address;
    const decision = decide({
      partition,
      groupId,
      group: read.group,
      instances: read.instances,
      waiters: read.waiters,
      hasMoreWaiters: read.hasMoreWaiters,
      quarantined: read.quarantined,
      policies: world.versions,
      commands: read.readable.map((work) => parkedIf(lock, work.command)),
      isVirtual: world.mode !== "live",
      turn,
    });
    const isSettling = read.readable.some((work) => work.settles !== undefined || work.fired !== undefined);
    const commit = decision.isEmpty && !isSettling ? null : commitOf(world, decision, read);
    if (commit !== null) expectGroup(world, decision, { commit, address: read.address });
    return { read, decision, results: inOrder(read, decision), commit };
  } catch (error) {
    return failed(error);
  }
}

/** What the group will be once the commit is applied: its next batch may start from that. */
function expectGroup(
  world: World,
  { group }: Decision,
  { commit, address }: { commit: Commit; address: Address },
): void {
  if (address.groupId === null) world.groups.loneCommitted(mailboxKey(address), commit.commitId);
  if (group === null || commit.group === null) return;
  const { id, expectedVersion } = commit.group;
  if (commit.group.kind === "check") world.groups.compared(id, expectedVersion, commit.commitId);
  else
    world.groups.learn({
      version: expectedVersion + 1,
      value: commit.group.value,
      group,
      seenBy: commit.commitId,
    });
}

/** Never rejects: the batches beside it go on. */
async function committed(world: World, one: Decided | TurnFailure): Promise<CommitOutcome | TurnFailure> {
  if (one instanceof TurnFailure) return one;
  try {
    if (one.commit !== null) return await world.store.commit(one.commit);
    // Nothing compared what was only known: that it changes nothing must be seen on what is stored.
    return one.read.isRead ? "applied" : "conflict";
  } catch (error) {
    return failed(error);
  }
}

/** New instances of a forming group that meet a busy lock stay Idle until then; others are decided. */
function parkedIf(lock: LockAnswer, command: Command): Command {
  if (lock.busyUntilMs === null || (command.type !== "create" && command.type !== "unpark")) return command;
  return { ...command, lockBusyUntilMs: lock.busyUntilMs };
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

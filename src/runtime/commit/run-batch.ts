/**
 * The main path: one batch of commands of one mailbox -> ONE read -> `decide` -> ONE commit. Whoever wants to know what
 * Becalm does with an alert reads this file and instance/decide.ts. Many batches run beside each other; a store joins
 * what they ask of it.
 *
 * R1 nothing that a decision says is acted upon before its commit has been applied.
 * R2 a conflict throws the decision away: the state is read and decided again (retry.ts).
 * R3 what cannot be read is not written: quarantined instances keep their events and timers waiting.
 */
import { type Command, type CommandResult, type Decision, decide } from "../../instance/decide.ts";
import type { Word } from "../../instance/receive.ts";
import { BecalmError } from "../../model/errors.ts";
import { type Commit, type CommitOutcome, RAISED_FORMAT } from "../../stores/store.ts";
import type { BatchRuntime } from "../runtime.ts";
import { type BrakeRead, countAttempts, hasBrakes, NO_BRAKES, readBrakes } from "../stops/brakes.ts";
import type { Batch, BatchResult, EnvelopeResult } from "./batch.ts";
import { commitOf, consumedBy } from "./batch-commit.ts";
import { type LockAnswer, lockDimension, needsLock } from "./dimension-lock.ts";
import type { BatchRead, Snapshot } from "./group-source.ts";

export type BatchOptions = {
  /** Of its line among those of the same time: only in virtual time (instance/effect.ts). */
  readonly ordinal?: number;
  /** Called when the decision is made and its commit about to be sent: the next batch of the mailbox may begin. */
  readonly onDecided?: () => void;
};

/** Takes a batch through the main path once. Rejects when it could not be tried; nothing of it was written then. */
export async function runBatch(
  runtime: BatchRuntime,
  batch: Batch,
  { ordinal = 0, onDecided }: BatchOptions = {},
): Promise<BatchResult> {
  const isBraked = hasBrakes(runtime.inForce);
  // What a brake counts is counted before the commit: a guess that is lost would have counted attempts that nobody
  // begins.
  const guessed = isBraked ? null : runtime.groups.guess(batch);
  const read = guessed ?? (await runtime.groups.read(batch, runtime.mode === "live" ? null : ordinal));
  const lock = needsLock(runtime, read.snapshot) ? await lockDimension(runtime, read.snapshot) : null;
  try {
    const brakes = isBraked ? await readBrakes(runtime, latestOf(read.snapshot)) : NO_BRAKES;
    const { decision, commit } = decideBatch(runtime, read, { lock, ordinal, brakes });
    onDecided?.();
    // Attempts that a brake counts are counted before they begin.
    const isCounted = !isBraked || (await countAttempts(runtime, brakes, decision));
    const outcome = isCounted ? await committed(runtime, read, commit) : "conflict";
    if (isApplied(outcome)) {
      publish(runtime, decision, commit);
      if (isBraked) await runtime.followBrakes(decision);
    } else runtime.groups.lost(read, { isRefused: true });
    const isStale = !isApplied(outcome) && read.precondition.isGuess;
    return { outcome: isStale ? "stale" : outcome, results: resultsOf(read.snapshot, decision) };
  } catch (error) {
    runtime.groups.lost(read, { isRefused: false });
    throw error;
  } finally {
    // Not waited for: the next acquisition travels behind it.
    if (lock !== null) void lock.release();
  }
}

export function isApplied(outcome: BatchResult["outcome"]): boolean {
  return outcome === "applied" || outcome === "duplicate";
}

/** `commit` null: nothing changed, there is nothing to commit. */
function decideBatch(
  runtime: BatchRuntime,
  read: BatchRead,
  { lock, ordinal, brakes }: { lock: LockAnswer | null; ordinal: number; brakes: BrakeRead },
): { readonly decision: Decision; readonly commit: Commit | null } {
  const { snapshot } = read;
  const busyUntilMs = lock?.busyUntilMs ?? null;
  const { batch, received, group, instances, waiters, hasMoreWaiters, quarantined, tallies } = snapshot;
  const commands =
    runtime.format.acting >= RAISED_FORMAT
      ? received.commands
      : received.commands.map((command) => asEarlierVersionsTell(command));
  const decision = decide({
    partition: batch.address.partition,
    groupId: batch.address.groupId,
    group,
    instances,
    waiters,
    hasMoreWaiters,
    quarantined,
    policies: runtime.versions,
    commands: busyUntilMs === null ? commands : commands.map((command) => parked(command, busyUntilMs)),
    isVirtual: runtime.mode !== "live",
    turn: ordinal,
    pauses: runtime.stops.of(batch.address.partition).pauses,
    brakes: brakes.brakes,
    isObserving: runtime.isObserving,
    tallies,
    isCountingInGroup: runtime.format.acting < RAISED_FORMAT,
    process: runtime.process?.id,
  });
  const isConsuming = consumedBy(snapshot).length > 0;
  const commit = decision.isEmpty && !isConsuming ? null : commitOf(runtime, decision, read);
  if (commit !== null) runtime.groups.committing(decision, commit, batch);
  return { decision, commit };
}

/** `commit` null: there is nothing to commit. */
function committed(runtime: BatchRuntime, read: BatchRead, commit: Commit | null): Promise<CommitOutcome> {
  return commit === null ? renew(runtime, read) : runtime.store.commit(commit);
}

/** The time of a batch's last command. */
function latestOf({ received }: Snapshot): number {
  return Math.max(
    0,
    ...received.commands.map((command) => (command.type === "event" ? command.event.atMs : command.atMs)),
  );
}

/** New instances of a forming group that meet a busy lock stay Idle until then; others are decided. */
function parked(command: Command, busyUntilMs: number): Command {
  if (command.type !== "create" && command.type !== "unpark") return command;
  return { ...command, lockBusyUntilMs: busyUntilMs };
}

/**
 * Engines of the version before know one way in which an alert ends; while they may be there, the others are told as
 * that.
 */
function asEarlierVersionsTell(command: Command): Command {
  if (command.type !== "event" || command.event.type !== "alert.resolved") return command;
  const { type, atMs } = command.event;
  return { ...command, event: { type, atMs } };
}

/**
 * Nothing is decided; at most episodes go on. No commit confirms a guess: that it changes nothing must be seen on what
 * is stored.
 */
async function renew(runtime: BatchRuntime, { snapshot, precondition }: BatchRead): Promise<CommitOutcome> {
  if (precondition.isGuess) return "conflict";
  const { records } = snapshot.received;
  if (records.length === 0) return "applied";
  return runtime.store.renewEpisodes({ partition: snapshot.batch.address.partition, writes: records });
}

/** R1. */
function publish({ onCommit }: BatchRuntime, decision: Decision, commit: Commit | null): void {
  if (commit !== null) for (const listener of onCommit) listener(decision, commit);
}

function resultsOf(snapshot: Snapshot, { results }: Decision): readonly EnvelopeResult[] {
  return snapshot.received.words.map((word) =>
    resultOf(word, word.command === null ? null : (results[word.command] as CommandResult), snapshot),
  );
}

/** `decided`: of the word's command; null: nothing of it was decided. */
function resultOf(
  { kind, id, sinceMs }: Word,
  decided: CommandResult | null,
  { instances, quarantined }: Snapshot,
): EnvelopeResult {
  const instance = instances.get(id ?? "") ?? null;
  switch (kind) {
    case "goes_on":
    case "lease_goes_on":
      return { outcome: "duplicate", instance, id, sinceMs: sinceMs ?? undefined };
    case "late":
      return { outcome: "late_word", instance: null, id };
    case "nothing_open":
    case "elsewhere":
      return { outcome: kind, instance: null, id };
    case "taken":
      return { outcome: "quarantined", instance: null, id, error: fingerprintTaken(id ?? "") };
    case "quarantined":
      return { outcome: kind, instance: null, id, error: quarantined.get(id ?? "") as BecalmError };
    case "ends":
      return { ...(decided ?? { outcome: "refused", instance }), id };
    case "decided":
    case "begins":
      return decided as CommandResult;
  }
}

/**
 * A refusal, not a second instance: fingerprints and ids are what everybody outside knows alerts by, and two would
 * share one.
 */
function fingerprintTaken(id: string): BecalmError {
  return new BecalmError(
    "BECALM_FINGERPRINT_TAKEN",
    `The alert has the same 64-bit fingerprint as that of instance ${id}, and other labels: they cannot be told apart. It was not taken. Change a label of one of them.`,
    { details: { instance: id } },
  );
}

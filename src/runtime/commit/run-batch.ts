/**
 * The main path: one batch of commands of one mailbox -> ONE read -> `decide` -> ONE commit. Whoever wants to know what Becalm does
 * with an alert reads this file and instance/decide.ts. Many batches run beside each other; a store joins what they ask of it.
 *
 * R1 nothing that a decision says is acted upon before its commit has been applied.
 * R2 a conflict throws the decision away: the state is read and decided again (retry.ts).
 * R3 what cannot be read is not written: quarantined instances keep their events and timers waiting.
 */
import { type Command, type CommandResult, type Decision, decide } from "../../instance/decide.ts";
import type { Commit } from "../../stores/store.ts";
import type { BatchRuntime } from "../runtime.ts";
import { type Batch, type BatchResult, type EnvelopeResult, instanceIdOf } from "./batch.ts";
import { commitOf } from "./batch-commit.ts";
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
  const read = await runtime.groups.read(batch);
  const lock = needsLock(runtime, read.snapshot) ? await lockDimension(runtime, read.snapshot) : null;
  try {
    const { decision, commit } = decideBatch(runtime, read, { lock, ordinal });
    onDecided?.();
    // No commit confirms a guess that changes nothing: it must be seen on what is stored.
    const unwritten = read.precondition.isGuess ? "conflict" : "applied";
    const outcome = commit === null ? unwritten : await runtime.store.commit(commit);
    if (isApplied(outcome)) publish(runtime, decision, commit);
    else runtime.groups.lost(read, { isRefused: true });
    const isStale = !isApplied(outcome) && read.precondition.isGuess;
    return { outcome: isStale ? "stale" : outcome, results: resultsOf(read.snapshot, decision) };
  } catch (error) {
    runtime.groups.lost(read, { isRefused: false });
    throw error;
  } finally {
    if (lock !== null) await lock.release();
  }
}

export function isApplied(outcome: BatchResult["outcome"]): boolean {
  return outcome === "applied" || outcome === "duplicate";
}

/** `commit` null: nothing changed, there is nothing to commit. */
function decideBatch(
  runtime: BatchRuntime,
  read: BatchRead,
  { lock, ordinal }: { lock: LockAnswer | null; ordinal: number },
): { readonly decision: Decision; readonly commit: Commit | null } {
  const { batch, readable, group, instances, waiters, hasMoreWaiters, quarantined } = read.snapshot;
  const decision = decide({
    partition: batch.address.partition,
    groupId: batch.address.groupId,
    group,
    instances,
    waiters,
    hasMoreWaiters,
    quarantined,
    policies: runtime.versions,
    commands: readable.map(({ command }) => parkedIf(lock, command)),
    isVirtual: runtime.mode !== "live",
    turn: ordinal,
  });
  const isConsuming = readable.some(({ consumes }) => consumes.kind !== "nothing");
  const commit = decision.isEmpty && !isConsuming ? null : commitOf(runtime, decision, read);
  if (commit !== null) runtime.groups.committing(decision, commit, batch);
  return { decision, commit };
}

/** New instances of a forming group that meet a busy lock stay Idle until then; others are decided. */
function parkedIf(lock: LockAnswer | null, command: Command): Command {
  if (lock === null || lock.busyUntilMs === null) return command;
  if (command.type !== "create" && command.type !== "unpark") return command;
  return { ...command, lockBusyUntilMs: lock.busyUntilMs };
}

/** R1. */
function publish({ onCommit }: BatchRuntime, decision: Decision, commit: Commit | null): void {
  if (commit !== null) for (const listener of onCommit) listener(decision);
}

function resultsOf({ batch, readable, quarantined }: Snapshot, { results }: Decision): readonly EnvelopeResult[] {
  if (quarantined.size === 0) return results;
  const byEnvelope = new Map(readable.map((envelope, index) => [envelope, results[index] as CommandResult]));
  return batch.envelopes.map((envelope) => {
    const error = quarantined.get(instanceIdOf(envelope.command) ?? "");
    if (error !== undefined) return { outcome: "quarantined", instance: null, error };
    return byEnvelope.get(envelope) as CommandResult;
  });
}

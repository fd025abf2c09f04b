/**
 * Replay: an instance's history, stepped through the machine again. Every step must lead to the checkpoint whose hash the history holds.
 * Pure but for whom `inspect` tells: a history holds all that it needs.
 */

import { commitsOf } from "../inspect/history-commits.ts";
import { type Inspect, inspectTarget } from "../inspect/inspect-target.ts";
import type { AuditEntry, History } from "../instance/audit-types.ts";
import { encodeBody, type Instance } from "../instance/checkpoint.ts";
import { Draft } from "../instance/draft.ts";
import { plainOutcomes } from "../instance/outcome.ts";
import type { Snapshot } from "../instance/step.ts";
import { sha256 } from "../model/digest.ts";
import { BecalmError } from "../model/errors.ts";
import { compilePolicy } from "../policy/policy-versions.ts";

export type ReplayedStep = {
  readonly entry: AuditEntry;
  readonly snapshot: Snapshot;
  /** sha256 of the checkpoint that the replay led to, base64url. */
  readonly checkpoint: string;
  readonly isEqual: boolean;
};

export type Replay = {
  readonly instance: string;
  readonly steps: readonly ReplayedStep[];
  /** The first step whose checkpoint differs, or null: the history is what the machine does. */
  readonly divergence: ReplayedStep | null;
};

export type ReplayOptions = {
  /** Sees every step as if it happened now: a server of `createInspectServer`, or an inspection observer of XState. What it throws is thrown on. */
  readonly inspect?: Inspect;
};

/**
 * Re-executes a history.
 * @throws BECALM_HISTORY_BROKEN when the machine refuses an event that the history says it took.
 */
export function replay(history: History, { inspect }: ReplayOptions = {}): Replay {
  const draft = new Draft({ group: null, partition: 0, stored: new Map(), turn: 0, outcomes: plainOutcomes });
  let instance = draft.create(history.birth, { id: history.instance, policy: compilePolicy(history.policy) });
  const steps = history.entries.map((entry): ReplayedStep => {
    instance = again(draft, instance, entry);
    const checkpoint = sha256(encodeBody(instance), "base64url");
    return { entry, snapshot: instance.snapshot, checkpoint, isEqual: checkpoint === entry.checkpoint };
  });
  if (inspect !== undefined) inspectTarget(inspect, rethrow).replayed(commitsOf(history, steps));
  return { instance: history.instance, steps, divergence: steps.find((step) => !step.isEqual) ?? null };
}

/** The instance as it was after so many entries of its history. */
export function instanceAfter(history: History, count: number): Instance {
  const draft = new Draft({ group: null, partition: 0, stored: new Map(), turn: 0, outcomes: plainOutcomes });
  const born = draft.create(history.birth, { id: history.instance, policy: compilePolicy(history.policy) });
  return history.entries.slice(0, count).reduce((instance, entry) => again(draft, instance, entry), born);
}

function rethrow(error: unknown): never {
  throw error;
}

function again(draft: Draft, instance: Instance, entry: AuditEntry): Instance {
  const { event } = entry;
  if (event.type === "lock.busy") return draft.park(instance, { dueAtMs: event.dueAtMs, arm: event.arm }, event.atMs);
  const applied = draft.apply(instance, event, { epoch: entry.epoch });
  if (applied !== null) return applied;
  throw new BecalmError(
    "BECALM_HISTORY_BROKEN",
    `Entry ${entry.version} of ${instance.id} says that it took ${event.type}, but in ${instance.snapshot.state} the machine refuses it. Run \`becalm audit verify\`.`,
    { details: { id: instance.id, version: entry.version } },
  );
}

/**
 * Replay: an instance's history, stepped through the machine again. Every step must lead to the checkpoint whose hash
 * the history holds. Pure but for whom `inspect` tells: a history holds all that it needs.
 */

import { commitsOf } from "../inspect/history-commits.ts";
import { type Inspect, inspectTarget } from "../inspect/inspect-target.ts";
import { type AuditEntry, type EntryBody, type History, isMachineEvent } from "../instance/audit-types.ts";
import { encodeBody, type Instance } from "../instance/checkpoint.ts";
import { Draft, newborn } from "../instance/draft.ts";
import { notedOutcome, plainOutcomes, steppedInstance } from "../instance/outcome.ts";
import type { Snapshot } from "../instance/step.ts";
import { stepOnce } from "../instance/step-memo.ts";
import { sha256 } from "../model/digest.ts";
import { BecalmError } from "../model/errors.ts";
import type { Policy } from "../policy/policy.ts";
import { type CompiledPolicy, compilePolicy } from "../policy/policy-versions.ts";

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
  /**
   * Sees every step as if it happened now: a server of `createInspectServer`, or an inspection observer of XState. What
   * it throws is thrown on.
   */
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
export function instanceAfter(history: Trail, count: number): Instance {
  const draft = new Draft({ group: null, partition: 0, stored: new Map(), turn: 0, outcomes: plainOutcomes });
  const born = draft.create(history.birth, { id: history.instance, policy: compilePolicy(history.policy) });
  return history.entries.slice(0, count).reduce((instance, entry) => again(draft, instance, entry), born);
}

/**
 * A history, as far as it takes to step it again. `ledTo`: the body of the stored checkpoint, if the last entry is
 * known to hold its hash, which then need not be computed twice.
 */
export type Trail = Pick<History, "instance" | "birth" | "policy"> & {
  readonly entries: readonly EntryBody[];
  readonly ledTo?: string | undefined;
};

/**
 * Replays many histories, each up to its first step that differs. Equal steps are taken through the machine once
 * (instance/step-memo.ts), and nothing is written that only a commit needs; test/simulate/replayer.test.ts shows that
 * it finds what `replay` finds.
 */
export class Replayer {
  readonly #compiled = new Map<Policy, CompiledPolicy>();

  /**
   * The first entry that leads to another checkpoint than it says; null: none.
   * @throws BECALM_HISTORY_BROKEN when the machine refuses an event that the history says it took.
   */
  divergence({ instance: id, birth, policy, entries, ledTo }: Trail): EntryBody | null {
    const last = entries.at(-1);
    const compiled = this.#compiled.get(policy) ?? compilePolicy(policy);
    this.#compiled.set(policy, compiled);
    let instance = newborn(birth, { id, policy: compiled, head: "" });
    for (const entry of entries) {
      const { event, epoch, version } = entry;
      const next = isMachineEvent(event)
        ? steppedInstance(instance, event, { epoch, version, take: stepOnce })?.next
        : notedOutcome(instance, event, { version }).next;
      if (next === undefined) throw refused(instance, entry);
      const body = encodeBody(next);
      const isKnown = entry === last && body === ledTo;
      if (!isKnown && sha256(body, "base64url") !== entry.checkpoint) return entry;
      instance = next;
    }
    return null;
  }
}

function rethrow(error: unknown): never {
  throw error;
}

function again(draft: Draft, instance: Instance, entry: EntryBody): Instance {
  const { event } = entry;
  if (!isMachineEvent(event)) return draft.note(instance, event);
  const applied = draft.apply(instance, event, { epoch: entry.epoch });
  if (applied !== null) return applied;
  throw refused(instance, entry);
}

function refused({ id, snapshot }: Instance, { version, event }: EntryBody): BecalmError {
  return new BecalmError(
    "BECALM_HISTORY_BROKEN",
    `Entry ${version} of ${id} says that it took ${event.type}, but in ${snapshot.state} the machine refuses it. Run \`becalm audit verify\`.`,
    { details: { id, version } },
  );
}

/** What one step makes of an instance, before it is written: next state, audit entry, and both as text. */

import { sha256 } from "../model/digest.ts";
import type { ArmedTimer, InstanceContext, InstanceEvent, ReconsiderEvent } from "../model/instance-types.ts";
import type { EntryBody, StoredEvent } from "./audit-types.ts";
import { encodeBody, type Instance } from "./checkpoint.ts";
import { type Explanation, explain } from "./explain.ts";
import { encodeEntry } from "./history-lines.ts";
import { type Step, type StepEffect, step } from "./step.ts";
import { stepOnce } from "./step-memo.ts";

export type Outcome = {
  /** `id` and `head` are those of the instance that was stepped first; whoever writes it puts the right ones. */
  readonly next: Instance;
  /** The checkpoint's body. It names neither the id nor the head, so equal decisions have equal bodies. */
  readonly body: string;
  readonly entry: EntryBody;
  /** The entry as text. */
  readonly json: string;
  readonly effects: readonly StepEffect[];
  /** Skipped by its convergence function: what a summary counts. */
  readonly isConverged: boolean;
};

/** Steps an instance through the machine. null: its state has no edge for the event. */
function outcomeOf(
  instance: Instance,
  event: InstanceEvent,
  { epoch, version, isPlain }: { epoch: number | null; version: number; isPlain: boolean },
): Outcome | null {
  const taken = isPlain ? step(instance.snapshot, event) : stepOnce(instance.snapshot, event);
  if (!taken.accepted) return null;
  const explanation = explain(instance, event, taken);
  const isAnew = event.type === "reconsider" && taken.path.includes("Idle");
  const next: Instance = {
    ...instance,
    ...(isAnew ? placedAnew(event, epoch) : placed(instance, event, epoch)),
    version,
    atMs: event.atMs,
    snapshot: taken.snapshot,
    verdict: explanation.verdict ?? instance.verdict,
    reason: explanation.lasting ? explanation.reason : instance.reason,
    parked: null,
    succeededAtMs: succeededAtMs(instance, event, taken),
  };
  return written(next, event, { path: taken.path, explanation, epoch, effects: taken.effects });
}

type Place = Pick<Instance, "epoch" | "isOpener" | "decidedAtMs">;

/** Where a step leaves an instance among its peers. */
function placed(
  { epoch: before, isOpener, decidedAtMs, parked }: Instance,
  event: InstanceEvent,
  epoch: number | null,
): Place {
  const isStart = event.type === "start";
  return {
    epoch: epoch ?? before,
    isOpener: isOpener || (isStart && event.group?.observation.isNew === true),
    decidedAtMs: parked !== null && isStart ? event.atMs : decidedAtMs,
  };
}

/** It has left the group that it was decided in, and counts as if it came now. */
function placedAnew({ group, atMs }: ReconsiderEvent, epoch: number | null): Place {
  return { epoch, isOpener: group?.observation.isNew === true, decidedAtMs: atMs };
}

/** When the last attempt turned out to be a success: at once, or once the alert had resolved. */
function succeededAtMs(instance: Instance, event: InstanceEvent, { snapshot, effects }: Step & { accepted: true }) {
  if (effects.includes("run")) return null;
  const isOwn = event.type === "effect.done" || event.type === "alert.resolved";
  return isOwn && snapshot.state === "Success" ? event.atMs : instance.succeededAtMs;
}

/** The instance stays undecided in Idle, until its timer fires: others decide for the dimension right now. */
export function parkedOutcome(
  instance: Instance,
  timer: ArmedTimer,
  { version, atMs }: { version: number; atMs: number },
): Outcome {
  const next: Instance = { ...instance, version, atMs, parked: timer, reason: "lock_busy" };
  const explanation: Explanation = { verdict: null, reason: "lock_busy", lasting: true, isConverged: false };
  return written(
    next,
    { type: "lock.busy", atMs, ...timer },
    { path: ["Idle"], explanation, epoch: null, effects: [] },
  );
}

type Meaning = Pick<EntryBody, "path" | "epoch"> & Pick<Outcome, "effects"> & { readonly explanation: Explanation };

function written(next: Instance, event: StoredEvent, { path, explanation, epoch, effects }: Meaning): Outcome {
  const body = encodeBody(next);
  const entry: EntryBody = {
    version: next.version,
    atMs: event.atMs,
    event,
    path,
    verdict: explanation.verdict,
    reason: explanation.reason,
    epoch,
    checkpoint: sha256(body, "base64url"),
  };
  const { isConverged } = explanation;
  return { next, body, entry, json: encodeEntry(entry, next), effects, isConverged };
}

/**
 * Identical decisions are computed once. In a storm the new instances of a group differ only in their alert: the same policy, the same
 * view of the group, the same moment; and so do those whose attempts end in the same moment. What they become is then the same too, id and
 * hashes aside. One slot is enough, for the view is the same object until the group's numbers change (decide.ts). In a storm that
 * converges, nine of ten decisions are such; test/instance/outcome.property.test.ts shows that the plain way gives the same bytes.
 */
export class OutcomeMemo {
  private readonly isPlain: boolean;
  private last: {
    readonly instance: Instance;
    readonly event: InstanceEvent;
    readonly epoch: number | null;
    readonly outcome: Outcome;
  } | null = null;

  constructor(isPlain: boolean) {
    this.isPlain = isPlain;
  }

  /** `version`: of the commit; all its steps of an instance lead to the same. */
  outcomeOf(
    instance: Instance,
    event: InstanceEvent,
    { epoch, version }: { epoch: number | null; version: number },
  ): Outcome | null {
    const { last } = this;
    if (
      last !== null &&
      epoch === last.epoch &&
      version === last.outcome.next.version &&
      isSameEvent(event, last.event) &&
      isSameInstance(instance, last.instance)
    )
      return last.outcome;
    const outcome = outcomeOf(instance, event, { epoch, version, isPlain: this.isPlain });
    if (!this.isPlain && outcome !== null) this.last = { instance, event, epoch, outcome };
    return outcome;
  }
}

/** Starts that see the same, and successes that say nothing. Any other event is taken for one of its own. */
function isSameEvent(a: InstanceEvent, b: InstanceEvent): boolean {
  if (a.atMs !== b.atMs) return false;
  if (a.type === "start" && b.type === "start")
    return (
      a.group === b.group &&
      a.silence === b.silence &&
      a.paused === b.paused &&
      a.arrival === b.arrival &&
      a.approved === undefined &&
      b.approved === undefined
    );
  if (a.type !== "effect.done" || b.type !== "effect.done") return false;
  const isPlain = a.result === undefined && b.result === undefined;
  return isPlain && a.attempt === b.attempt && a.isOpen === b.isOpen && a.observed === b.observed;
}

/** Id and head aside. */
function isSameInstance(a: Instance, b: Instance): boolean {
  return (
    a.kind === b.kind &&
    a.policyVersion === b.policyVersion &&
    a.policy === b.policy &&
    a.groupId === b.groupId &&
    a.epoch === b.epoch &&
    a.isOpener === b.isOpener &&
    a.createdAtMs === b.createdAtMs &&
    a.decidedAtMs === b.decidedAtMs &&
    a.atMs === b.atMs &&
    a.version === b.version &&
    a.verdict === b.verdict &&
    a.reason === b.reason &&
    a.parked === null &&
    b.parked === null &&
    a.succeededAtMs === b.succeededAtMs &&
    a.isObserved === b.isObserved &&
    a.snapshot.state === b.snapshot.state &&
    isSameContext(a.snapshot.context, b.snapshot.context)
  );
}

/** Contexts with timers are never the same: each timer is its own. */
function isSameContext(a: InstanceContext, b: InstanceContext): boolean {
  for (const _ in a.timers) return false;
  for (const _ in b.timers) return false;
  return (
    a.policy === b.policy &&
    a.attempt === b.attempt &&
    a.roundAttempt === b.roundAttempt &&
    a.outcome === b.outcome &&
    a.cause === b.cause &&
    a.closed === b.closed &&
    a.cancelled === b.cancelled &&
    a.waitDueAtMs === b.waitDueAtMs &&
    a.arms === b.arms &&
    a.silenced === b.silenced &&
    a.paused === b.paused &&
    a.grants.length === 0 &&
    b.grants.length === 0 &&
    a.reconsidered === b.reconsidered &&
    a.agains === b.agains
  );
}

/**
 * Identical decisions are computed once. In a storm the new instances of a group differ only in their alert: the same
 * policy, the same view of the group, the same moment; and so do those whose attempts end in the same moment. What they
 * become is then the same too, id and hashes aside. One slot is enough, for the view is the same object until the
 * group's numbers change (decide.ts). In a storm that converges, nine of ten decisions are such;
 * test/instance/outcome.property.test.ts shows that the plain way gives the same bytes.
 *
 * When two decisions are equal is said by tables of every field: a field that is new and is not named does not compile.
 */

import type { InstanceContext, InstanceEvent, StartEvent } from "../model/instance-types.ts";
import { isEmpty } from "../model/is-empty.ts";
import type { Instance } from "./checkpoint.ts";
import { type Outcome, type Outcomes, outcomeOf } from "./outcome.ts";
import type { Snapshot } from "./step.ts";
import { stepOnce } from "./step-memo.ts";

/** Are two values equal in a field? */
type Equality<Value> = (a: Value, b: Value) => boolean;

/** An equality for every field: a field that is new and has none does not compile. */
type Table<Value> = { readonly [Field in keyof Required<Value>]: Equality<Value> | null };

type DoneEvent = Extract<InstanceEvent, { type: "effect.done" }>;

/**
 * The id and the head are put in by whoever writes the outcome; snapshots are compared by CONTEXT. Timers are each its
 * own.
 */
const INSTANCE = equalityBy<Instance>({
  id: null,
  head: null,
  snapshot: null,
  kind: (a, b) => a.kind === b.kind,
  policy: (a, b) => a.policy === b.policy,
  policyVersion: (a, b) => a.policyVersion === b.policyVersion,
  groupId: (a, b) => a.groupId === b.groupId,
  epoch: (a, b) => a.epoch === b.epoch,
  isOpener: (a, b) => a.isOpener === b.isOpener,
  createdAtMs: (a, b) => a.createdAtMs === b.createdAtMs,
  decidedAtMs: (a, b) => a.decidedAtMs === b.decidedAtMs,
  atMs: (a, b) => a.atMs === b.atMs,
  version: (a, b) => a.version === b.version,
  verdict: (a, b) => a.verdict === b.verdict,
  reason: (a, b) => a.reason === b.reason,
  parked: (a, b) => a.parked === null && b.parked === null,
  succeededAtMs: (a, b) => a.succeededAtMs === b.succeededAtMs,
  isObserved: (a, b) => a.isObserved === b.isObserved,
});

const CONTEXT = equalityBy<InstanceContext>({
  policy: (a, b) => a.policy === b.policy,
  attempt: (a, b) => a.attempt === b.attempt,
  roundAttempt: (a, b) => a.roundAttempt === b.roundAttempt,
  outcome: (a, b) => a.outcome === b.outcome,
  cause: (a, b) => a.cause === b.cause,
  closed: (a, b) => a.closed === b.closed,
  cancelled: (a, b) => a.cancelled === b.cancelled,
  waitDueAtMs: (a, b) => a.waitDueAtMs === b.waitDueAtMs,
  timers: (a, b) => isEmpty(a.timers) && isEmpty(b.timers),
  arms: (a, b) => a.arms === b.arms,
  silenced: (a, b) => a.silenced === b.silenced,
  paused: (a, b) => a.paused === b.paused,
  grants: (a, b) => a.grants.length === 0 && b.grants.length === 0,
  reconsidered: (a, b) => a.reconsidered === b.reconsidered,
  agains: (a, b) => a.agains === b.agains,
});

/** Starts that see the same. */
const START = equalityBy<StartEvent>({
  type: null,
  atMs: (a, b) => a.atMs === b.atMs,
  group: (a, b) => a.group === b.group,
  silence: (a, b) => a.silence === b.silence,
  paused: (a, b) => a.paused === b.paused,
  arrival: (a, b) => a.arrival === b.arrival,
  approved: (a, b) => a.approved === undefined && b.approved === undefined,
  by: (a, b) => a.by === undefined && b.by === undefined,
  why: (a, b) => a.why === undefined && b.why === undefined,
});

/** Successes that say nothing. */
const DONE = equalityBy<DoneEvent>({
  type: null,
  atMs: (a, b) => a.atMs === b.atMs,
  attempt: (a, b) => a.attempt === b.attempt,
  result: (a, b) => a.result === undefined && b.result === undefined,
  isOpen: (a, b) => a.isOpen === b.isOpen,
  observed: (a, b) => a.observed === b.observed,
});

/** Outcomes of one batch: equal ones are computed once, and steps that no time goes into once a process. */
export function rememberedOutcomes(): Outcomes {
  let last: { instance: Instance; event: InstanceEvent; epoch: number | null; outcome: Outcome } | null = null;
  return (instance, event, { epoch, version, process }) => {
    if (
      last !== null &&
      epoch === last.epoch &&
      version === last.outcome.next.version &&
      isSameEvent(event, last.event) &&
      INSTANCE(instance, last.instance) &&
      isSameSnapshot(instance.snapshot, last.instance.snapshot)
    )
      return last.outcome;
    const outcome = outcomeOf(instance, event, { epoch, version, process, take: stepOnce });
    if (outcome !== null) last = { instance, event, epoch, outcome };
    return outcome;
  };
}

/** Any other event is taken for one of its own. */
function isSameEvent(a: InstanceEvent, b: InstanceEvent): boolean {
  if (a.type === "start" && b.type === "start") return a === b || START(a, b);
  return a.type === "effect.done" && b.type === "effect.done" && DONE(a, b);
}

/** New instances share one (step.ts). */
function isSameSnapshot(a: Snapshot, b: Snapshot): boolean {
  return a === b ? isEmpty(a.context.timers) : a.state === b.state && CONTEXT(a.context, b.context);
}

function equalityBy<Value>(table: Table<Value>): Equality<Value> {
  const equalities = (Object.values(table) as (Equality<Value> | null)[]).filter((one) => one !== null);
  return (a, b) => {
    for (const isEqual of equalities) if (!isEqual(a, b)) return false;
    return true;
  };
}

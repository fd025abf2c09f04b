/**
 * Identical decisions are computed once. In a storm the new instances of a group differ only in their alert: the same policy, the same
 * view of the group, the same moment; and so do those whose attempts end in the same moment. What they become is then the same too, id and
 * hashes aside. One slot is enough, for the view is the same object until the group's numbers change (decide.ts). In a storm that
 * converges, nine of ten decisions are such; test/instance/outcome.property.test.ts shows that the plain way gives the same bytes.
 *
 * When two decisions are equal is said by tables with a word for every field: a field that is new and has no word does not compile.
 */
import type { InstanceContext, InstanceEvent, StartEvent } from "../model/instance-types.ts";
import type { Instance } from "./checkpoint.ts";
import { type Outcome, type Outcomes, outcomeOf } from "./outcome.ts";
import { stepOnce } from "./step-memo.ts";

/**
 * What makes two values equal. `same`: they are the same; `missing`: neither has the field; `empty`: neither has anything in it, such as
 * timers, for each is its own; `apart`: it says nothing about what the decision is, or is compared by a table of its own.
 */
type Equality = "same" | "missing" | "empty" | "apart";

type Table<Value> = { readonly [Field in keyof Required<Value>]: Equality };

type DoneEvent = Extract<InstanceEvent, { type: "effect.done" }>;

/** The id and the head are put in by whoever writes the outcome. */
const INSTANCE = equalityBy<Instance>({
  id: "apart",
  kind: "same",
  policy: "same",
  policyVersion: "same",
  groupId: "same",
  epoch: "same",
  isOpener: "same",
  createdAtMs: "same",
  decidedAtMs: "same",
  atMs: "same",
  version: "same",
  snapshot: "apart",
  verdict: "same",
  reason: "same",
  parked: "empty",
  succeededAtMs: "same",
  isObserved: "same",
  head: "apart",
});

const CONTEXT = equalityBy<InstanceContext>({
  policy: "same",
  attempt: "same",
  roundAttempt: "same",
  outcome: "same",
  cause: "same",
  closed: "same",
  cancelled: "same",
  waitDueAtMs: "same",
  timers: "empty",
  arms: "same",
  silenced: "same",
  paused: "same",
  grants: "empty",
  reconsidered: "same",
  agains: "same",
});

/** Starts that see the same. */
const START = equalityBy<StartEvent>({
  type: "same",
  atMs: "same",
  group: "same",
  silence: "same",
  paused: "same",
  arrival: "same",
  approved: "missing",
  by: "missing",
  why: "missing",
});

/** Successes that say nothing. */
const DONE = equalityBy<DoneEvent>({
  type: "same",
  atMs: "same",
  attempt: "same",
  result: "missing",
  isOpen: "same",
  observed: "same",
});

/** Outcomes of one batch: equal ones are computed once, and steps that no time goes into once a process. */
export function rememberedOutcomes(): Outcomes {
  let last: { instance: Instance; event: InstanceEvent; epoch: number | null; outcome: Outcome } | null = null;
  return (instance, event, { epoch, version }) => {
    if (
      last !== null &&
      epoch === last.epoch &&
      version === last.outcome.next.version &&
      isSameEvent(event, last.event) &&
      instance.snapshot.state === last.instance.snapshot.state &&
      INSTANCE(instance, last.instance) &&
      CONTEXT(instance.snapshot.context, last.instance.snapshot.context)
    )
      return last.outcome;
    const outcome = outcomeOf(instance, event, { epoch, version, take: stepOnce });
    if (outcome !== null) last = { instance, event, epoch, outcome };
    return outcome;
  };
}

/** Any other event is taken for one of its own. */
function isSameEvent(a: InstanceEvent, b: InstanceEvent): boolean {
  if (a.type === "start" && b.type === "start") return START(a, b);
  return a.type === "effect.done" && b.type === "effect.done" && DONE(a, b);
}

function equalityBy<Value extends object>(table: Table<Value>): (a: Value, b: Value) => boolean {
  const fields = (equality: Equality) =>
    (Object.keys(table) as (keyof Value)[]).filter((field) => table[field] === equality);
  const [same, missing, empty] = [fields("same"), fields("missing"), fields("empty")];
  return (a, b) => {
    for (const field of same) if (a[field] !== b[field]) return false;
    for (const field of missing) if (a[field] !== undefined || b[field] !== undefined) return false;
    for (const field of empty) if (!isEmpty(a[field]) || !isEmpty(b[field])) return false;
    return true;
  };
}

function isEmpty(value: unknown): boolean {
  for (const _ in value as object | null) return false;
  return true;
}

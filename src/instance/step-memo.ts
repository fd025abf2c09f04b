/**
 * Steps that no time goes into are the same for every instance of a policy: each is taken through the machine once.
 * A step through the machine costs 4 to 8 us; in small batches there is one for each alert, and one for each result.
 * test/instance/outcome.property.test.ts shows that the plain way gives the same bytes.
 */

import type { InstanceContext, InstanceEvent, InstancePolicy } from "../model/instance-types.ts";
import { verdictOnStart } from "./explain.ts";
import { type Snapshot, type Step, step } from "./step.ts";

/** Policies have few steps; the bound is for one whose instances have had thousands of attempts. */
const STEP_COUNT_MAX = 1_000;

const TAKEN = new WeakMap<InstancePolicy, Map<string, Step>>();

/** What `step` answers. */
export function stepOnce(snapshot: Snapshot, event: InstanceEvent): Step {
  const seen = seenByGuards(snapshot.context, event);
  if (seen === null || isTimed(snapshot.context)) return step(snapshot, event);
  const { policy } = snapshot.context;
  const key = `${snapshot.state} ${seen} ${contextKey(snapshot.context)}`;
  const steps = TAKEN.get(policy) ?? new Map<string, Step>();
  const known = steps.get(key);
  if (known !== undefined) return known;
  const taken = step(snapshot, event);
  if (!taken.accepted || isTimed(taken.snapshot.context)) return taken;
  if (steps.size >= STEP_COUNT_MAX) steps.clear();
  TAKEN.set(policy, steps.set(key, taken));
  return taken;
}

/** What the machine's guards can tell of an event beside its time; null: it is always taken anew. */
function seenByGuards({ policy, attempt }: InstanceContext, event: InstanceEvent): string | null {
  if (event.type === "effect.done") {
    const isVerified = event.isOpen === true || event.observed === true;
    return event.attempt === attempt && !isVerified ? "done" : null;
  }
  if (event.type !== "start" || event.approved === true || event.silence !== null || event.paused !== undefined)
    return null;
  const { verdict, reason } = verdictOnStart(policy, event);
  return `${verdict} ${reason}`;
}

/** Also what only a silence or a human can have brought about, which is seldom. */
function isTimed({ timers, waitDueAtMs, silenced, paused, grants }: InstanceContext): boolean {
  for (const _ in timers) return true;
  return waitDueAtMs !== null || silenced || paused || grants.length > 0;
}

/**
 * Whether steps are told apart by a field: a field that is new and is not named here does not compile. `rare`: see
 * `isTimed`.
 */
const CONTEXT: Readonly<Record<keyof InstanceContext, "by policy" | "by key" | "rare">> = {
  policy: "by policy",
  attempt: "by key",
  roundAttempt: "by key",
  outcome: "by key",
  cause: "by key",
  closed: "by key",
  cancelled: "by key",
  waitDueAtMs: "rare",
  timers: "rare",
  arms: "by key",
  silenced: "rare",
  paused: "rare",
  grants: "rare",
  reconsidered: "by key",
  agains: "by key",
};

type KeyField = Exclude<keyof InstanceContext, "policy" | "timers" | "grants">;

const KEY_FIELDS = Object.entries(CONTEXT).flatMap(([field, how]) => (how === "by key" ? [field as KeyField] : []));

function contextKey(context: InstanceContext): string {
  let key = "";
  for (const field of KEY_FIELDS) key += `${context[field]} `;
  return key;
}

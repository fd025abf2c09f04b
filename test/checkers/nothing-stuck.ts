/** Whatever is not at rest has a timer or an attempt that will move it, and what moves it is stored. */
import { isAtRest } from "../../src/instance/open-index.ts";
import type { Violation } from "./recording.ts";
import type { Evidence, Trail } from "./trails.ts";

const CHECKER = "nothing stuck";

export function nothingStuck(evidence: Evidence): Violation[] {
  const { timers, effects, trails, promises } = evidence;
  const armed = new Map(timers.map(({ owner, name, arm, dueAtMs }) => [`${owner} ${name} ${arm}`, dueAtMs]));
  const out = new Set(effects.map(({ instanceId, attempt }) => `${instanceId} ${attempt}`));
  return trails.flatMap((trail) => {
    const what = faultOf(trail, { armed, out }) ?? (promises.isAtRest ? restless(trail) : null);
    return what === null ? [] : [{ checker: CHECKER, what: `${trail.stored.id}: ${what}` }];
  });
}

type Movers = { readonly armed: ReadonlyMap<string, number>; readonly out: ReadonlySet<string> };

function faultOf({ stored, steps }: Trail, { armed, out }: Movers): string | null {
  const last = steps.at(-1);
  if (last === undefined) return null;
  const { state, context } = last.snapshot;
  for (const [name, timer] of Object.entries(context.timers)) {
    const dueAtMs = armed.get(`${stored.id} ${name} ${timer.arm}`);
    if (dueAtMs === undefined) return `waits for the timer ${name} ${timer.arm}, which is not armed`;
    if (dueAtMs !== timer.dueAtMs) return `its timer ${name} is armed for another time`;
  }
  if (state === "Processing.running" && !out.has(`${stored.id} ${context.attempt}`))
    return `attempt ${context.attempt} runs, but is in no outbox`;
  return null;
}

function restless({ steps }: Trail): string | null {
  const last = steps.at(-1);
  if (last === undefined) return null;
  const { snapshot, entry } = last;
  const isParked = entry.event.type === "lock.busy";
  if (!isParked && isAtRest({ snapshot, parked: null } as Parameters<typeof isAtRest>[0])) return null;
  return `is still ${snapshot.state} (${entry.reason}), though there was time for all to end`;
}

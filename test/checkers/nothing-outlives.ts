/** No key outlives what it belongs to: no timer that nobody expects, no effect of an attempt that is over, nothing at all once all is forgotten. */
import type { Violation } from "./recording.ts";
import type { Evidence } from "./trails.ts";

const CHECKER = "nothing outlives";
/** Of the record of an alert's episodes, not of the checkpoint. */
const LEASE = "lease";

export function nothingOutlives({ trails, timers, effects, leftovers }: Evidence): Violation[] {
  const last = new Map(trails.map(({ stored, steps }) => [stored.id, steps.at(-1)]));
  const found: Violation[] = [];
  for (const { owner, name, arm } of timers) {
    const step = last.get(owner);
    if (step === undefined || name === LEASE) continue;
    const isParked = name === "lock" && step.entry.event.type === "lock.busy";
    const expected = Object.entries(step.snapshot.context.timers).find(([own]) => own === name)?.[1].arm;
    if (!isParked && expected !== arm)
      found.push({ checker: CHECKER, what: `${owner}: the timer ${name} ${arm} is armed, and nobody expects it` });
  }
  for (const { id, instanceId, attempt } of effects) {
    const snapshot = last.get(instanceId)?.snapshot;
    if (snapshot?.state !== "Processing.running" || snapshot.context.attempt !== attempt)
      found.push({ checker: CHECKER, what: `effect ${id} is in the outbox, and its attempt is over` });
  }
  return [...found, ...(leftovers ?? []).map((what) => ({ checker: CHECKER, what: `${what} is left behind` }))];
}

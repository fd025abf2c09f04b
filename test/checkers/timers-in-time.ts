/**
 * A timer fires neither early nor twice, no later than the run promises, and only as it was armed. One that is due before its engine would have looked
 * again brings that look forward, so it is not late at all.
 */
import type { Violation } from "./recording.ts";
import type { Evidence, Trail } from "./trails.ts";

const CHECKER = "timers in time";

export function timersInTime(evidence: Evidence): Violation[] {
  const { trails, promises } = evidence;
  const { looksForTimers: looks, commitOrder } = evidence;
  return trails.flatMap((trail) => [
    ...faultsOf(trail, promises),
    ...(looks === null ? [] : notBroughtForward(trail, { looks, commitOrder })),
  ]);
}

function faultsOf({ stored, steps }: Trail, { lateMsMax, skewMsMax }: Evidence["promises"]): Violation[] {
  const found: Violation[] = [];
  const fired = new Set<number>();
  for (const [index, { entry }] of steps.entries()) {
    const timer = firedBy(entry.event);
    if (timer === null) continue;
    const what = `${stored.id}: ${timer.name} ${timer.arm}`;
    const armed = index === 0 ? undefined : steps[index - 1]?.snapshot.context.timers[timer.name];
    if (armed === undefined || armed.arm !== timer.arm)
      found.push({ checker: CHECKER, what: `${what} fired and was not armed` });
    else if (entry.atMs < armed.dueAtMs - skewMsMax)
      found.push({ checker: CHECKER, what: `${what} fired ${armed.dueAtMs - entry.atMs} ms early` });
    else if (lateMsMax !== null && entry.atMs > armed.dueAtMs + lateMsMax)
      found.push({ checker: CHECKER, what: `${what} fired ${entry.atMs - armed.dueAtMs} ms late` });
    if (fired.has(timer.arm)) found.push({ checker: CHECKER, what: `${what} fired twice` });
    fired.add(timer.arm);
  }
  return found;
}

type Looked = {
  readonly looks: NonNullable<Evidence["looksForTimers"]>;
  readonly commitOrder: Evidence["commitOrder"];
};

function notBroughtForward({ stored, steps }: Trail, { looks, commitOrder }: Looked): Violation[] {
  return steps.flatMap(({ entry }, index): Violation[] => {
    const timer = firedBy(entry.event);
    const before = steps[index - 1];
    const dueAtMs = timer === null ? undefined : before?.snapshot.context.timers[timer.name]?.dueAtMs;
    if (before === undefined || dueAtMs === undefined || entry.atMs <= dueAtMs) return [];
    const armed = commitOrder?.get(`${stored.id} ${before.entry.version}`) ?? 0;
    const next = looks[firstAfter(looks, armed)];
    if (next !== undefined && next.atMs < dueAtMs) return [];
    const what = `${stored.id}: nobody looked between ${before.entry.atMs} and ${dueAtMs}, when its timer was due`;
    return [{ checker: CHECKER, what }];
  });
}

/** Where the first look after a commit stands. */
function firstAfter(looks: Looked["looks"], order: number): number {
  let low = 0;
  for (let high = looks.length; low < high; ) {
    const middle = (low + high) >> 1;
    if ((looks[middle]?.order ?? 0) <= order) low = middle + 1;
    else high = middle;
  }
  return low;
}

type TimerName = keyof Trail["steps"][number]["snapshot"]["context"]["timers"];

function firedBy(event: Trail["steps"][number]["entry"]["event"]): { name: TimerName; arm: number } | null {
  if (event.type === "timer.elapsed") return { name: event.timer, arm: event.arm };
  if (event.type === "reconsider" && event.cause === "again" && event.arm !== undefined)
    return { name: "reconsider", arm: event.arm };
  return null;
}

/** Each result is accepted once; each delivery of an attempt has the same key; nothing is delivered before its commit, or without one. */
import type { Violation } from "./recording.ts";
import type { Evidence, Trail } from "./trails.ts";

const CHECKER = "accepted once";

export function acceptedOnce(evidence: Evidence): Violation[] {
  return [...evidence.trails.flatMap(acceptedTwice), ...deliveries(evidence)];
}

function acceptedTwice({ stored, steps }: Trail): Violation[] {
  const found: Violation[] = [];
  let last = 0;
  let running = 0;
  for (const { entry, snapshot } of steps) {
    const { event } = entry;
    if (event.type === "effect.done" || event.type === "effect.failed") {
      const what = `${stored.id}: the result of attempt ${event.attempt} was accepted`;
      if (event.attempt <= last) found.push({ checker: CHECKER, what: `${what} after that of ${last}` });
      if (event.attempt !== running) found.push({ checker: CHECKER, what: `${what} while ${running} ran` });
      last = event.attempt;
    }
    running = snapshot.context.attempt;
  }
  return found;
}

function deliveries({ trails, deliveries: delivered, commitOrder, promises }: Evidence): Violation[] {
  const began = new Map<string, number>();
  for (const { stored, steps } of trails) {
    let attempt = 0;
    for (const { entry, snapshot } of steps) {
      for (; attempt < snapshot.context.attempt; attempt += 1)
        began.set(`${stored.id} ${attempt + 1}`, commitOrder?.get(`${stored.id} ${entry.version}`) ?? 0);
    }
  }
  const keys = new Map<string, string>();
  return delivered.flatMap(({ instance, attempt, key, order }): Violation[] => {
    const name = `${instance} ${attempt}`;
    const what = `attempt ${attempt} of ${instance}`;
    const known = keys.get(name);
    const committed = began.get(name);
    keys.set(name, known ?? key);
    if (committed === undefined) return [{ checker: CHECKER, what: `${what} was delivered, but never begun` }];
    if (order !== null && committed > order)
      return [{ checker: CHECKER, what: `${what} was delivered before its commit` }];
    if (known !== undefined && known !== key) return [{ checker: CHECKER, what: `${what} has two keys` }];
    if (known !== undefined && promises.isDeliveredOnce)
      return [{ checker: CHECKER, what: `${what} was delivered twice, and nobody had died` }];
    return [];
  });
}

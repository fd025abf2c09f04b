/** Nobody waits for a peer when no peer is in progress: whoever ends wakes those behind it in the same commit. */
import type { Violation } from "./recording.ts";
import type { Evidence } from "./trails.ts";

export function waitersReleased({ trails, timers }: Evidence): Violation[] {
  const groups = new Map<string, { waiting: string[]; busy: number }>();
  for (const { stored, birth, steps } of trails) {
    const last = steps.at(-1);
    if (birth?.group == null || birth.kind !== "action" || last === undefined) continue;
    const group = groups.get(birth.group) ?? { waiting: [], busy: 0 };
    groups.set(birth.group, group);
    const { state, context } = last.snapshot;
    if (state === "Proceeding") group.waiting.push(stored.id);
    if (state.startsWith("Processing") || state === "Waiting" || context.timers.retry !== undefined) group.busy += 1;
  }
  const waking = new Set(timers.filter(({ name }) => name === "wake").map(({ owner }) => owner));
  return [...groups].flatMap(([id, { waiting, busy }]) => {
    if (waiting.length === 0 || busy > 0 || waking.has(id)) return [];
    return [{ checker: "waiters released", what: `${waiting.join(", ")} of ${id} wait for nobody` }];
  });
}

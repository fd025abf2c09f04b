/** Each opening under a function that summarises has one summary, which is neither sent twice nor forgotten. */
import type { Violation } from "./recording.ts";
import type { Evidence } from "./trails.ts";

const SUMMARISING: ReadonlySet<string> = new Set(["collect", "collect_alarm"]);

export function summariesSent({ trails, timers, promises }: Evidence): Violation[] {
  const made = new Map<string, number>();
  for (const { birth } of trails) {
    if (birth?.notice?.kind !== "summary") continue;
    made.set(birth.notice.opener, (made.get(birth.notice.opener) ?? 0) + 1);
  }
  const due = new Set(timers.filter(({ name }) => name === "summary").map(({ owner }) => owner));
  return trails.flatMap(({ stored, birth, history, steps }): Violation[] => {
    const fn = history?.policy.converge?.function;
    if (birth?.group == null || birth.kind !== "action" || fn === undefined || !SUMMARISING.has(fn)) return [];
    const count = made.get(stored.id) ?? 0;
    // Whoever is decided again may open a group once more.
    const openings = steps.filter(({ entry }) => entry.observation?.isNew === true).length;
    const what = `${count} summaries of ${openings} groups that ${stored.id} opened`;
    if (count > openings) return [{ checker: "summaries sent", what }];
    return count === openings || due.has(birth.group) || !promises.isAtRest
      ? []
      : [{ checker: "summaries sent", what }];
  });
}

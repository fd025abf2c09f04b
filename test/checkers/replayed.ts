/** Each history, stepped through the machine again, leads to each checkpoint whose hash it holds. */
import type { Violation } from "./recording.ts";
import type { Evidence } from "./trails.ts";

export function replayed({ trails }: Evidence): Violation[] {
  return trails.flatMap(({ stored, steps, fault }) => {
    const divergence = steps.find(({ isEqual }) => !isEqual);
    const what = fault ?? (divergence === undefined ? null : `version ${divergence.entry.version} diverges`);
    return what === null ? [] : [{ checker: "replayed", what: `${stored.id}: ${what}` }];
  });
}

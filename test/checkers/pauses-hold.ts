/** While an emergency stop holds nothing begins, but what a person grants or runs by hand. */
import type { Violation } from "./recording.ts";
import { type Evidence, type PlacedStep, stepsInOrder } from "./trails.ts";

export function pausesHold(evidence: Evidence): Violation[] {
  const pauses = evidence.pauses.toSorted((a, b) => a.fromOrder - b.fromOrder);
  if (pauses.length === 0 || evidence.commitOrder === null) return [];
  const found: Violation[] = [];
  let next = 0;
  let untilOrder = 0;
  for (const placed of stepsInOrder(evidence)) {
    for (let pause = pauses[next]; pause !== undefined && pause.fromOrder < placed.place; pause = pauses[next]) {
      untilOrder = Math.max(untilOrder, pause.untilOrder ?? Number.POSITIVE_INFINITY);
      next += 1;
    }
    if (placed.place >= untilOrder || !begins(placed)) continue;
    const { stored } = placed.trail;
    const what = `${stored.id} began an attempt in version ${placed.step.entry.version}, and everything was paused`;
    found.push({ checker: "pauses hold", what });
  }
  return found;
}

function begins({ trail, step }: PlacedStep): boolean {
  const { event, path } = step.entry;
  const isGranted = event.type === "approval.granted" || (event.type === "start" && event.approved === true);
  return (
    trail.birth?.kind === "action" &&
    !isGranted &&
    path.includes("Processing") &&
    step.snapshot.state === "Processing.running"
  );
}

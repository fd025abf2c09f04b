import { expect, test } from "vitest";
import { acceptedEvents, acceptedText } from "../../src/instance/accepted-events.ts";
import { initialSnapshot, type Snapshot, step } from "../../src/instance/step.ts";
import type { InstanceEvent } from "../../src/model/instance-types.ts";
import { policyWith } from "../support/machine-exploration.ts";

const who = { by: "ann", why: "so" };

function after(...events: InstanceEvent[]): Snapshot {
  return events.reduce(
    (snapshot, event) => {
      const taken = step(snapshot, event);
      if (!taken.accepted) throw new Error(`${snapshot.state} refused ${event.type}`);
      return taken.snapshot;
    },
    initialSnapshot(policyWith({})),
  );
}

test.each<[string, InstanceEvent[], string]>([
  ["Idle", [], "start, cancel, alert.resolved"],
  ["Processing.running", [{ type: "start", atMs: 1, group: null, silence: null }], "cancel"],
  [
    "Success",
    [
      { type: "start", atMs: 1, group: null, silence: null },
      { type: "effect.done", atMs: 2, attempt: 1 },
    ],
    "end",
  ],
  ["Skipped", [{ type: "cancel", atMs: 1, ...who }], "start, end"],
  [
    "Idle",
    [
      { type: "cancel", atMs: 1, ...who },
      { type: "end", atMs: 2, ...who },
    ],
    "start, cancel",
  ],
])("what is in %s after %j accepts %s", (state, events, accepted) => {
  const snapshot = after(...events);
  expect([snapshot.state, acceptedText(snapshot, 9)]).toEqual([state, accepted]);
});

test("an approval is accepted before it is due, and not from then on", () => {
  const policy = policyWith({ function: "defense" });
  const held = after();
  const waiting = step(
    { ...held, context: { ...held.context, policy } },
    {
      type: "start",
      atMs: 1,
      silence: null,
      group: {
        observation: {
          isNew: false,
          executed: 3,
          succeeded: 3,
          failed: 0,
          inProgress: 0,
          settledWithoutFailure: 0,
          parentOpen: false,
        },
        count: 1,
        peers: [],
      },
    },
  );
  if (!waiting.accepted) throw new Error("it was not held");
  const asked = step(waiting.snapshot, { type: "approval.requested", atMs: 1 });
  if (!asked.accepted) throw new Error("it was not asked for");
  const dueAtMs = asked.snapshot.context.timers.approval?.dueAtMs as number;
  expect(acceptedEvents(asked.snapshot, dueAtMs - 1)).toContain("approval.granted");
  expect(acceptedEvents(asked.snapshot, dueAtMs)).not.toContain("approval.granted");
});

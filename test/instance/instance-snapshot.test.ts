import { expect, test } from "vitest";
import { createActor } from "xstate";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import type { Instance } from "../../src/instance/checkpoint.ts";
import { toSnapshot } from "../../src/instance/instance-snapshot.ts";
import { initialSnapshot, step } from "../../src/instance/step.ts";
import { policyWith } from "../support/machine-exploration.ts";

test("a snapshot of an instance is one that XState restores, and the actor goes on from it", () => {
  const policy = policyWith({});
  const started = step(initialSnapshot(policy), { type: "start", atMs: 1, group: null, silence: null });
  if (!started.accepted) throw new Error("a new instance starts");
  const instance: Instance = {
    id: "00-000000000000000000000001",
    kind: "action",
    policy: "p",
    policyVersion: "1",
    groupId: null,
    epoch: null,
    isOpener: false,
    createdAtMs: 1,
    decidedAtMs: null,
    atMs: 1,
    version: 1,
    snapshot: started.snapshot,
    verdict: "run",
    reason: "no_rule",
    parked: null,
    succeededAtMs: null,
    isObserved: false,
    head: "h",
  };
  const snapshot = toSnapshot(instance);
  expect(snapshot.state).toBe("Processing");
  const actor = createActor(actionInstanceMachine, { snapshot: snapshot as never, input: { policy } }).start();
  actor.send({ type: "effect.done", atMs: 2, attempt: 1 });
  expect(actor.getSnapshot().value).toBe("Success");
});

import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { type AnyStateMachine, transition } from "xstate";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { decodeHistory, verifyChain } from "../../src/instance/audit.ts";
import { decodeCheckpoint, encodeBody, type Instance, machineVersionOf } from "../../src/instance/checkpoint.ts";
import { initialSnapshot, type Snapshot, stateValue } from "../../src/instance/step.ts";
import type { InstanceContext, InstanceEvent } from "../../src/model/instance-types.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { type CompiledPolicy, compilePolicy, policyKey } from "../../src/policy/policy-versions.ts";
import { replay } from "../../src/simulate/replay.ts";
import { actionInstanceMachine as machineOf1 } from "../data/machine-v1/action-instance.v1.machine.ts";
import { dotted, eventsFor, explorationPolicies, situation } from "../support/machine-exploration.ts";

/** What a program with version 1 of the machine wrote: test/data/machine-v1/README.md. */
type Stored = { readonly id: string; readonly version: number; readonly value: string; readonly lines: string[] };

/** What version 1 knows of; `on_resolved` is told apart by the machine's own tests. */
const POLICIES = explorationPolicies().filter(({ verifyMs, keepOnResolved }) => verifyMs === null && !keepOnResolved);

const policies = new Map<string, CompiledPolicy>();
const stored: Stored[] = [];

beforeAll(() => {
  const text = readFileSync(new URL("../data/machine-v1/instances.jsonl", import.meta.url), "utf8");
  for (const line of text.trim().split("\n")) {
    const row = JSON.parse(line) as { policy: Policy } | Stored;
    if ("policy" in row) policies.set(policyKey(row.policy), compilePolicy(row.policy));
    else stored.push(row);
  }
});

describe("what version 1 wrote", () => {
  test("is every state that it could rest in", () => {
    const states = new Set(stored.map((row) => decodeCheckpoint(row, policies).snapshot.state));
    expect([...states].sort()).toEqual(
      ["Failed", "Idle", "Processing.running", "Proceeding", "Skipped", "Success", "Waiting"].sort(),
    );
  });

  test("is read, and written again byte for byte while nothing of version 2 has happened to it", () => {
    for (const row of stored) {
      const instance = decodeCheckpoint(row, policies);
      expect(`${instance.head} ${encodeBody(instance)}`).toBe(row.value);
    }
  });

  test("knows after its migration whether a silence skipped it, so that it can be decided when that ends", () => {
    const silenced = stored.map((row) => decodeCheckpoint(row, policies)).filter(({ reason }) => reason === "silenced");
    expect(silenced.length).toBeGreaterThan(0);
    for (const { snapshot } of silenced) expect(snapshot.context.silenced).toBe(true);
  });

  test("replays to the checkpoints that its history names, and its chain holds", () => {
    for (const row of stored) {
      const instance = decodeCheckpoint(row, policies);
      const { policy } = policies.get(
        policyKey({ name: instance.policy, version: instance.policyVersion }),
      ) as CompiledPolicy;
      expect(verifyChain(row.lines, instance.head)).toBeNull();
      const { divergence, steps } = replay(decodeHistory(row.id, row.lines, policy));
      expect(divergence, row.id).toBeNull();
      expect(steps.at(-1)?.snapshot).toEqual(instance.snapshot);
    }
  });
});

describe("version 2 takes what version 1 took, to the same end", () => {
  test("every event in every situation, but that a skipped instance can be run anyway", () => {
    const onlyNow = new Set<string>();
    let compared = 0;
    for (const policy of POLICIES) {
      for (const { snapshot, event } of exploreVersion1(initialSnapshot(policy))) {
        compared += 1;
        const [was, is] = [stepBy(machineOf1, snapshot, event), stepBy(actionInstanceMachine, snapshot, event)];
        if (was === null && is !== null) onlyNow.add(`${snapshot.state} ${event.type}`);
        else if (!isDeepStrictEqual(of1(was), of1(is)))
          expect({ snapshot, event, is }).toEqual({ snapshot, event, is: was });
      }
    }
    expect(compared).toBeGreaterThan(10_000);
    expect([...onlyNow]).toEqual(["Skipped start"]);
  });
});

describe("a checkpoint bears the lowest version that means the same", () => {
  const of = (state: Snapshot["state"], context: Partial<InstanceContext>, rest: Partial<Instance> = {}): Instance => {
    const [row] = stored;
    const instance = decodeCheckpoint(row as Stored, policies);
    const snapshot = { state, context: { ...instance.snapshot.context, ...context } };
    return { ...instance, reason: "no_rule", ...rest, snapshot };
  };

  test("what uses anything of version 2 bears version 2, so that a program of the version before leaves it alone", () => {
    const timer = { dueAtMs: 1, arm: 1 };
    const cases: [string, Instance][] = [
      ["verifying", of("Processing.verifying", { timers: { verify: timer } })],
      ["to be decided again", of("Skipped", { timers: { reconsider: timer } })],
      ["decided again", of("Skipped", { reconsidered: 1 })],
      ["held by a pause", of("Waiting", { paused: true }, { reason: "paused" })],
      ["granted by one of two", of("Waiting", { grants: ["ada"] })],
      ["skipped because a lease ran out", of("Skipped", {}, { reason: "lease_over" })],
      ["observed", of("Success", {}, { isObserved: true })],
    ];
    for (const [what, instance] of cases) {
      expect(machineVersionOf(instance), what).toBe(2);
      expect(encodeBody(instance), what).toContain('"action-instance@2/1"');
      const read = decodeCheckpoint({ ...instance, value: `${instance.head} ${encodeBody(instance)}` }, policies);
      expect(read, what).toEqual(instance);
    }
    expect(machineVersionOf(of("Success", {}))).toBe(1);
  });

  test("a version that comes later is left as it is", () => {
    const [row] = stored as [Stored];
    const value = row.value.replace("action-instance@1/1", "action-instance@3/1");
    expect(() => decodeCheckpoint({ ...row, value }, policies)).toThrow(/machine version 3/);
  });
});

/** A step by XState's public function; null: refused. */
function stepBy(machine: AnyStateMachine, snapshot: Snapshot, event: InstanceEvent) {
  const before = machine.resolveState({ value: stateValue(snapshot.state), context: snapshot.context });
  const [next, actions] = transition(machine, before, event);
  const isSame = actions.length === 0 && isDeepStrictEqual([next.value, next.context], [before.value, before.context]);
  if (isSame) return null;
  return {
    state: dotted(next.value) as Snapshot["state"],
    context: next.context,
    actions: actions.map(({ type }) => type),
  };
}

/** What version 1 can tell of a step. `assign` is no action that is executed. */
function of1(taken: ReturnType<typeof stepBy>) {
  if (taken === null) return null;
  const { silenced: _, ...context } = taken.context;
  return { ...taken, context };
}

function* exploreVersion1(first: Snapshot): Generator<{ snapshot: Snapshot; event: InstanceEvent }> {
  const known = new Map([[situation(first), first]]);
  for (const snapshot of known.values()) {
    for (const event of eventsFor(snapshot).filter(isOf1)) {
      yield { snapshot, event };
      const next = stepBy(machineOf1, snapshot, event);
      if (next !== null && !known.has(situation(next))) known.set(situation(next), next);
    }
  }
}

function isOf1(event: InstanceEvent): boolean {
  if (event.type === "reconsider" || event.type === "approval.counted" || "paused" in event) return false;
  if (event.type === "timer.elapsed") return event.timer !== "verify";
  if ("silence" in event && event.silence?.id !== undefined) return false;
  if (event.type === "effect.done") return event.isOpen === undefined && event.observed === undefined;
  return event.type !== "alert.resolved" || event.reason === undefined;
}

import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { getInitialMicrosteps, getMicrosteps, initialTransition, transition } from "xstate";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { initialSnapshot, type Step, step } from "../../src/instance/step.ts";
import type { InstanceEvent } from "../../src/model/instance-types.ts";
import {
  ALL_FUNCTIONS,
  deepFreeze,
  dotted,
  explorationPolicies,
  explore,
  machineSnapshot,
  policyWith,
  retries,
  type Visit,
} from "../support/machine-exploration.ts";

/** Retries, `on_resolved` and what needs no verifying are told apart by the machine's own tests; here one of each function is enough, for the public way is slow. */
const POLICIES = explorationPolicies().filter(({ retry, verifyMs, keepOnResolved }) => {
  return retry.limit === 1 && verifyMs !== null && !keepOnResolved;
});

/** The same step by XState's public, slower functions. */
function publicStep({ snapshot, event }: Visit): Step {
  const before = machineSnapshot(snapshot);
  const [next, actions] = transition(actionInstanceMachine, before, event);
  const microsteps = getMicrosteps(actionInstanceMachine, before, event);
  if (
    isDeepStrictEqual(
      microsteps.map(([{ context, value }]) => [context, value]),
      [[before.context, before.value]],
    )
  ) {
    return { accepted: false };
  }
  const visited = [before.value, ...microsteps.map(([{ value }]) => value)].map((value) => dotted(value).split(".")[0]);
  const path = visited.filter((state, index) => state !== visited[index - 1]);
  const effects = actions.map(({ type }) => type).filter((type) => type === "run" || type === "requestApproval");
  return { accepted: true, snapshot: { state: dotted(next.value), context: next.context }, path, effects } as Step;
}

describe("a step is XState's step", () => {
  test("a new instance is the machine's initial snapshot", () => {
    for (const fn of ALL_FUNCTIONS) {
      const policy = policyWith({ function: fn });
      const [{ value, context }, actions] = initialTransition(actionInstanceMachine, { policy });
      expect(initialSnapshot(policy)).toEqual({ state: value, context });
      expect(actions).toEqual([]);
      expect(getInitialMicrosteps(actionInstanceMachine, { policy })).toHaveLength(1);
    }
  });

  test("value, context, effects and path of every explored step equal those of the public functions", () => {
    let compared = 0;
    for (const policy of POLICIES) {
      // Refused events are most of the visits and all alike: every fourth of them.
      for (const [index, visit] of explore(policy).entries()) {
        const actual = step(visit.snapshot, visit.event);
        if (!actual.accepted && index % 4 !== 0) continue;
        const expected = publicStep(visit);
        if (!isDeepStrictEqual(actual, expected)) expect({ visit, step: actual }).toEqual({ visit, step: expected });
        compared++;
      }
    }
    expect(compared).toBeGreaterThan(3_000);
  });
});

describe("a step is a pure function", () => {
  test("the same input gives the same output, and the input is never written to", () => {
    for (const policy of POLICIES) {
      for (const { snapshot, event } of explore(policy)) {
        deepFreeze(snapshot);
        deepFreeze(event);
        const first = step(snapshot, event);
        if (!isDeepStrictEqual(step(snapshot, event), first)) expect(step(snapshot, event)).toEqual(first);
      }
    }
  });

  test("a step leaves no trace in the next: steps of other instances in between change nothing", () => {
    const policy = policyWith({ function: "approve_when_failed", retry: retries(0) });
    const idle = initialSnapshot(policy);
    const start: InstanceEvent = { type: "start", atMs: 1, group: null, silence: null };
    const alone = step(idle, start);
    step(idle, { type: "cancel", atMs: 1, by: "ada", why: "other" });
    step(idle, { type: "effect.done", atMs: 1, attempt: 7 });
    expect(step(idle, start)).toEqual(alone);
  });

  test("what a step returns survives JSON: the next process goes on from it", () => {
    for (const policy of POLICIES) {
      for (const { snapshot, event } of explore(policy)) {
        const next = step(snapshot, event);
        if (next.accepted && !isDeepStrictEqual(JSON.parse(JSON.stringify(next.snapshot)), next.snapshot)) {
          expect(JSON.parse(JSON.stringify(next.snapshot))).toEqual(next.snapshot);
        }
      }
    }
  });
});

import { beforeAll, describe, expect, test } from "vitest";
import { getShortestPaths } from "xstate/graph";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { initialSnapshot, type Snapshot, type StepEffect, step } from "../../src/instance/step.ts";
import { CONVERGENCE_FUNCTIONS, type ConvergenceFunction } from "../../src/model/convergence-rule.ts";
import { INSTANCE_STATES } from "../../src/model/instance-types.ts";
import {
  ALL_FUNCTIONS,
  dotted,
  type Edge,
  edgesOf,
  eventsFor,
  explorationPolicies,
  explore,
  groupView,
  policyWith,
  retries,
  situation,
  type Visit,
} from "../support/machine-exploration.ts";

type Row = Edge & { readonly under: readonly (ConvergenceFunction | null)[] };

const ANY = ALL_FUNCTIONS;
/** Functions under which an instance can wait for a peer, or be held for a human. */
const WAITS: Row["under"] = ["skip_when_success", "approve_when_failed", "wait_when_proceed"];
const HOLDS: Row["under"] = ["approve_when_failed", "defense"];

/**
 * The machine's table, written by hand: every move, and the convergence functions under which it happens.
 * Processing's two children are told apart; a grant's way through Idle is the raised `start approved`.
 */
const TABLE: readonly Row[] = [
  { from: "Idle", on: "start silenced", to: "Skipped", under: ANY },
  { from: "Idle", on: "start", to: "Defense", under: ["defense"] },
  { from: "Idle", on: "start", to: "Skipped", under: ["skip_when_exceed", "collect", "collect_alarm", "trigger"] },
  { from: "Idle", on: "start", to: "Processing.deciding", under: ANY },
  { from: "Idle", on: "start approved", to: "Processing.running", under: ANY },
  { from: "Idle", on: "alert.resolved", to: "Skipped", under: ANY },
  { from: "Idle", on: "cancel", to: "Skipped", under: ANY },

  { from: "Processing.deciding", on: "always", to: "Success", under: ["skip_when_success", "approve_when_failed"] },
  { from: "Processing.deciding", on: "always", to: "Proceeding", under: [...WAITS, "skip_when_proceed"] },
  { from: "Processing.deciding", on: "always", to: "Failed", under: ["approve_when_failed"] },
  { from: "Processing.deciding", on: "always", to: "Processing.running", under: ANY },
  { from: "Processing.running", on: "effect.done", to: "Success", under: ANY },
  { from: "Processing.running", on: "effect.failed", to: "Failed", under: ANY },
  { from: "Processing.running", on: "cancel", to: "Failed", under: ANY },

  { from: "Proceeding", on: "always", to: "Skipped", under: ["skip_when_proceed"] },
  { from: "Proceeding", on: "peers.settled", to: "Processing.deciding", under: WAITS },
  { from: "Proceeding", on: "timer.elapsed wait", to: "Skipped", under: WAITS },
  { from: "Proceeding", on: "alert.resolved", to: "Skipped", under: WAITS },
  { from: "Proceeding", on: "cancel", to: "Skipped", under: WAITS },

  { from: "Success", on: "always", to: "Skipped", under: ["skip_when_success", "approve_when_failed"] },
  { from: "Success", on: "end", to: "Idle", under: ANY },

  { from: "Failed", on: "always", to: "Waiting", under: ["approve_when_failed"] },
  { from: "Failed", on: "timer.elapsed retry", to: "Processing.running", under: ANY },
  { from: "Failed", on: "cancel", to: "Failed", under: ANY },
  { from: "Failed", on: "end", to: "Idle", under: ANY },

  { from: "Defense", on: "approval.requested", to: "Waiting", under: ["defense"] },
  { from: "Defense", on: "alert.resolved", to: "Skipped", under: ["defense"] },
  { from: "Defense", on: "cancel", to: "Skipped", under: ["defense"] },

  { from: "Waiting", on: "approval.granted", to: "Idle", under: HOLDS },
  { from: "Waiting", on: "approval.denied", to: "Skipped", under: HOLDS },
  { from: "Waiting", on: "timer.elapsed approval", to: "Skipped", under: HOLDS },
  { from: "Waiting", on: "alert.resolved", to: "Skipped", under: HOLDS },
  { from: "Waiting", on: "cancel", to: "Skipped", under: HOLDS },
  { from: "Waiting", on: "end", to: "Idle", under: HOLDS },

  { from: "Skipped", on: "end", to: "Idle", under: ANY },
];

type Move = Visit & {
  readonly after: Snapshot;
  readonly path: readonly string[];
  readonly effects: readonly StepEffect[];
};

/** Every accepted (situation, event) pair of every policy, stepped once. */
const moves: Move[] = [];

beforeAll(() => {
  for (const policy of explorationPolicies()) {
    for (const visit of explore(policy)) {
      const next = step(visit.snapshot, visit.event);
      if (next.accepted) moves.push({ ...visit, after: next.snapshot, path: next.path, effects: next.effects });
    }
  }
});

const keyOf = ({ from, on, to }: Edge): string => `${from} | ${on} | ${to}`;
const wordsOf = (functions: Iterable<ConvergenceFunction | null>): string[] => [...functions].map(String).sort();

describe("the table is the machine", () => {
  test("every row is reachable, under exactly the functions it names, and no other move exists", () => {
    const seen = new Map<string, Set<ConvergenceFunction | null>>();
    for (const move of moves) {
      for (const edge of edgesOf(move)) {
        const functions = seen.get(keyOf(edge)) ?? new Set();
        seen.set(keyOf(edge), functions.add(move.snapshot.context.policy.function));
      }
    }
    const observed = [...seen].map(([key, functions]) => [key, wordsOf(functions)]);
    const expected = TABLE.map((row) => [keyOf(row), wordsOf(row.under)]);
    expect(Object.fromEntries(observed)).toEqual(Object.fromEntries(expected));
  });

  test("there are eight top-level states, and Processing has the two children deciding and running", () => {
    expect(Object.keys(actionInstanceMachine.states)).toEqual([...INSTANCE_STATES]);
    for (const [state, node] of Object.entries(actionInstanceMachine.states)) {
      expect(Object.keys(node.states), state).toEqual(state === "Processing" ? ["deciding", "running"] : []);
    }
    expect(actionInstanceMachine.states.Processing?.config.initial).toBe("deciding");
  });

  test("the shortest way to each state is the one of the chart", () => {
    const policy = policyWith({ function: "approve_when_failed", retry: retries(0) });
    const paths = getShortestPaths(actionInstanceMachine, {
      input: { policy },
      events: (snapshot) => eventsFor({ state: stateOf(snapshot.value), context: snapshot.context }),
      serializeState: (snapshot) => situation({ state: stateOf(snapshot.value), context: snapshot.context }),
    });
    const shortest = new Map<string, string[]>();
    for (const { state, steps } of paths) {
      const name = dotted(state.value);
      const types = steps.map(({ event }) => event.type).slice(1);
      if (types.length < (shortest.get(name)?.length ?? Number.POSITIVE_INFINITY)) shortest.set(name, types);
    }
    expect(Object.fromEntries(shortest)).toEqual({
      Idle: [],
      "Processing.running": ["start"],
      Proceeding: ["start"],
      Skipped: ["start"],
      Waiting: ["start"],
      Success: ["start", "effect.done"],
      Failed: ["start", "cancel"],
    });
  });
});

function stateOf(value: unknown): Snapshot["state"] {
  return dotted(value) as Snapshot["state"];
}

describe("one event ends where it must", () => {
  test("a snapshot never rests in Processing.deciding", () => {
    expect(new Set(moves.map(({ after }) => after.state))).toEqual(
      new Set(["Idle", "Processing.running", "Proceeding", "Success", "Failed", "Defense", "Waiting", "Skipped"]),
    );
  });

  test("an event that has no edge changes nothing and is reported as not accepted", () => {
    const idle = initialSnapshot(policyWith({}));
    expect(step(idle, { type: "effect.done", atMs: 1, attempt: 0 })).toEqual({ accepted: false });
    expect(step(idle, { type: "approval.denied", atMs: 1, by: "ada", why: "no" })).toEqual({ accepted: false });
  });

  test("no state is a dead end: from every situation an Idle that a person can start again is reachable", () => {
    for (const policy of explorationPolicies()) expect(situationsWithoutWayHome(policy)).toEqual([]);
  });

  test("a state at rest accepts end and nothing that a peer, a timer or an alert does", () => {
    const atRest = moves.filter(({ snapshot: { state, context } }) => {
      return (state === "Success" || state === "Skipped" || state === "Failed") && context.timers.retry === undefined;
    });
    expect(new Set(atRest.map(({ event }) => event.type))).toEqual(new Set(["end"]));
  });

  test("timers live exactly as long as the state that armed them", () => {
    for (const { after } of moves) {
      const armed = Object.keys(after.context.timers);
      const allowed = { Proceeding: ["wait"], Waiting: ["approval"], Failed: ["retry"] }[after.state as "Failed"] ?? [];
      expect(armed.length === 0 ? [] : allowed, after.state).toEqual(armed);
      if (after.state === "Proceeding" || after.state === "Waiting") expect(armed).toEqual(allowed);
    }
  });
});

function situationsWithoutWayHome(policy: ReturnType<typeof policyWith>): string[] {
  const before = new Map<string, Set<string>>();
  const home = new Set<string>();
  for (const { snapshot, event } of explore(policy)) {
    const next = step(snapshot, event);
    if (!next.accepted) continue;
    const [from, to] = [situation(snapshot), situation(next.snapshot)];
    before.set(to, (before.get(to) ?? new Set()).add(from));
    for (const key of [from, to]) if (!before.has(key)) before.set(key, new Set());
    if (next.snapshot.state === "Idle" && next.snapshot.context.closed) home.add(to);
  }
  for (const key of home) for (const earlier of before.get(key) ?? []) home.add(earlier);
  return [...before.keys()].filter((key) => !home.has(key));
}

describe("a remediation starts once, and never behind a human's back", () => {
  test("every run has an attempt number of its own: one more than before, and never two in one step", () => {
    for (const { snapshot, after, effects } of moves) {
      const runs = effects.filter((effect) => effect === "run").length;
      expect(after.context.attempt - snapshot.context.attempt).toBe(runs);
      expect(runs).toBeLessThanOrEqual(1);
    }
  });

  test("an attempt is under way exactly when the step that led there emitted run", () => {
    for (const { after, effects } of moves) expect(effects.includes("run")).toBe(after.state === "Processing.running");
  });

  test("an older or future attempt's result changes nothing", () => {
    const results = moves.filter(({ event }) => event.type === "effect.done" || event.type === "effect.failed");
    expect(results.length).toBeGreaterThan(0);
    for (const { event, snapshot } of results) {
      expect("attempt" in event && event.attempt).toBe(snapshot.context.attempt);
      expect(snapshot.state).toBe("Processing.running");
    }
  });

  test("from Defense and Waiting only a grant leads to Processing", () => {
    const left = moves.filter(({ path: [first, ...rest] }) => {
      return (first === "Defense" || first === "Waiting") && rest.includes("Processing");
    });
    expect(new Set(left.map(({ event }) => event.type))).toEqual(new Set(["approval.granted"]));
    for (const { path } of left) expect(path).toEqual(["Waiting", "Idle", "Processing"]);
  });

  test("a closed instance is started only by a person", () => {
    const closed = moves.filter(({ snapshot: { state, context } }) => state === "Idle" && context.closed);
    expect(new Set(closed.map(({ event }) => event.type))).toEqual(new Set(["start", "cancel"]));
    for (const { event } of closed) if (event.type === "start") expect(event.approved).toBe(true);
  });

  test("the approval request is emitted exactly on entering Waiting", () => {
    for (const { path, effects } of moves) {
      expect(effects.includes("requestApproval")).toBe(path.slice(1).includes("Waiting"));
    }
  });

  test("approved passes the silence and every function's verdict", () => {
    for (const fn of CONVERGENCE_FUNCTIONS) {
      const everything = {
        executed: 9,
        succeeded: 9,
        failed: 9,
        inProgress: 9,
        settledWithoutFailure: 9,
        parentOpen: true,
      };
      const silence = { author: "ops", comment: "rack move", toMs: 9 };
      const start = { type: "start", atMs: 1, group: groupView(everything), silence, approved: true } as const;
      const next = step(initialSnapshot(policyWith({ function: fn })), start);
      expect(next, fn).toMatchObject({ accepted: true, path: ["Idle", "Processing"], effects: ["run"] });
    }
  });

  test("keep, and only keep, holds an instance whose alert resolved", () => {
    for (const { event, snapshot } of moves) {
      if (event.type === "alert.resolved") expect(snapshot.context.policy.keepOnResolved).toBe(false);
    }
  });
});

import { beforeAll, describe, expect, test } from "vitest";
import { getShortestPaths } from "xstate/graph";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { initialSnapshot, type Snapshot, type StepEffect, step } from "../../src/instance/step.ts";
import { CONVERGENCE_FUNCTIONS, type ConvergenceFunction } from "../../src/model/convergence-rule.ts";
import { INSTANCE_STATES } from "../../src/model/instance-types.ts";
import { TIMESTAMP_AT_MS_MAX } from "../../src/model/limits.ts";
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
/** Functions that skip, or under which waiting for a peer can take too long. */
const SKIPS: Row["under"] = ALL_FUNCTIONS.filter((fn) => fn !== null && fn !== "relevance" && fn !== "defense");

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
  // The emergency stop: it would run.
  { from: "Processing.deciding", on: "always", to: "Defense", under: ANY },
  { from: "Processing.deciding", on: "always", to: "Processing.running", under: ANY },
  { from: "Processing.running", on: "effect.done", to: "Processing.verifying", under: ANY },
  { from: "Processing.running", on: "effect.done", to: "Success", under: ANY },
  { from: "Processing.running", on: "effect.failed", to: "Failed", under: ANY },
  { from: "Processing.running", on: "cancel", to: "Failed", under: ANY },

  { from: "Processing.verifying", on: "alert.resolved", to: "Success", under: ANY },
  { from: "Processing.verifying", on: "timer.elapsed verify", to: "Failed", under: ANY },
  { from: "Processing.verifying", on: "cancel", to: "Failed", under: ANY },

  { from: "Proceeding", on: "always", to: "Skipped", under: ["skip_when_proceed"] },
  { from: "Proceeding", on: "peers.settled", to: "Processing.deciding", under: WAITS },
  { from: "Proceeding", on: "timer.elapsed wait", to: "Skipped", under: WAITS },
  { from: "Proceeding", on: "alert.resolved", to: "Skipped", under: WAITS },
  { from: "Proceeding", on: "cancel", to: "Skipped", under: WAITS },

  { from: "Success", on: "always", to: "Skipped", under: ["skip_when_success", "approve_when_failed"] },
  { from: "Success", on: "end", to: "Idle", under: ANY },

  { from: "Failed", on: "always", to: "Waiting", under: ["approve_when_failed"] },
  { from: "Failed", on: "timer.elapsed retry", to: "Waiting", under: ANY },
  { from: "Failed", on: "timer.elapsed retry", to: "Processing.running", under: ANY },
  { from: "Failed", on: "alert.resolved", to: "Success", under: ANY },
  { from: "Failed", on: "cancel", to: "Failed", under: ANY },
  { from: "Failed", on: "end", to: "Idle", under: ANY },

  { from: "Defense", on: "approval.requested", to: "Waiting", under: ANY },
  { from: "Defense", on: "alert.resolved", to: "Skipped", under: ANY },
  { from: "Defense", on: "cancel", to: "Skipped", under: ANY },

  { from: "Waiting", on: "approval.granted", to: "Idle", under: ANY },
  { from: "Waiting", on: "approval.counted", to: "Waiting", under: ANY },
  { from: "Waiting", on: "approval.denied", to: "Skipped", under: ANY },
  { from: "Waiting", on: "timer.elapsed approval", to: "Skipped", under: HOLDS },
  { from: "Waiting", on: "alert.resolved", to: "Skipped", under: ANY },
  { from: "Waiting", on: "cancel", to: "Skipped", under: ANY },
  { from: "Waiting", on: "end", to: "Idle", under: ANY },
  // What a pause held is decided when it is lifted.
  { from: "Waiting", on: "reconsider", to: "Idle", under: ANY },

  { from: "Skipped", on: "start approved", to: "Processing.running", under: ANY },
  // The silence is over, or time has passed; or the alert fires no longer, and only the timer is disarmed.
  { from: "Skipped", on: "reconsider", to: "Idle", under: ANY },
  { from: "Skipped", on: "reconsider", to: "Skipped", under: SKIPS },
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

  test("there are eight top-level states, and Processing has the children deciding, running and verifying", () => {
    expect(Object.keys(actionInstanceMachine.states)).toEqual([...INSTANCE_STATES]);
    for (const [state, node] of Object.entries(actionInstanceMachine.states)) {
      expect(Object.keys(node.states), state).toEqual(
        state === "Processing" ? ["deciding", "running", "verifying"] : [],
      );
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
      Defense: ["start"],
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
      new Set([
        "Idle",
        "Processing.running",
        "Processing.verifying",
        "Proceeding",
        "Success",
        "Failed",
        "Defense",
        "Waiting",
        "Skipped",
      ]),
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
    const seen = atRest.filter(({ snapshot }) => snapshot.state !== "Skipped");
    expect(new Set(seen.map(({ event }) => event.type))).toEqual(new Set(["end"]));
  });

  test("what was skipped accepts end, a person who runs it anyway, and to be decided again when its reason allows it", () => {
    const skipped = moves.filter(({ snapshot }) => snapshot.state === "Skipped");
    expect(new Set(skipped.map(({ event }) => event.type))).toEqual(new Set(["end", "start", "reconsider"]));
    for (const {
      event,
      snapshot: { context },
    } of skipped) {
      if (event.type === "start") expect(event.approved).toBe(true);
      if (event.type !== "reconsider") continue;
      expect(event.cause).not.toBe("resumed");
      if (event.cause === "silence_over")
        expect([context.silenced, context.policy.isSilenceFinal, event.isOpen]).toEqual([true, false, true]);
      if (event.cause === "again") expect(context.timers.reconsider?.arm).toBe(event.arm);
    }
  });

  test("an instance is decided again by its policy's own will at most as often as that says, and only while its alert fires", () => {
    for (const { event, after, path, snapshot } of moves) {
      if (event.type !== "reconsider") continue;
      expect(after.context.agains).toBeLessThanOrEqual(1);
      const isDecided = path.includes("Idle");
      expect(after.context.reconsidered - snapshot.context.reconsidered).toBe(isDecided ? 1 : 0);
      if (isDecided && event.cause === "again") expect(event.isOpen).toBe(true);
      if (!isDecided) expect([after.state, after.context.timers]).toEqual(["Skipped", {}]);
    }
  });

  test("timers live exactly as long as the state that armed them", () => {
    for (const { after } of moves) {
      const armed = Object.keys(after.context.timers);
      const allowed = timersIn(after);
      expect(armed.length === 0 ? [] : allowed, after.state).toEqual(armed);
      const isBounded = ["Proceeding", "Waiting", "Processing.verifying"].includes(after.state);
      if (isBounded && !after.context.paused) expect(armed).toEqual(allowed);
      // What a pause holds has no deadline.
      if (after.context.paused) expect(after.context.timers.pause?.dueAtMs).toBeGreaterThan(TIMESTAMP_AT_MS_MAX);
    }
  });
});

const TIMERS: Readonly<Record<string, string[]>> = {
  Proceeding: ["wait"],
  Waiting: ["approval"],
  Failed: ["retry"],
  "Processing.verifying": ["verify"],
};

function timersIn({ state, context }: Snapshot): string[] {
  if (context.paused) return ["pause"];
  if (state === "Skipped") return [context.silenced ? "silence" : "reconsider"];
  return TIMERS[state] ?? [];
}

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

  test("from Defense and Waiting only a grant, or the end of the pause that held it, leads to Processing", () => {
    const left = moves.filter(({ path: [first, ...rest] }) => {
      return (first === "Defense" || first === "Waiting") && rest.includes("Processing");
    });
    expect(new Set(left.map(({ event }) => event.type))).toEqual(new Set(["approval.granted", "reconsider"]));
    for (const { path, event, snapshot } of left) {
      expect(path.slice(0, 3)).toEqual(["Waiting", "Idle", "Processing"]);
      if (event.type === "approval.granted") expect(path).toHaveLength(3);
      else expect(snapshot.context.paused).toBe(true);
    }
  });

  test("while a pause holds, no event but a person's grant or run anyway begins an attempt", () => {
    const under = moves.filter(({ event, effects }) => {
      return "paused" in event && event.paused !== undefined && effects.includes("run");
    });
    for (const { event } of under) {
      expect(event.type === "approval.granted" || (event.type === "start" && event.approved === true)).toBe(true);
    }
    expect(moves.some(({ after }) => after.context.paused)).toBe(true);
  });

  test("a lease that ran out verifies nothing", () => {
    const verified = moves.filter(({ event, after }) => event.type === "alert.resolved" && after.state === "Success");
    expect(verified.length).toBeGreaterThan(0);
    for (const { event } of verified) expect("reason" in event && event.reason).not.toBe("lease_over");
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
    for (const { event, snapshot, after } of moves) {
      if (event.type === "alert.resolved" && after.state !== "Success")
        expect(snapshot.context.policy.keepOnResolved).toBe(false);
    }
  });
});

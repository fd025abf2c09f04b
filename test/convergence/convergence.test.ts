import { describe, expect, test } from "vitest";
import { evaluateConvergence, verdictInGroup, verdictWithoutGroup } from "../../src/convergence/convergence.ts";
import {
  CONVERGENCE_FUNCTIONS,
  type ConvergenceFunction,
  type ConvergenceRule,
  type Observation,
} from "../../src/model/convergence-rule.ts";
import { REASONS } from "../../src/model/reasons.ts";

const NOBODY: Observation = {
  isNew: false,
  executed: 0,
  succeeded: 0,
  failed: 0,
  inProgress: 0,
  settledWithoutFailure: 0,
  parentOpen: false,
};

/** One line a case: the function (count 3), what differs from "nobody is there", and the expected answer. */
type Case = [ConvergenceFunction, Partial<Observation>, string];

const ONE_OF_EACH = { executed: 3, succeeded: 1, failed: 1, inProgress: 1 };

const CASES: readonly Case[] = [
  // A peer succeeded: skip. A peer is in progress: wait. Otherwise: run.
  ["skip_when_success", {}, "run no_peer_in_the_way"],
  ["skip_when_success", { isNew: true }, "run no_peer_in_the_way"],
  ["skip_when_success", { executed: 1, succeeded: 1 }, "skip peer_succeeded"],
  ["skip_when_success", { executed: 1, inProgress: 1 }, "wait peer_in_progress"],
  ["skip_when_success", { executed: 1, failed: 1 }, "run no_peer_in_the_way"],
  ["skip_when_success", ONE_OF_EACH, "skip peer_succeeded"],
  ["skip_when_success", { executed: 2, failed: 1, inProgress: 1 }, "wait peer_in_progress"],
  ["skip_when_success", { isNew: true, executed: 2, succeeded: 1 }, "skip peer_succeeded"],

  // A peer succeeded: skip. In progress: wait. A peer failed: approve. Otherwise: run.
  ["approve_when_failed", {}, "run no_peer_in_the_way"],
  ["approve_when_failed", { isNew: true }, "run no_peer_in_the_way"],
  ["approve_when_failed", { executed: 1, succeeded: 1 }, "skip peer_succeeded"],
  ["approve_when_failed", { executed: 1, inProgress: 1 }, "wait peer_in_progress"],
  ["approve_when_failed", { executed: 1, failed: 1 }, "approve peer_failed"],
  ["approve_when_failed", ONE_OF_EACH, "skip peer_succeeded"],
  ["approve_when_failed", { executed: 2, failed: 1, inProgress: 1 }, "wait peer_in_progress"],

  // A peer is in progress, or ended without failure inside the window: skip. Otherwise run.
  ["skip_when_proceed", {}, "run no_peer_in_the_way"],
  ["skip_when_proceed", { executed: 1, inProgress: 1 }, "skip peer_in_progress"],
  ["skip_when_proceed", { executed: 1, succeeded: 1, settledWithoutFailure: 1 }, "skip peer_settled_in_window"],
  ["skip_when_proceed", { executed: 1, succeeded: 1, settledWithoutFailure: 0 }, "run no_peer_in_the_way"],
  ["skip_when_proceed", { executed: 1, failed: 1 }, "run no_peer_in_the_way"],

  // A peer is in progress: wait. Otherwise run.
  ["wait_when_proceed", {}, "run no_peer_in_the_way"],
  ["wait_when_proceed", { executed: 1, inProgress: 1 }, "wait peer_in_progress"],
  ["wait_when_proceed", { executed: 3, succeeded: 2, failed: 1, settledWithoutFailure: 2 }, "run no_peer_in_the_way"],

  // The opener runs. Otherwise `executed >= count`: skip, else run.
  ["skip_when_exceed", { isNew: true, executed: 9 }, "run group_opened"],
  ["skip_when_exceed", { executed: 2 }, "run below_limit"],
  ["skip_when_exceed", { executed: 3 }, "skip limit_reached"],
  ["skip_when_exceed", { executed: 4 }, "skip limit_reached"],

  // The opener runs. Otherwise `executed >= count`: approve, else run.
  ["defense", { isNew: true, executed: 9 }, "run group_opened"],
  ["defense", { executed: 2 }, "run below_limit"],
  ["defense", { executed: 3 }, "approve defense_threshold"],

  // The opener schedules the summary, always. A parent group is open: skip. The opener: run. `executed >= count`: skip; else run.
  ["collect", { isNew: true }, "run group_opened summary"],
  ["collect", { isNew: true, executed: 9 }, "run group_opened summary"],
  ["collect", { isNew: true, parentOpen: true }, "skip parent_open summary"],
  ["collect", { parentOpen: true }, "skip parent_open"],
  ["collect", { parentOpen: true, executed: 3 }, "skip parent_open"],
  ["collect", { executed: 2 }, "run below_limit"],
  ["collect", { executed: 3 }, "skip collected"],

  // The opener schedules the summary; from the opener on all are skipped.
  ["collect_alarm", { isNew: true }, "skip collected summary"],
  ["collect_alarm", {}, "skip collected"],
  ["collect_alarm", { executed: 9 }, "skip collected"],

  // The opener runs, all others are skipped.
  ["trigger", { isNew: true }, "run group_opened"],
  ["trigger", {}, "skip already_triggered"],
  ["trigger", { executed: 9, failed: 9 }, "skip already_triggered"],

  // Run; the group only relates them.
  ["relevance", { isNew: true }, "run related"],
  ["relevance", { ...ONE_OF_EACH, settledWithoutFailure: 1, parentOpen: true }, "run related"],
];

describe("the ten convergence functions", () => {
  test.each(CASES)("%s with %o answers %s", (fn, difference, expected) => {
    const answer = evaluateConvergence({ function: fn, count: 3 }, { ...NOBODY, ...difference });
    const words = [answer.verdict, answer.reason, ...(answer.summary === true ? ["summary"] : [])];
    expect(words.join(" ")).toBe(expected);
    expect(answer.function).toBe(fn);
  });

  test("every function has cases above", () => {
    expect(new Set(CASES.map(([fn]) => fn))).toEqual(new Set(CONVERGENCE_FUNCTIONS));
  });

  test("a decision that schedules no summary has no such field", () => {
    expect(evaluateConvergence({ function: "collect", count: 3 }, NOBODY)).not.toHaveProperty("summary");
  });

  test("the guards' short form gives the same verdict as the explained one", () => {
    for (const [fn, difference] of CASES) {
      const {
        counterfactual: _,
        function: __,
        ...short
      } = evaluateConvergence({ function: fn, count: 3 }, { ...NOBODY, ...difference });
      expect(short).toEqual(verdictInGroup(fn, 3, { ...NOBODY, ...difference }));
    }
  });
});

describe("without a group", () => {
  test("no rule: run", () => {
    expect(verdictWithoutGroup(null)).toEqual({ verdict: "run", reason: "no_rule" });
  });

  test.each(CONVERGENCE_FUNCTIONS)("below count, %s runs, only trigger skips", (fn) => {
    expect(verdictWithoutGroup(fn)).toEqual({ verdict: fn === "trigger" ? "skip" : "run", reason: "below_count" });
  });
});

describe("the nearest change that would have flipped it", () => {
  test.each<[Pick<ConvergenceRule, "function" | "count">, Partial<Observation>, object | null]>([
    [
      { function: "skip_when_exceed", count: 3 },
      { executed: 3 },
      { parameter: "count", from: 3, to: 4, verdict: "run" },
    ],
    [
      { function: "skip_when_exceed", count: 3 },
      { executed: 2 },
      { parameter: "count", from: 3, to: 2, verdict: "skip" },
    ],
    [
      { function: "skip_when_exceed", count: 1 },
      { executed: 0 },
      { parameter: "executed", from: 0, to: 1, verdict: "skip" },
    ],
    [{ function: "defense", count: 3 }, { executed: 5 }, { parameter: "count", from: 3, to: 6, verdict: "run" }],
    [
      { function: "skip_when_success", count: 1 },
      { executed: 1, succeeded: 1 },
      { parameter: "succeeded", from: 1, to: 0, verdict: "run" },
    ],
    [
      { function: "wait_when_proceed", count: 1 },
      { executed: 2, inProgress: 2 },
      { parameter: "inProgress", from: 2, to: 0, verdict: "run" },
    ],
    [
      { function: "approve_when_failed", count: 1 },
      { executed: 5, failed: 5 },
      { parameter: "inProgress", from: 0, to: 1, verdict: "wait" },
    ],
    [{ function: "trigger", count: 1 }, {}, { parameter: "isNew", from: false, to: true, verdict: "run" }],
    [{ function: "collect_alarm", count: 1 }, {}, null],
    [{ function: "relevance", count: 1 }, { executed: 4 }, null],
  ])("%o, %o: %o", (rule, difference, expected) => {
    expect(evaluateConvergence(rule, { ...NOBODY, ...difference }).counterfactual).toEqual(expected);
  });
});

describe("reasons", () => {
  test("every code has a sentence in both languages", () => {
    for (const [code, { en, zh }] of Object.entries(REASONS)) {
      expect(code).toMatch(/^[a-z_]+$/);
      expect(en.length, code).toBeGreaterThan(0);
      expect(zh, code).toMatch(/\p{Script=Han}/u);
    }
  });
});

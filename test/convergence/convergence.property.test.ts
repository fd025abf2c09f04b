import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Counterfactual, evaluateConvergence, verdictInGroup } from "../../src/convergence/convergence.ts";
import { CONVERGENCE_FUNCTIONS, type ConvergenceRule, type Observation } from "../../src/model/convergence-rule.ts";
import { REASONS } from "../../src/model/reasons.ts";

type Rule = Pick<ConvergenceRule, "function" | "count">;

const small = fc.nat({ max: 6 });
const anyNumber = fc.oneof(small, fc.maxSafeNat());

function observationOf(number: fc.Arbitrary<number>): fc.Arbitrary<Observation> {
  return fc.record({
    isNew: fc.boolean(),
    executed: number,
    succeeded: number,
    failed: number,
    inProgress: number,
    settledWithoutFailure: number,
    parentOpen: fc.boolean(),
  });
}

function ruleOf(count: fc.Arbitrary<number>): fc.Arbitrary<Rule> {
  return fc.record({ function: fc.constantFrom(...CONVERGENCE_FUNCTIONS), count });
}

/** The verdict after one single change, of the rule or of the world. */
function verdictAfter(rule: Rule, observation: Observation, change: Pick<Counterfactual, "parameter" | "to">): string {
  if (change.parameter === "count") return verdictInGroup(rule.function, Number(change.to), observation).verdict;
  return verdictInGroup(rule.function, rule.count, { ...observation, [change.parameter]: change.to }).verdict;
}

describe("evaluation", () => {
  test("is total: any numbers of peers give one of four verdicts and a listed reason", () => {
    fc.assert(
      fc.property(ruleOf(fc.maxSafeNat().map((count) => count + 1)), observationOf(anyNumber), (rule, observation) => {
        const answer = evaluateConvergence(rule, observation);
        expect(["run", "skip", "wait", "approve"]).toContain(answer.verdict);
        expect(REASONS).toHaveProperty(answer.reason);
      }),
      { numRuns: 2_000 },
    );
  });

  test("schedules a summary exactly for the opener of collect and collect_alarm", () => {
    fc.assert(
      fc.property(ruleOf(fc.integer({ min: 1, max: 6 })), observationOf(small), (rule, observation) => {
        const summarises = rule.function === "collect" || rule.function === "collect_alarm";
        expect(evaluateConvergence(rule, observation).summary === true).toBe(summarises && observation.isNew);
      }),
    );
  });
});

describe("the counterfactual", () => {
  test("applied, it flips the verdict to the one it states", () => {
    fc.assert(
      fc.property(ruleOf(fc.integer({ min: 1, max: 6 })), observationOf(anyNumber), (rule, observation) => {
        const { verdict, counterfactual } = evaluateConvergence(rule, observation);
        if (counterfactual === null) return;
        expect(counterfactual.verdict).not.toBe(verdict);
        expect(verdictAfter(rule, observation, counterfactual)).toBe(counterfactual.verdict);
        const { parameter, from } = counterfactual;
        expect(from).toBe(parameter === "count" ? rule.count : observation[parameter]);
        if (parameter === "count") expect(counterfactual.to).toBeGreaterThanOrEqual(1);
      }),
      { numRuns: 3_000 },
    );
  });

  test("is the nearest of its kind, and missing only when no single change flips it", () => {
    fc.assert(
      fc.property(ruleOf(fc.integer({ min: 1, max: 6 })), observationOf(small), (rule, observation) => {
        const { verdict, counterfactual } = evaluateConvergence(rule, observation);
        const flips = singleChanges(rule, observation).filter(
          (change) => verdictAfter(rule, observation, change) !== verdict,
        );
        const ofRule = flips.filter(({ parameter }) => parameter === "count");
        const candidates = ofRule.length > 0 ? ofRule : flips;
        if (candidates.length === 0) {
          expect(counterfactual).toBeNull();
          return;
        }
        const nearest = Math.min(...candidates.map(({ distance }) => distance));
        const { from, to } = counterfactual as Counterfactual;
        expect(Math.abs(Number(to) - Number(from))).toBe(nearest);
      }),
      { numRuns: 2_000 },
    );
  });
});

type Change = Pick<Counterfactual, "parameter" | "to"> & { distance: number };

/** Every value that one parameter could have instead, by brute force. */
function singleChanges(rule: Rule, observation: Observation): Change[] {
  const changes: Change[] = [];
  for (let to = 1; to <= 8; to++) changes.push({ parameter: "count", to, distance: Math.abs(to - rule.count) });
  for (const parameter of ["executed", "succeeded", "failed", "inProgress", "settledWithoutFailure"] as const) {
    for (let to = 0; to <= 8; to++) changes.push({ parameter, to, distance: Math.abs(to - observation[parameter]) });
  }
  for (const parameter of ["isNew", "parentOpen"] as const)
    changes.push({ parameter, to: !observation[parameter], distance: 1 });
  return changes;
}

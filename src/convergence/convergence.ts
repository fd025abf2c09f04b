import {
  CONVERGENCE_FUNCTIONS,
  type ConvergenceFunction,
  type ConvergenceRule,
  type Observation,
} from "../model/convergence-rule.ts";
import { BecalmError } from "../model/errors.ts";
import type { ReasonCode } from "../model/reasons.ts";

/** What a convergence function answers: act, leave it, look again when a peer settles, or ask a human. */
export type VerdictKind = "run" | "skip" | "wait" | "approve";

/**
 * The nearest single change that would have given another verdict: "would have been `verdict` with `parameter` = `to`".
 */
export type Counterfactual = {
  readonly parameter: "count" | keyof Observation;
  readonly from: number | boolean;
  readonly to: number | boolean;
  readonly verdict: VerdictKind;
};

export type Verdict = {
  readonly verdict: VerdictKind;
  readonly reason: ReasonCode;
  /** This decision schedules a summary. */
  readonly summary?: true;
};

export type ExplainedVerdict = Verdict & {
  readonly function: ConvergenceFunction;
  readonly counterfactual: Counterfactual | null;
};

const RUN_OPENED: Verdict = { verdict: "run", reason: "group_opened" };
const RUN_OPENED_WITH_SUMMARY: Verdict = { verdict: "run", reason: "group_opened", summary: true };
const RUN_CLEAR: Verdict = { verdict: "run", reason: "no_peer_in_the_way" };
const RUN_BELOW_LIMIT: Verdict = { verdict: "run", reason: "below_limit" };
const RUN_RELATED: Verdict = { verdict: "run", reason: "related" };
const SKIP_SUCCEEDED: Verdict = { verdict: "skip", reason: "peer_succeeded" };
const SKIP_IN_PROGRESS: Verdict = { verdict: "skip", reason: "peer_in_progress" };
const SKIP_SETTLED: Verdict = { verdict: "skip", reason: "peer_settled_in_window" };
const SKIP_LIMIT: Verdict = { verdict: "skip", reason: "limit_reached" };
const SKIP_COLLECTED: Verdict = { verdict: "skip", reason: "collected" };
const SKIP_COLLECTED_OPENER: Verdict = { verdict: "skip", reason: "collected", summary: true };
const SKIP_PARENT: Verdict = { verdict: "skip", reason: "parent_open" };
const SKIP_PARENT_OPENER: Verdict = { verdict: "skip", reason: "parent_open", summary: true };
const SKIP_TRIGGERED: Verdict = { verdict: "skip", reason: "already_triggered" };
const WAIT: Verdict = { verdict: "wait", reason: "peer_in_progress" };
const APPROVE_FAILED: Verdict = { verdict: "approve", reason: "peer_failed" };
const APPROVE_DEFENSE: Verdict = { verdict: "approve", reason: "defense_threshold" };

type Evaluate = (observation: Observation, count: number) => Verdict;

/** One entry a function, in the words of the table in docs/machines.md. */
const EVALUATE: Readonly<Record<ConvergenceFunction, Evaluate>> = {
  skip_when_success: (peers) => (peers.succeeded > 0 ? SKIP_SUCCEEDED : peers.inProgress > 0 ? WAIT : RUN_CLEAR),
  approve_when_failed: (peers) => {
    if (peers.succeeded > 0) return SKIP_SUCCEEDED;
    if (peers.inProgress > 0) return WAIT;
    return peers.failed > 0 ? APPROVE_FAILED : RUN_CLEAR;
  },
  skip_when_proceed: (peers) => {
    if (peers.inProgress > 0) return SKIP_IN_PROGRESS;
    return peers.settledWithoutFailure > 0 ? SKIP_SETTLED : RUN_CLEAR;
  },
  wait_when_proceed: (peers) => (peers.inProgress > 0 ? WAIT : RUN_CLEAR),
  skip_when_exceed: (peers, count) =>
    peers.isNew ? RUN_OPENED : peers.executed >= count ? SKIP_LIMIT : RUN_BELOW_LIMIT,
  defense: (peers, count) => (peers.isNew ? RUN_OPENED : peers.executed >= count ? APPROVE_DEFENSE : RUN_BELOW_LIMIT),
  collect: (peers, count) => {
    if (peers.parentOpen) return peers.isNew ? SKIP_PARENT_OPENER : SKIP_PARENT;
    if (peers.isNew) return RUN_OPENED_WITH_SUMMARY;
    return peers.executed >= count ? SKIP_COLLECTED : RUN_BELOW_LIMIT;
  },
  collect_alarm: (peers) => (peers.isNew ? SKIP_COLLECTED_OPENER : SKIP_COLLECTED),
  trigger: (peers) => (peers.isNew ? RUN_OPENED : SKIP_TRIGGERED),
  relevance: () => RUN_RELATED,
};

/**
 * The verdict of a rule in a group, without its explanation. Pure and total.
 * @param count the threshold of the group's rule, which may be older than the instance's policy.
 */
export function verdictInGroup(fn: ConvergenceFunction, count: number, observation: Observation): Verdict {
  return EVALUATE[fn](observation, count);
}

const RUN_NO_RULE: Verdict = { verdict: "run", reason: "no_rule" };
const RUN_BELOW_COUNT: Verdict = { verdict: "run", reason: "below_count" };
const SKIP_BELOW_COUNT: Verdict = { verdict: "skip", reason: "below_count" };

/**
 * The verdict without a group: no rule governs the instance, or fewer than `count` instances matched so far (trigger:
 * skip, all others: run).
 */
export function verdictWithoutGroup(fn: ConvergenceFunction | null): Verdict {
  if (fn === null) return RUN_NO_RULE;
  return fn === "trigger" ? SKIP_BELOW_COUNT : RUN_BELOW_COUNT;
}

/**
 * Decides one instance of a group.
 *
 * @param rule the group's rule; only `function` and `count` matter here.
 * @param observation numbers of peers, the instance itself not counted.
 * @returns the verdict, its reason code (docs/reasons.md), and the nearest change that would have flipped it.
 *   `summary` is present when this decision schedules one.
 * @throws BECALM_ARGUMENT_INVALID if the function is unknown
 */
export function evaluateConvergence(
  rule: Pick<ConvergenceRule, "function" | "count">,
  observation: Observation,
): ExplainedVerdict {
  if (!Object.hasOwn(EVALUATE, rule.function))
    throw new BecalmError(
      "BECALM_ARGUMENT_INVALID",
      `Unknown convergence function ${JSON.stringify(rule.function)}. Use one of ${CONVERGENCE_FUNCTIONS.join(", ")}.`,
    );
  const verdict = verdictInGroup(rule.function, rule.count, observation);
  return { ...verdict, function: rule.function, counterfactual: counterfactualOf(rule, observation, verdict.verdict) };
}

/**
 * Tries every single change that could matter, nearest first; a change of the rule comes before a change of the world.
 */
function counterfactualOf(
  rule: Pick<ConvergenceRule, "function" | "count">,
  observation: Observation,
  actual: VerdictKind,
): Counterfactual | null {
  const counts = [observation.executed + 1, Math.max(observation.executed, 1)].filter((to) => to !== rule.count);
  for (const to of counts) {
    const { verdict } = verdictInGroup(rule.function, to, observation);
    if (verdict !== actual) return { parameter: "count", from: rule.count, to, verdict };
  }
  let nearest: Counterfactual | null = null;
  for (const [parameter, to] of worldChanges(rule, observation)) {
    const { verdict } = verdictInGroup(rule.function, rule.count, { ...observation, [parameter]: to });
    const from = observation[parameter];
    if (verdict !== actual && (nearest === null || distance(from, to) < distance(nearest.from, nearest.to))) {
      nearest = { parameter, from, to, verdict };
    }
  }
  return nearest;
}

function worldChanges(
  rule: Pick<ConvergenceRule, "count">,
  observation: Observation,
): [keyof Observation, number | boolean][] {
  const numbers = ["inProgress", "succeeded", "failed", "settledWithoutFailure"] as const;
  const changes: [keyof Observation, number | boolean][] = numbers.map((name) => [
    name,
    observation[name] === 0 ? 1 : 0,
  ]);
  changes.push(["executed", observation.executed >= rule.count ? rule.count - 1 : rule.count]);
  changes.push(["isNew", !observation.isNew], ["parentOpen", !observation.parentOpen]);
  return changes;
}

function distance(from: number | boolean, to: number | boolean): number {
  return Math.abs(Number(to) - Number(from));
}

/** The works that the arms do: which policy, and how the alerts fall into groups. */
import type { PolicyInput } from "../../src/formats/policy-file.ts";
import type { ConvergenceFunction } from "../../src/model/convergence-rule.ts";

export type WorkName = "storm" | "all-execute" | "distinct-locked" | "distinct-plain" | "one-group";

type Rule = {
  readonly function: ConvergenceFunction;
  readonly by: readonly string[];
  readonly count: number;
  readonly window: string;
};

export type Work = {
  /** 0: each alert is a group of its own. */
  readonly groups: number;
  readonly rule: Rule | null;
  /** Is the threshold a tenth of a group's share of the storm? Then it goes down with the number of alerts. */
  readonly isTenth: boolean;
};

const RULE: Rule = { function: "skip_when_exceed", by: ["alertname", "cluster"], count: 100, window: "1h" };

export const WORKS: Readonly<Record<WorkName, Work>> = {
  /** 100 groups, of each the first tenth runs: of 100,000 alerts 10,000 execute and 90,000 converge. */
  storm: { groups: 100, rule: RULE, isTenth: true },
  "all-execute": { groups: 100, rule: null, isTenth: false },
  /** Every alert is the first of its group, which therefore forms: each decision takes the dimension lock. */
  "distinct-locked": { groups: 0, rule: { ...RULE, count: 2 }, isTenth: false },
  "distinct-plain": { groups: 0, rule: null, isTenth: false },
  /** The storm in one group: as many execute as in the storm of 100. */
  "one-group": { groups: 1, rule: RULE, isTenth: true },
};

const TENTH = 0.1;

function thresholdOf({ groups, isTenth, rule }: Work, count: number): number {
  return isTenth ? Math.max(1, Math.round((count * TENTH) / groups)) : (rule?.count ?? 1);
}

/** How many of `count` distinct alerts run their action. */
export function executedOf(name: WorkName, count: number): number {
  const work = WORKS[name];
  return work.isTenth ? thresholdOf(work, count) * work.groups : count;
}

/** The policy of a work for so many alerts. */
export function policiesOf(name: WorkName, count: number): PolicyInput {
  const work = WORKS[name];
  const converge = work.rule === null ? {} : { converge: { ...work.rule, count: thresholdOf(work, count) } };
  return [{ name: "restart", match: ['alertname="InstanceDown"'], action: { handler: { name: "noop" } }, ...converge }];
}

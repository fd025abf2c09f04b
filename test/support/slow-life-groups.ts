import type { ConvergenceFunction, ConvergenceRule, Observation } from "../../src/model/convergence-rule.ts";
import type { Life, LifeGroup } from "./slow-life-types.ts";
import { type ModelVerdict, verdictFor } from "./slow-model-verdict.ts";

/** "Under these functions a group with a peer in progress or a waiter stays open past its window". */
const LINGERING: readonly ConvergenceFunction[] = [
  "skip_when_success",
  "approve_when_failed",
  "skip_when_proceed",
  "wait_when_proceed",
];

type Formed = { readonly life: Life; readonly atMs: number };

/** Who belongs to which group, with lists of all members. Sentences in quotes are the rules that the line below implements. */
export class SlowLifeGroups {
  readonly all: LifeGroup[] = [];
  readonly #forming = new Map<string, Formed[]>();

  /** What convergence says of an instance that is decided now, as if it came now. */
  decide(life: Life, atMs: number): ModelVerdict {
    const rule = ruleOf(life);
    // "`where`: only a filter on which instances the rule governs, others run".
    if (rule === null) return { verdict: "run", reason: "no_rule" };
    const key = keyOf(life);
    const open = this.all.find((group) => group.key === key && !group.isClosed);
    if (open !== undefined) {
      open.members.add(life);
      life.group = open;
      return this.look(life, atMs);
    }
    const isOpening = this.#form(life, { key, rule, atMs });
    // "Below `count` matching instances in the window [...] each is decided without a group: run, except trigger: skip."
    if (!isOpening) return { verdict: rule.function === "trigger" ? "skip" : "run", reason: "below_count" };
    return verdictFor(rule, { ...this.#observe(life, atMs), isNew: true });
  }

  /** A member of a group looks at its peers. */
  look(life: Life, atMs: number): ModelVerdict {
    const { rule } = life.group as LifeGroup;
    return verdictFor(rule, this.#observe(life, atMs));
  }

  /** "It leaves the group, forming or open, that it was decided in." */
  leave(life: Life): void {
    for (const [key, formed] of this.#forming) {
      const others = formed.filter((one) => one.life !== life);
      this.#forming.set(key, others);
    }
    if (life.group?.isClosed === false) life.group.skipped.delete(life);
    life.group?.members.delete(life);
    life.group = null;
  }

  /** "At exactly its end a group still takes an alert; after it, it closes", unless it lingers. */
  closeThoseThatAreOver(atMs: number): void {
    for (const group of this.all) {
      if (atMs > group.endAtMs && !isHeldOpen(group)) group.isClosed = true;
    }
  }

  /** Whether it opens a group: "the instance that makes the number reach `count`". */
  #form(life: Life, { key, rule, atMs }: { key: string; rule: ConvergenceRule; atMs: number }): boolean {
    // "Created at most `window` before this one."
    const earlier = (this.#forming.get(key) ?? []).filter((formed) => formed.atMs >= atMs - rule.windowMs);
    if (earlier.length + 1 < rule.count) {
      this.#forming.set(key, [...earlier, { life, atMs }]);
      return false;
    }
    // "Whoever belonged to a group does not count towards the next one."
    this.#forming.set(key, []);
    const endAtMs = atMs + (rule.maxWindowMs ?? rule.windowMs);
    const hasSummary = rule.function === "collect" || rule.function === "collect_alarm";
    const members = [...earlier.map((formed) => formed.life), life];
    const group: LifeGroup = {
      key,
      rule,
      endAtMs,
      opener: life,
      members: new Set(members),
      executed: new Set(members.filter(({ attemptsHere }) => attemptsHere > 0)),
      skipped: new Set(),
      summaryDueAtMs: hasSummary ? endAtMs + (rule.summaryDelayMs ?? 0) : null,
      isClosed: false,
    };
    for (const member of members) member.group = group;
    this.all.push(group);
    return true;
  }

  /** "Numbers of peers"; they "never count the instance itself". */
  #observe(life: Life, atMs: number): Observation {
    const group = life.group as LifeGroup;
    const others = [...group.members].filter((member) => member !== life);
    // "A peer is an instance of the group that has had an attempt"; "held ones are no peers of anybody".
    const inProgress = others.filter((other) => isInProgress(other, group.rule));
    const settled = others.filter((other) => {
      return other.attemptsHere > 0 && !other.isPaused && !inProgress.includes(other);
    });
    const succeeded = settled.filter(isSucceeded);
    const recently = succeeded.filter(({ lastResult }) => (lastResult?.atMs ?? atMs) >= atMs - group.rule.windowMs);
    return {
      isNew: false,
      // "If it made an attempt in the open group, that attempt stays in `executed`, but the instance itself does not see it."
      executed: [...group.executed].filter((one) => one !== life).length,
      succeeded: succeeded.length,
      failed: settled.length - succeeded.length,
      inProgress: inProgress.length,
      settledWithoutFailure: recently.length,
      parentOpen: false,
    };
  }
}

/** The rule, if the policy has one and it governs this instance. "A missing one is the empty text." */
export function ruleOf({ policy, labels }: Pick<Life, "policy" | "labels">): ConvergenceRule | null {
  const allowed = Object.entries(policy.rule?.where ?? {});
  const own: Readonly<Record<string, string>> = labels;
  return allowed.every(([dimension, values]) => values.includes(own[dimension] ?? "")) ? policy.rule : null;
}

/** Instances of one policy with equal values of the dimensions; null: no rule governs it. */
export function keyOf(life: Pick<Life, "policy" | "labels">): string {
  const own: Readonly<Record<string, string>> = life.labels;
  const by = life.policy.rule?.by ?? [];
  return [life.policy.name, ...by.map((dimension) => own[dimension] ?? "")].join(" ");
}

/** "Processing (verifying: section 3), Failed with a retry due: in progress." */
function isInProgress(life: Life, rule: ConvergenceRule): boolean {
  // "Under wait_when_proceed, whose mutex is about running, it counts as succeeded from the moment it leaves running."
  if (life.isVerifying) return rule.function !== "wait_when_proceed";
  if (life.state === "Processing") return true;
  if (life.state === "Failed") return life.timer?.name === "retry";
  // "Under approve_when_failed an instance in Waiting counts as in progress, whoever failed."
  return life.state === "Waiting" && !life.isPaused && rule.function === "approve_when_failed";
}

/** "Its outcome is that of its last attempt." */
function isSucceeded({ isVerifying, lastResult }: Life): boolean {
  return isVerifying || lastResult?.isSuccess === true;
}

function isHeldOpen({ rule, members }: LifeGroup): boolean {
  if (!LINGERING.includes(rule.function)) return false;
  return [...members].some((member) => isInProgress(member, rule) || member.state === "Proceeding");
}

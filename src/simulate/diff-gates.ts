/** Gates of `becalm diff`: what a merge must not do. Each is a condition on the summary, or a matcher for alerts. */
import { BecalmError } from "../model/errors.ts";
import { compileMatchers, parseMatchers } from "../policy/matcher.ts";
import { type Change, type DiffSummary, isNewlyExecuted, isNewlySkipped } from "./diff.ts";

const FIELDS = ["alerts", "instances", "changed"] as const;
const SIDE_FIELDS = ["executed", "skipped", "waiting", "groups", "summaries"] as const;
const NAMES = [...FIELDS, ...["was", "now"].flatMap((side) => SIDE_FIELDS.map((field) => `${side}.${field}`))];
const OPERATORS = ["<=", ">=", "==", "!=", "<", ">"] as const;
type Operator = (typeof OPERATORS)[number];

const HOLDS: Readonly<Record<Operator, (a: number, b: number) => boolean>> = {
  "<=": (a, b) => a <= b,
  ">=": (a, b) => a >= b,
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  ">": (a, b) => a > b,
};

/** Fields that a condition may name, and one to show how it is written. */
type Known = { readonly names: readonly string[]; readonly example: string };

const OF_A_DIFF: Known = { names: NAMES, example: "now.executed > 100" };

export type Condition = {
  readonly text: string;
  readonly field: string;
  readonly operator: Operator;
  readonly value: number;
};

/**
 * `now.executed > 100`, `changed != 0`.
 * @throws BECALM_ARGUMENT_INVALID if the field or the operator is unknown
 */
export function parseCondition(text: string, { names, example }: Known = OF_A_DIFF): Condition {
  const [, field = "", operator = "", value = ""] = /^\s*([\w.]+)\s*(<=|>=|==|!=|<|>)\s*(\d+)\s*$/.exec(text) ?? [];
  if (names.includes(field)) return { text: text.trim(), field, operator: operator as Operator, value: Number(value) };
  const what = field === "" ? "is not a condition" : `names the unknown field ${field}`;
  throw new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `${JSON.stringify(text)} ${what}. Write FIELD OPERATOR NUMBER, such as '${example}'; fields are ${names.join(", ")}; operators are ${OPERATORS.join(" ")}.`,
    { details: { condition: text } },
  );
}

/** Does it hold, so that the gate fails? */
export function holds(condition: Condition, summary: DiffSummary): boolean {
  return compares(condition, fieldOf(condition.field, summary));
}

/** Does it hold of what its field is? */
export function compares({ operator, value }: Condition, actual: number): boolean {
  return HOLDS[operator](actual, value);
}

/** The value of a field that `parseCondition` has accepted. */
export function fieldOf(field: string, summary: DiffSummary): number {
  const [first, second] = field.split(".") as [string, string | undefined];
  if (second === undefined) return summary[first as (typeof FIELDS)[number]];
  return summary[first as "was" | "now"][second as (typeof SIDE_FIELDS)[number]];
}

export type GateOptions = {
  readonly failIf: readonly string[];
  readonly noNewlySkipped: readonly string[];
  readonly noNewlyExecuted: readonly string[];
};

type MatcherGate = {
  readonly what: "newly skipped" | "newly executed";
  readonly text: string;
  readonly matches: (labels: Readonly<Record<string, string>>) => boolean;
  readonly applies: (change: Change) => boolean;
  count: number;
  first: Change | null;
};

/** Watches the changes; at the end it says which gates have failed. */
export class Gates {
  readonly #conditions: readonly Condition[];
  readonly #matchers: readonly MatcherGate[];

  /** @throws BECALM_ARGUMENT_INVALID for a condition or a matcher that cannot be read */
  constructor({ failIf, noNewlySkipped, noNewlyExecuted }: GateOptions) {
    this.#conditions = failIf.map((text) => parseCondition(text));
    this.#matchers = [
      ...noNewlySkipped.map((text) => matcherGate("newly skipped", text, isNewlySkipped)),
      ...noNewlyExecuted.map((text) => matcherGate("newly executed", text, isNewlyExecuted)),
    ];
  }

  look(change: Change): void {
    for (const gate of this.#matchers) {
      if (!gate.applies(change) || change.alert === null || !gate.matches(change.alert.labels)) continue;
      gate.count += 1;
      gate.first ??= change;
    }
  }

  /** One sentence a gate that failed. */
  failures(summary: DiffSummary): string[] {
    const conditions = this.#conditions
      .filter((condition) => holds(condition, summary))
      .map(({ text, field }) => `${text}: ${field} is ${fieldOf(field, summary)}`);
    const matchers = this.#matchers
      .filter(({ count }) => count > 0)
      .map(({ what, text, count, first }) => `${count} ${what} with ${text}, the first is ${first?.id}`);
    return [...conditions, ...matchers];
  }
}

function matcherGate(what: MatcherGate["what"], text: string, applies: (change: Change) => boolean): MatcherGate {
  return { what, text, matches: compileMatchers(parseMatchers(text)), applies, count: 0, first: null };
}

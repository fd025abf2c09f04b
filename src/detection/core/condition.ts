import { BecalmError } from "../../model/errors.ts";

export const COMPARISON_OPERATORS = [">", ">=", "<", "<=", "==", "!="] as const;

export type ComparisonOperator = (typeof COMPARISON_OPERATORS)[number];

export type Comparison = { readonly operator: ComparisonOperator; readonly limit: number };

/** Holds when all comparisons of any one list hold: `and` binds before `or`. */
export type Condition = readonly (readonly Comparison[])[];

const COMPARISON = /^\s*(?:value\s*)?(>=|<=|==|!=|>|<)\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*$/;

/** How many comparisons one condition may have. */
export const COMPARISON_COUNT_MAX = 32;

/**
 * A condition from its text: `> 90`, `>= 10 and < 20 or == 0`, with or without the word `value` before an operator.
 * Throws BECALM_ARGUMENT_INVALID that says which part is wrong.
 */
export function parseCondition(text: string): Condition {
  const alternatives = text
    .split(/\bor\b/)
    .map((part) => part.split(/\band\b/).map((piece) => comparisonOf(piece, text)));
  const count = alternatives.reduce((sum, all) => sum + all.length, 0);
  if (count > COMPARISON_COUNT_MAX)
    throw wrong(text, `has ${count} comparisons; at most ${COMPARISON_COUNT_MAX} are allowed`);
  return alternatives;
}

export function conditionHolds(condition: Condition, value: number): boolean {
  return condition.some((all) => all.every(({ operator, limit }) => compare(operator, value, limit)));
}

/** The condition as text again: what an alert's summary says. */
export function conditionText(condition: Condition): string {
  return condition.map((all) => all.map(({ operator, limit }) => `${operator} ${limit}`).join(" and ")).join(" or ");
}

function comparisonOf(piece: string, whole: string): Comparison {
  const parts = COMPARISON.exec(piece);
  const limit = Number(parts?.[2]);
  if (parts === null || !Number.isFinite(limit)) {
    throw wrong(
      whole,
      `has the part ${JSON.stringify(piece.trim())}; expected one of ${COMPARISON_OPERATORS.join(" ")} and a number`,
    );
  }
  return { operator: parts[1] as ComparisonOperator, limit };
}

function wrong(text: string, what: string): BecalmError {
  return new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `The condition ${JSON.stringify(text)} ${what}, for example "> 90 and < 100".`,
  );
}

function compare(operator: ComparisonOperator, value: number, limit: number): boolean {
  switch (operator) {
    case ">":
      return value > limit;
    case ">=":
      return value >= limit;
    case "<":
      return value < limit;
    case "<=":
      return value <= limit;
    case "==":
      return value === limit;
    case "!=":
      return value !== limit;
  }
}

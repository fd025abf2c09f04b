import { BecalmError } from "../../model/errors.ts";
import { toBaseUnit, UNIT_NAMES, type UnitFamily, unitOf } from "../records/units.ts";

export const COMPARISON_OPERATORS = [">", ">=", "<", "<=", "==", "!="] as const;

export type ComparisonOperator = (typeof COMPARISON_OPERATORS)[number];

/** `limit` is in the base unit; `text` is the limit as it was written, if it was written with a unit. */
export type Comparison = { readonly operator: ComparisonOperator; readonly limit: number; readonly text?: string };

/** Holds when all comparisons of any one list hold: `and` binds before `or`. */
export type Condition = readonly (readonly Comparison[])[];

const COMPARISON =
  /^\s*(?:value\s*)?(>=|<=|==|!=|>|<)\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%][A-Za-z/]*)?\s*$/;

/** How many comparisons one condition may have. */
export const COMPARISON_COUNT_MAX = 32;

/**
 * A condition from its text: `> 90`, `>= 10 and < 20 or == 0`, with or without the word `value` before an operator; a limit
 * may carry its unit (`> 500ms`). Throws BECALM_ARGUMENT_INVALID that says which part is wrong.
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

/** The alternatives that hold for a value; all of them if none does. */
export function holdingAlternatives(condition: Condition, value: number): Condition {
  const holding = condition.filter((all) => conditionHolds([all], value));
  return holding.length === 0 ? condition : holding;
}

/** The condition as text again: what an alert's summary says. */
export function conditionText(condition: Condition): string {
  return condition
    .map((all) => all.map(({ operator, limit, text }) => `${operator} ${text ?? limit}`).join(" and "))
    .join(" or ");
}

/** The families of the units that limits were written with. */
export function limitFamilies(condition: Condition): UnitFamily[] {
  const units = condition.flat().flatMap(({ text }) => (text === undefined ? [] : [unitNameOf(text)]));
  return units.flatMap((name) => unitOf(name)?.family ?? []);
}

/** Values at which the condition can change, and one between and beyond each two: what holds at all of them holds everywhere. */
function decisiveValues(...conditions: readonly Condition[]): number[] {
  const limits = [...new Set(conditions.flatMap((one) => one.flat().map(({ limit }) => limit)))].sort((a, b) => a - b);
  const between = limits.slice(1).map((limit, index) => ((limits[index] as number) + limit) / 2);
  const first = limits[0] ?? 0;
  const last = limits.at(-1) ?? 0;
  return [...limits, ...between, first - Math.abs(first) - 1, last + Math.abs(last) + 1];
}

/** Whether any value at all makes it hold. */
export function canHold(condition: Condition): boolean {
  return decisiveValues(condition).some((value) => conditionHolds(condition, value));
}

/** Whether `wider` holds wherever `narrower` does. */
export function includesCondition(wider: Condition, narrower: Condition): boolean {
  return decisiveValues(wider, narrower).every(
    (value) => !conditionHolds(narrower, value) || conditionHolds(wider, value),
  );
}

function comparisonOf(piece: string, whole: string): Comparison {
  const parts = COMPARISON.exec(piece);
  const number = Number(parts?.[2]);
  if (parts === null || !Number.isFinite(number)) {
    throw wrong(
      whole,
      `has the part ${JSON.stringify(piece.trim())}; expected one of ${COMPARISON_OPERATORS.join(" ")} and a number`,
    );
  }
  const operator = parts[1] as ComparisonOperator;
  const unitName = parts[3];
  if (unitName === undefined) return { operator, limit: number };
  const unit = unitOf(unitName);
  if (unit === undefined)
    throw wrong(whole, `has the unknown unit ${JSON.stringify(unitName)}; known are ${UNIT_NAMES.join(", ")}`);
  return { operator, limit: toBaseUnit(number, unit), text: `${parts[2]}${unitName}` };
}

function unitNameOf(limit: string): string {
  return limit.replace(/^[+-]?[\d.]+(?:[eE][+-]?\d+)?/, "");
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

import { BecalmError } from "../../model/errors.ts";
import { toBaseUnit, UNIT_NAMES, type UnitFamily, unitOf } from "../records/units.ts";

export const COMPARISON_OPERATORS = [">", ">=", "<", "<=", "==", "!="] as const;

export type ComparisonOperator = (typeof COMPARISON_OPERATORS)[number];

/** `limit` is in the base unit; `text` is the limit as it was written, if it was written with a unit. */
export type Comparison = {
  readonly operator: ComparisonOperator;
  readonly limit: number;
  readonly text?: string;
  /** Compared is not the value but its change, in percent, against the mean of so many points before. */
  readonly changeOver?: number;
};

/** A point before the one that is looked at, and how many intervals lie between the two. */
export type EarlierPoint = { readonly value: number; readonly ticks: number };

/** Holds when all comparisons of any one list hold: `and` binds before `or`. */
export type Condition = readonly (readonly Comparison[])[];

const COMPARISON =
  /^\s*(?:value\s*|(change)\s*(?:\(\s*(\d{1,3})\s*\)\s*)?)?(>=|<=|==|!=|>|<)\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%][A-Za-z/]*)?\s*$/;

/** How many comparisons one condition may have. */
export const COMPARISON_COUNT_MAX = 32;

/** The points before that a change may be taken over. */
export const CHANGE_POINT_COUNT_MAX = 30;

/** The points before must not lie further back than so many times their number of intervals. */
const CHANGE_REACH_FACTOR = 2;

/**
 * A condition from its text: `> 90`, `>= 10 and < 20 or == 0`, with or without the word `value` before an operator; a
 * limit may carry its unit (`> 500ms`). `change > 50%` compares with the point before, `change(12) > 50%` with the mean
 * of the 12 points before. Throws BECALM_ARGUMENT_INVALID that says which part is wrong.
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

/**
 * `before`: the points before, the latest first, as many as `changeCountOf` says. A change that is not known meets no
 * limit.
 */
export function conditionHolds(condition: Condition, value: number, before: readonly EarlierPoint[] = []): boolean {
  return condition.some((all) => all.every((one) => comparisonHolds(one, value, before)));
}

function comparisonHolds(
  { operator, limit, changeOver }: Comparison,
  value: number,
  before: readonly EarlierPoint[],
): boolean {
  if (changeOver === undefined) return compare(operator, value, limit);
  const change = changeOf(value, before, changeOver);
  return change !== null && compare(operator, change, limit);
}

/** In percent; null: the points before are not there, or lie behind a hole. */
function changeOf(value: number, before: readonly EarlierPoint[], count: number): number | null {
  const farthest = before[count - 1];
  if (farthest === undefined || farthest.ticks > CHANGE_REACH_FACTOR * count) return null;
  let sum = 0;
  for (let at = 0; at < count; at += 1) sum += (before[at] as EarlierPoint).value;
  const mean = sum / count;
  if (mean === 0) return value === 0 ? 0 : Math.sign(value) * Number.MAX_VALUE;
  return ((value - mean) / Math.abs(mean)) * 100;
}

/** How many points before the condition looks at. */
export function changeCountOf(condition: Condition): number {
  return Math.max(0, ...condition.flat().map(({ changeOver }) => changeOver ?? 0));
}

/** The alternatives that hold for a value; else those that ask for its change; all of them if there is none. */
export function holdingAlternatives(condition: Condition, value: number): Condition {
  const holding = condition.filter((all) => conditionHolds([all], value));
  if (holding.length > 0) return holding;
  const ofChange = condition.filter((all) => changeCountOf([all]) > 0);
  return ofChange.length === 0 ? condition : ofChange;
}

/** The condition as text again: what an alert's summary says. */
export function conditionText(condition: Condition): string {
  return condition.map((all) => all.map(comparisonText).join(" and ")).join(" or ");
}

function comparisonText({ operator, limit, text, changeOver }: Comparison): string {
  const subject = changeOver === undefined ? "" : changeOver === 1 ? "change " : `change(${changeOver}) `;
  return `${subject}${operator} ${text ?? limit}`;
}

/** The families of the units that limits were written with. */
export function limitFamilies(condition: Condition): UnitFamily[] {
  const ofValues = condition.flat().filter(({ changeOver }) => changeOver === undefined);
  const units = ofValues.flatMap(({ text }) => (text === undefined ? [] : [unitNameOf(text)]));
  return units.flatMap((name) => unitOf(name)?.family ?? []);
}

/**
 * Values at which the condition can change, and one between and beyond each two: what holds at all of them holds
 * everywhere.
 */
function decisiveValues(...conditions: readonly Condition[]): number[] {
  const limits = [...new Set(conditions.flatMap((one) => one.flat().map(({ limit }) => limit)))].sort((a, b) => a - b);
  const between = limits.slice(1).map((limit, index) => ((limits[index] as number) + limit) / 2);
  const first = limits[0] ?? 0;
  const last = limits.at(-1) ?? 0;
  return [...limits, ...between, first - Math.abs(first) - 1, last + Math.abs(last) + 1];
}

/** Whether any value at all makes it hold. */
export function canHold(condition: Condition): boolean {
  return changeCountOf(condition) > 0 || decisiveValues(condition).some((value) => conditionHolds(condition, value));
}

/** Whether `wider` holds wherever `narrower` does. */
export function includesCondition(wider: Condition, narrower: Condition): boolean {
  // Of a change nothing is known without its series.
  if (changeCountOf(wider) > 0 || changeCountOf(narrower) > 0) return false;
  return decisiveValues(wider, narrower).every(
    (value) => !conditionHolds(narrower, value) || conditionHolds(wider, value),
  );
}

function comparisonOf(piece: string, whole: string): Comparison {
  const parts = COMPARISON.exec(piece);
  const number = Number(parts?.[4]);
  if (parts === null || !Number.isFinite(number)) {
    throw wrong(
      whole,
      `has the part ${JSON.stringify(piece.trim())}; expected one of ${COMPARISON_OPERATORS.join(" ")} and a number`,
    );
  }
  const operator = parts[3] as ComparisonOperator;
  const unitName = parts[5];
  if (parts[1] !== undefined) return changeComparison(parts, { operator, limit: number, whole });
  if (unitName === undefined) return { operator, limit: number };
  const unit = unitOf(unitName);
  if (unit === undefined)
    throw wrong(whole, `has the unknown unit ${JSON.stringify(unitName)}; known are ${UNIT_NAMES.join(", ")}`);
  return { operator, limit: toBaseUnit(number, unit), text: `${parts[4]}${unitName}` };
}

function changeComparison(
  parts: RegExpExecArray,
  { operator, limit, whole }: { operator: ComparisonOperator; limit: number; whole: string },
): Comparison {
  const changeOver = Number(parts[2] ?? 1);
  if (changeOver < 1 || changeOver > CHANGE_POINT_COUNT_MAX)
    throw wrong(whole, `has a change over ${changeOver} points; expected 1 to ${CHANGE_POINT_COUNT_MAX}`);
  if (parts[5] !== undefined && parts[5] !== "%")
    throw wrong(whole, `has a change in ${JSON.stringify(parts[5])}; a change is in percent`);
  return { operator, limit, changeOver, ...(parts[5] === undefined ? {} : { text: `${parts[4]}%` }) };
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

/**
 * What a strategy says that is allowed and is probably not meant: a level that can never fire, a limit without its
 * unit.
 */
import { baseUnitName, toBaseUnit, unitOf } from "../records/units.ts";
import { type Comparison, canHold, conditionText, includesCondition } from "./condition.ts";
import type { Level, Strategy } from "./strategy.ts";

/** A text of a filter that looks like an operator: it is compared as it stands. */
const OPERATOR_TEXT = /^(?:!=|=~|!~|[~!=<>])/;

/** One sentence a doubt; none: the strategy means what it says. */
export function strategyDoubts(strategy: Strategy): string[] {
  return [...levelDoubts(strategy), ...orderDoubts(strategy), ...unitDoubts(strategy), ...filterDoubts(strategy)];
}

function levelDoubts({ levels }: Strategy): string[] {
  return levels.flatMap(({ severity, when, recovery }) => {
    if (!canHold(when)) return [`level ${severity} can never fire: no value meets "${conditionText(when)}"`];
    if (recovery.when !== undefined && !canHold(recovery.when))
      return [`level ${severity} can never recover: no value meets "${conditionText(recovery.when)}"`];
    return [];
  });
}

/** The first level is the highest: while it is open no other opens. */
function orderDoubts({ levels }: Strategy): string[] {
  return levels.flatMap((lower, index) => {
    const hides = (higher: Level): boolean =>
      includesCondition(higher.when, lower.when) &&
      higher.trigger.count <= lower.trigger.count &&
      higher.trigger.window >= lower.trigger.window;
    const higher = levels.slice(0, index).find(hides);
    if (higher === undefined) return [];
    return [
      `level ${lower.severity} can never fire: level ${higher.severity} stands before it and fires first, for ` +
        `"${conditionText(higher.when)}" holds wherever "${conditionText(lower.when)}" does; put the highest level first`,
    ];
  });
}

/** `unit: ms` makes seconds of the values, so "> 500" means 500 s. */
function unitDoubts({ query, levels }: Strategy): string[] {
  const unit = query.unit === null ? undefined : unitOf(query.unit);
  if (unit === undefined || toBaseUnit(1, unit) === 1) return [];
  const bare = ({ text, limit, changeOver }: Comparison) =>
    text === undefined && limit !== 0 && changeOver === undefined;
  return levels.flatMap(({ severity, when }) => {
    const found = when.flat().find(bare);
    if (found === undefined) return [];
    return [
      `level ${severity} compares with ${found.limit} in the base unit, and the values come in ${query.unit}; ` +
        `write the limit with its unit: "${found.operator} ${found.limit}${query.unit}" or ` +
        `"${found.operator} ${found.limit}${baseUnitName(query.unit ?? "").trim()}"`,
    ];
  });
}

function filterDoubts({ query }: Strategy): string[] {
  return Object.entries(query.filter).flatMap(([field, test]) => {
    const texts = typeof test === "string" ? [test] : "in" in test ? test.in : test.notIn;
    const found = texts.find((text) => OPERATOR_TEXT.test(text));
    if (found === undefined) return [];
    return [
      `the filter of ${field} is compared with the very text ${JSON.stringify(found)}; ` +
        "write [a, b] for one of several, and { not: a } for everything else",
    ];
  });
}

import { hash } from "node:crypto";
import type { ConvergenceRule, DimensionValue } from "../model/convergence-rule.ts";
import { BecalmError } from "../model/errors.ts";
import { compareCodePoints } from "../model/utf8.ts";

/**
 * What an instance is compared by. For alerts these are the labels. A dimension that is absent counts as the empty
 * text.
 */
export type Dimensions = Readonly<Record<string, DimensionValue | undefined>>;

/** The part of a rule that says which instances belong together. */
export type DimensionRule = Pick<ConvergenceRule, "by" | "where"> & { readonly function: string };

/**
 * The key under which instances of a rule converge: `!sha1#` and 40 hex digits. Compatible with the system that the
 * rules come from, so that ids can be compared: the text hashed is `#<function>`, then `|<dimension>:<value>` in
 * code-point order of the dimensions. A dimension of `by` gives the instance's own value, one of `where` alone its
 * listed values in the configured order, whatever the instance's own is.
 */
export function dimensionKey(rule: DimensionRule, dimensions: Dimensions): string {
  return dimensionKeyOf(dimensionText(rule, dimensions));
}

/** The key of a text of `dimensionText`. */
export function dimensionKeyOf(text: string): string {
  return `!sha1#${hash("sha1", text)}`;
}

/** What instances that converge have in common, spelled out. */
export function dimensionText(rule: DimensionRule, dimensions: Dimensions): string {
  let text = `#${rule.function}`;
  for (const { name, listed } of knownOf(rule).dimensions) {
    if (listed === null) text += `|${name}:${valueText(ownValue(dimensions, name))}`;
    else for (const value of listed) text += `|${name}:${valueText(value)}`;
  }
  return text;
}

/** The dimensions whose own values tell the groups of a rule apart. */
export function comparedNames(rule: DimensionRule): readonly string[] {
  return knownOf(rule).compared;
}

/** `listed`: values of `where`; null: the instance's own value counts. */
type RuleDimension = { readonly name: string; readonly listed: readonly DimensionValue[] | null };

type Known = { readonly dimensions: readonly RuleDimension[]; readonly compared: readonly string[] };

/** A rule is read for every alert and never changes. */
const KNOWN = new WeakMap<DimensionRule, Known>();

function knownOf(rule: DimensionRule): Known {
  const before = KNOWN.get(rule);
  if (before !== undefined) return before;
  const dimensions = dimensionNames(rule).map((name) => ({
    name,
    listed: rule.by?.includes(name) === true ? null : (rule.where?.[name] ?? []),
  }));
  const known = { dimensions, compared: dimensions.flatMap(({ name, listed }) => (listed === null ? [name] : [])) };
  KNOWN.set(rule, known);
  return known;
}

/** Names of `by` and `where`, each once, in code-point order. */
function dimensionNames(rule: DimensionRule): string[] {
  return [...new Set([...(rule.by ?? []), ...Object.keys(rule.where ?? {})])].sort(compareCodePoints);
}

/** Own properties only: a label named `constructor` that an alert lacks must not be found on Object.prototype. */
export function ownValue(dimensions: Dimensions, name: string): DimensionValue {
  const value = Object.hasOwn(dimensions, name) ? dimensions[name] : "";
  return value === undefined ? "" : value;
}

/**
 * Does the rule govern an instance? Only if each dimension of `where` has one of its allowed values, those that `by`
 * names too. Values are compared as they are spelled in the key, so the label `"1"` is the allowed value `1`.
 * An instance that the rule does not govern runs as if its policy had no rule.
 */
export function ruleGoverns(rule: Pick<DimensionRule, "where">, dimensions: Dimensions): boolean {
  if (rule.where === undefined) return true;
  for (const [name, allowed] of Object.entries(rule.where)) {
    const text = valueText(ownValue(dimensions, name));
    if (!allowed.some((value) => valueText(value) === text)) return false;
  }
  return true;
}

/**
 * Spells a value as the key does: Python's words for null and booleans, plain decimals, a list's elements joined with
 * `,`.
 */
function valueText(value: DimensionValue): string {
  if (typeof value === "string") return value;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return plainDecimal(value);
  return value.map(valueText).join(",");
}

/** A number without an exponent: 1e21 is `1000000000000000000000`, 1e-7 is `0.0000001`. */
function plainDecimal(value: number): string {
  if (!Number.isFinite(value)) {
    throw new BecalmError(
      "BECALM_ARGUMENT_INVALID",
      `A dimension's value must be a finite number, got ${value}. Leave the dimension out, or give it as text.`,
    );
  }
  const [mantissa = "", exponentText] = String(value).split("e");
  if (exponentText === undefined) return mantissa;
  const sign = mantissa.startsWith("-") ? "-" : "";
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const digits = whole + fraction;
  const pointAt = whole.length + Number(exponentText);
  if (pointAt <= 0) return `${sign}0.${"0".repeat(-pointAt)}${digits}`;
  return sign + digits.padEnd(pointAt, "0");
}

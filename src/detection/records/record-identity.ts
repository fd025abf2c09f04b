import { hash } from "node:crypto";

/** Maps and lists inside a dimension may be nested this deep; deeper ones are a rejection, not a stack overflow. */
export const DIMENSION_DEPTH_MAX = 32;

const NOT_JSON_TYPES: ReadonlySet<string> = new Set(["bigint", "function", "symbol"]);

/**
 * The md5 by which series are told apart, equal to the reference system's for texts, booleans, null and integers.
 *
 * A scalar hashes its text in Python's words. A list hashes `['h1', 'h2']`, its elements' hashes sorted as text, so the
 * order of elements does not matter. A map is the list rule over its pairs, and a pair the list rule over { md5(key),
 * md5(hash of value) }.
 */
export function md5Of(value: unknown): string {
  if (Array.isArray(value)) return md5OfHashes(value.map(md5Of));
  if (typeof value === "object" && value !== null) {
    return md5OfHashes(Object.keys(value).map((key) => pairMd5(key, (value as Record<string, unknown>)[key])));
  }
  return md5OfText(pythonText(value));
}

/** The md5 of one pair of a map. */
export function pairMd5(key: string, value: unknown): string {
  return md5OfHashes([md5OfText(key), md5OfText(md5Of(value))]);
}

/** The list rule over hashes that are known already. Sorts `hashes` in place: pass an array of your own. */
export function md5OfHashes(hashes: string[]): string {
  if (hashes.length === 0) return md5OfText("[]");
  // Hashes are hex texts of one length, so code-unit order is Python's order.
  hashes.sort();
  return md5OfText(`['${hashes.join("', '")}']`);
}

export function md5OfText(text: string): string {
  return hash("md5", text);
}

/**
 * How Python prints a scalar: the words that both systems must agree on. Numbers are plain decimals, without an
 * exponent.
 */
export function pythonText(value: unknown): string {
  if (typeof value === "string") return value;
  if (value === null || value === undefined) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value !== "number") return String(value as bigint | symbol);
  return Number.isInteger(value) && Math.abs(value) >= 1e21 ? BigInt(value).toString() : String(value);
}

/**
 * Why `value` can be no dimension; null: it can. A program may give what JSON has no form for, which could be neither
 * hashed nor stored: a bigint, NaN, a function, a date. A whole number beyond 2^53 was rounded where it was read:
 * others became the same. Stops looking at the limit, so it is safe on any input.
 */
export function dimensionFault(
  value: unknown,
  depth = 0,
): "dimension_too_deep" | "dimension_not_json" | "dimension_not_exact" | null {
  if (typeof value === "number") {
    if (!Number.isFinite(value)) return "dimension_not_json";
    return Number.isInteger(value) && !Number.isSafeInteger(value) ? "dimension_not_exact" : null;
  }
  if (typeof value !== "object") return NOT_JSON_TYPES.has(typeof value) ? "dimension_not_json" : null;
  if (value === null) return null;
  if (depth >= DIMENSION_DEPTH_MAX) return "dimension_too_deep";
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return "dimension_not_json";
  const inner: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  for (const element of inner) {
    const fault = dimensionFault(element, depth + 1);
    if (fault !== null) return fault;
  }
  return null;
}

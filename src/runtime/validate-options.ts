/**
 * What a program gives is checked before anything is made of it: a slip of the hand would otherwise be seen much later,
 * or never.
 */

import { nearestName } from "../formats/nearest-name.ts";
import { BecalmError } from "../model/errors.ts";

const WORD_CHARS_MAX = 100;

/** What a value should be, and whether it is. `words`: it is one of these. */
export type Expected = {
  readonly what: string;
  readonly holds: (value: unknown) => boolean;
  readonly words?: readonly string[];
};

export function wholeNumber(min: number, max: number): Expected {
  const what =
    max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min} on` : `a whole number from ${min} to ${max}`;
  return { what, holds: (value) => Number.isSafeInteger(value) && Number(value) >= min && Number(value) <= max };
}

export function oneOf(words: readonly string[]): Expected {
  return { what: `one of ${words.join(", ")}`, holds: (value) => (words as readonly unknown[]).includes(value), words };
}

export function having(what: string, methods: readonly string[]): Expected {
  const has = (value: object, method: string) => typeof (value as Record<string, unknown>)[method] === "function";
  return { what, holds: (value) => isObject(value) && methods.every((method) => has(value, method)) };
}

export const TEXT: Expected = {
  what: "a text that is not empty",
  holds: (value) => typeof value === "string" && value !== "",
};
export const FLAG: Expected = { what: "true or false", holds: (value) => typeof value === "boolean" };
export const FUNCTIONS: Expected = {
  what: "an object of functions by their names",
  holds: (value) => isObject(value) && Object.values(value).every((member) => typeof member === "function"),
};
/** Checked where it is read. */
export const ANYTHING: Expected = { what: "anything", holds: () => true };

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/**
 * Throws BECALM_ARGUMENT_INVALID for a name that `call` does not take, and for a value that is not as expected.
 * Undefined is left out.
 */
export function validateOptions(call: string, given: unknown, expected: Readonly<Record<string, Expected>>): void {
  if (!isObject(given)) throw invalid(call, `takes an object, not ${shown(given)}.`);
  for (const [name, value] of Object.entries(given)) {
    const wanted = Object.hasOwn(expected, name) ? expected[name] : undefined;
    if (wanted === undefined) {
      const nearest = nearestName(name, Object.keys(expected));
      throw invalid(call, `has no option "${name}".${nearest === null ? "" : ` Did you mean ${nearest}?`}`);
    }
    if (value !== undefined && !wanted.holds(value))
      throw invalid(call, `takes for "${name}" ${wanted.what}, not ${shownAs(value, wanted)}`);
  }
}

/** One argument. */
export function requireArgument(call: string, expected: Expected, given: unknown): void {
  if (!expected.holds(given)) throw invalid(call, `takes ${expected.what}, not ${shown(given)}.`);
}

/** The same, and exactly one of them. */
export function validateOneOption(call: string, given: unknown, expected: Readonly<Record<string, Expected>>): void {
  const either = Object.keys(expected).map((name) => `{ ${name} }`);
  if (!isObject(given)) throw invalid(call, `takes ${either.join(" or ")}, not ${shown(given)}.`);
  validateOptions(call, given, expected);
  const names = Object.entries(given as object).filter(([, value]) => value !== undefined);
  if (names.length !== 1) throw invalid(call, `takes one of ${Object.keys(expected).join(" and ")}.`);
}

function invalid(call: string, what: string): BecalmError {
  return new BecalmError("BECALM_ARGUMENT_INVALID", `${call} ${what}`, { details: { call } });
}

/** Where a word is expected, no password is given: the word is repeated, so that its slip is seen. */
function shownAs(value: unknown, { words }: Expected): string {
  if (words === undefined || typeof value !== "string" || value === "") return `${shown(value)}.`;
  const nearest = nearestName(value, words);
  return `${JSON.stringify(value.slice(0, WORD_CHARS_MAX))}.${nearest === null ? "" : ` Did you mean ${nearest}?`}`;
}

/** A text may hold a password, so it is not repeated. */
function shown(value: unknown): string {
  if (typeof value === "string") return value === "" ? "an empty text" : "a text";
  if (typeof value === "number" || typeof value === "boolean" || value === undefined || value === null)
    return String(value);
  return Array.isArray(value) ? "a list" : `this ${typeof value === "function" ? "function" : "object"}`;
}

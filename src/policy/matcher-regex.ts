/**
 * Regular expressions of matchers are RE2's, as in Alertmanager, and must match the whole value. RE2 takes time that
 * grows with the value's length, never exponentially, so no pattern can hold the process up.
 */
import { RE2JS, RE2JSSyntaxException } from "re2js";
import { BecalmError } from "../model/errors.ts";

/** Does the pattern match the whole value? */
export type RegexTest = (value: string) => boolean;

// Labels repeat: a storm asks for the same few values again and again. RE2 takes ten times as long as looking one up.
const REMEMBERED_COUNT_MAX = 256;
const REMEMBERED_UNITS_MAX = 128;

/** The test for a pattern, which remembers its latest answers. Throws BECALM_ARGUMENT_INVALID for what RE2 refuses. */
export function compileRegex(pattern: string): RegexTest {
  const regex = parsed(pattern);
  const answers = new Map<string, boolean>();
  return (value) => {
    const known = answers.get(value);
    if (known !== undefined) return known;
    const matches = regex.matches(value);
    if (value.length <= REMEMBERED_UNITS_MAX) {
      if (answers.size >= REMEMBERED_COUNT_MAX) answers.clear();
      answers.set(value, matches);
    }
    return matches;
  };
}

function parsed(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (cause) {
    if (!(cause instanceof RE2JSSyntaxException)) throw cause;
    throw invalid(pattern, cause);
  }
}

/** RE2 names the part that it refuses; it gives no place for the whole pattern. */
function invalid(pattern: string, cause: RE2JSSyntaxException): BecalmError {
  const { error, input } = cause;
  const found = input === null || input === "" || input === pattern ? -1 : pattern.indexOf(input);
  const place = found === -1 ? "" : `: \`${input}\` at its character ${found + 1}`;
  const offset = Math.max(found, 0);
  const message = `The regular expression \`${pattern}\` is invalid for RE2: ${error}${place}`;
  return new BecalmError("BECALM_ARGUMENT_INVALID", `${message}${hint(error, input)}`, {
    cause,
    details: { pattern, offset },
  });
}

/** What people know from other engines and look for here. */
function hint(error: string, input: string | null): string {
  if (error.includes("Perl syntax") || input?.startsWith("(?<") === true) return ". RE2 has no look-around";
  if (error.includes("escape") && input !== null && /^\\[1-9]/.test(input)) return ". RE2 has no back-references";
  if (error.includes("repeat count"))
    return ". RE2 repeats at most 1000 times, repetitions inside repetitions multiplied";
  return "";
}

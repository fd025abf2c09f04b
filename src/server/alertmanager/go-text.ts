/** Texts as Alertmanager's libraries spell them, so that whoever compares messages finds the same ones. */
import { jsonErrorOffset } from "../../formats/json-position.ts";

/** Go's `%q` for the texts of labels. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

/** Why a body is not JSON, as Go's decoder says it. */
export function jsonMistake(text: string): string {
  const offset = jsonErrorOffset(text);
  if (offset >= text.length) return "unexpected EOF";
  return `invalid character '${String.fromCodePoint(text.codePointAt(offset) as number)}' looking for beginning of value`;
}

/** What Go calls the JSON type of a value. */
export function jsonType(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value !== null && typeof value === "object") return "object";
  return typeof value === "boolean" ? "bool" : typeof value;
}

const LAYOUT: readonly (readonly [element: string, pattern: RegExp])[] = [
  ["2006", /^\d{4}/],
  ["-", /^-/],
  ["01", /^\d{2}/],
  ["-", /^-/],
  ["02", /^\d{2}/],
  [" ", /^(?: |$)/],
  ["15", /^\d{2}/],
  [":", /^:/],
  ["04", /^\d{2}/],
  [":", /^:/],
  ["05", /^\d{2}/],
];

/** Why a text is not a time: the last layout that was tried is the one that is reported. */
export function timeMistake(text: string): string {
  let rest = text;
  for (const [element, pattern] of LAYOUT) {
    const found = pattern.exec(rest);
    if (found === null) return `${parsing(text)}: cannot parse ${quoted(rest)} as ${quoted(element)}`;
    rest = rest.slice(found[0].length);
  }
  return rest === "" ? `${parsing(text)}: day out of range` : `${parsing(text)}: extra text: ${quoted(rest)}`;
}

function parsing(text: string): string {
  return `parsing time ${quoted(text)} as "2006-01-02 15:04:05"`;
}

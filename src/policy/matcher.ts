import { BecalmError, messageOf } from "../model/errors.ts";
import { compileRegex } from "./matcher-regex.ts";
import { decodeClassic, decodeGo } from "./matcher-text.ts";

/** One label matcher in Alertmanager's syntax: `name="text"`, `!=`, `=~`, `!~`. */
export type Matcher = {
  readonly name: string;
  readonly operator: "=" | "!=" | "=~" | "!~";
  readonly value: string;
};

/**
 * Parses a list of matchers: `a="b"`, `a="b",c=~"d"` or `{a="b", c=~"d"}`; `{}` and the empty text are the empty list.
 * Names and values may be quoted; unquoted ones hold no white space and none of `{}!=~,"'` and the backtick.
 *
 * Escapes mean what they mean to Alertmanager, which asks its older parser first. If all names are classic ones without
 * quotes, only `\"`, `\\` and `\n` are escapes and every other backslash stands for itself, so `=~"10\.0\..*"` says
 * what it seems to say. Otherwise the UTF-8 parser reads the whole list: what is quoted is a string of Go (`\t`,
 * `\u00e9`, `\\.`), and what is not quoted has no backslash.
 *
 * Throws BECALM_ARGUMENT_INVALID with `details.offset` (UTF-16 units from the start of the text) at the first mistake,
 * an invalid regular expression included.
 */
export function parseMatchers(text: string): Matcher[] {
  const cursor: Cursor = { text, offset: 0 };
  skipSpace(cursor);
  const isBraced = take(cursor, "{");
  const found: Found[] = [];
  skipSpace(cursor);
  while (!atEnd(cursor, isBraced)) {
    found.push(readMatcher(cursor));
    skipSpace(cursor);
    // A comma after the last matcher is allowed, as in Alertmanager.
    if (!take(cursor, ",") && !atEnd(cursor, isBraced))
      throw mistake(cursor, isBraced ? "`,` or `}`" : "`,` or the end");
    skipSpace(cursor);
  }
  if (isBraced) {
    if (!take(cursor, "}")) throw mistake(cursor, "`}`");
    skipSpace(cursor);
  }
  if (cursor.offset < text.length) throw mistake(cursor, "the end");
  const isClassic = found.every(({ name }) => !name.isQuoted && CLASSIC_NAME.test(name.raw));
  return found.map((matcher) => decoded(text, matcher, isClassic));
}

/**
 * Does it match alerts without its label? As in Alertmanager `!=` and `!~` never count as such: they exclude something.
 */
export function matchesEmptyText({ operator, value }: Matcher): boolean {
  if (operator === "=") return value === "";
  return operator === "=~" && compileRegex(value)("");
}

type Labels = Readonly<Record<string, string>>;

/**
 * One predicate for a list of matchers: all must hold, the empty list holds for everything. A missing label is the
 * empty text. Regular expressions must match the whole value. Throws BECALM_ARGUMENT_INVALID for an invalid one.
 */
export function compileMatchers(matchers: readonly Matcher[]): (labels: Labels) => boolean {
  const tests = matchers.map(compileMatcher);
  return (labels) => tests.every((test) => test(labels));
}

function compileMatcher({ name, operator, value }: Matcher): (labels: Labels) => boolean {
  if (operator === "=") return (labels) => labelValue(labels, name) === value;
  if (operator === "!=") return (labels) => labelValue(labels, name) !== value;
  const matches = compileRegex(value);
  if (operator === "=~") return (labels) => matches(labelValue(labels, name));
  return (labels) => !matches(labelValue(labels, name));
}

/** What Object.prototype lends a label set (`constructor`, `toString`) is never text, so it reads as missing. */
function labelValue(labels: Labels, name: string): string {
  const value: unknown = labels[name];
  return typeof value === "string" ? value : "";
}

type Cursor = { readonly text: string; offset: number };

const SPACE = /\s*/y;
const UNQUOTED = /[^\s{}!=~,"'`]+/y;
const CLASSIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const OPERATOR = /=~|!~|!=|=/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/sy;

/** What the sticky pattern matches at the cursor, which moves behind it; null leaves the cursor where it is. */
function read(cursor: Cursor, pattern: RegExp): RegExpExecArray | null {
  pattern.lastIndex = cursor.offset;
  const found = pattern.exec(cursor.text);
  if (found !== null) cursor.offset += found[0].length;
  return found;
}

function skipSpace(cursor: Cursor): void {
  read(cursor, SPACE);
}

function take(cursor: Cursor, mark: string): boolean {
  if (!cursor.text.startsWith(mark, cursor.offset)) return false;
  cursor.offset += mark.length;
  return true;
}

function atEnd(cursor: Cursor, isBraced: boolean): boolean {
  return cursor.offset >= cursor.text.length || (isBraced && cursor.text[cursor.offset] === "}");
}

/** A text as it is written. `offset`: of its first character, or of the quote before it. */
type Written = { readonly raw: string; readonly offset: number; readonly isQuoted: boolean };

type Found = { readonly name: Written; readonly operator: Matcher["operator"]; readonly value: Written };

function readMatcher(cursor: Cursor): Found {
  const name = readText(cursor);
  if (name === null || name.raw === "") throw mistake(cursor, "a label's name");
  skipSpace(cursor);
  const operator = read(cursor, OPERATOR)?.[0] as Matcher["operator"] | undefined;
  if (operator === undefined) throw mistake(cursor, "one of = != =~ !~");
  skipSpace(cursor);
  const value = readText(cursor);
  if (value === null) throw mistake(cursor, 'a value (the empty one is "")');
  return { name, operator, value };
}

/** A quoted or unquoted text, or null when neither begins here. */
function readText(cursor: Cursor): Written | null {
  const { text, offset } = cursor;
  if (text[offset] !== '"') {
    const unquoted = read(cursor, UNQUOTED);
    return unquoted === null ? null : { raw: unquoted[0], offset, isQuoted: false };
  }
  const quoted = read(cursor, QUOTED);
  if (quoted === null)
    throw mistake({ ...cursor, offset: text.length }, `a closing quote for the one at character ${offset + 1}`);
  return { raw: quoted[1] as string, offset, isQuoted: true };
}

function decoded(text: string, { name, operator, value }: Found, isClassic: boolean): Matcher {
  const decode = (written: Written) => (isClassic ? decodeClassic(written.raw) : decodedGo(text, written));
  const matcher = { name: decode(name), operator, value: decode(value) };
  if (operator === "=~" || operator === "!~") checkRegex(matcher.value, { text, offset: value.offset });
  return matcher;
}

function decodedGo(text: string, { raw, offset, isQuoted }: Written): string {
  const start = offset + (isQuoted ? 1 : 0);
  if (!isQuoted && raw.includes("\\"))
    throw mistake({ text, offset: start + raw.indexOf("\\") }, "quotes around a text with a backslash");
  const value = decodeGo(raw);
  if (typeof value === "string") return value;
  throw mistake({ text, offset: start + value.offset }, value.expected);
}

function checkRegex(value: string, cursor: Cursor): void {
  try {
    compileRegex(value);
  } catch (cause) {
    throw new BecalmError("BECALM_ARGUMENT_INVALID", `${messageOf(cause)} (at ${where(cursor)})`, {
      cause,
      details: { text: cursor.text, offset: cursor.offset },
    });
  }
}

function mistake(cursor: Cursor, expected: string): BecalmError {
  const found =
    cursor.offset >= cursor.text.length
      ? "the text ends"
      : `there is ${JSON.stringify(cursor.text.slice(cursor.offset, cursor.offset + 12))}`;
  return new BecalmError("BECALM_ARGUMENT_INVALID", `Matcher expects ${expected} but ${found} at ${where(cursor)}`, {
    details: { text: cursor.text, offset: cursor.offset },
  });
}

function where(cursor: Cursor): string {
  return `character ${cursor.offset + 1} of ${JSON.stringify(cursor.text)}`;
}

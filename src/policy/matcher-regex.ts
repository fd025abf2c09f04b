/**
 * Regular expressions of matchers are written for Go's RE2; this file turns one into a JavaScript RegExp that means the same,
 * or refuses it. Anchored to the whole value. What differs from Go, all documented in docs/policies.md:
 * - refused because RE2 refuses it: look-around, back-references, repetitions above 1000;
 * - refused because JavaScript has no equal: flags other than `i` and `s`, flags anywhere but at the start, `\C`;
 * - the engine backtracks, so a pattern such as `(a+)+b` can be slow; label values are at most 4 KiB.
 */
import { BecalmError } from "../model/errors.ts";
import { MATCHER_REPEAT_COUNT_MAX } from "../model/limits.ts";

const compiled = new Map<string, RegExp>();
const COMPILED_COUNT_MAX = 4_000;

/** The RegExp for an RE2 pattern. It holds no position of its own, so it may be shared. Throws BECALM_ARGUMENT_INVALID. */
export function compileRegex(pattern: string): RegExp {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  const regex = translate(pattern);
  if (compiled.size >= COMPILED_COUNT_MAX) compiled.clear();
  compiled.set(pattern, regex);
  return regex;
}

function translate(pattern: string): RegExp {
  const [, flags = ""] = /^\(\?([a-zA-Z]*)\)/.exec(pattern) ?? [];
  for (const flag of flags) if (flag !== "i" && flag !== "s") throw unsupported(pattern, `the flag ${flag}`);
  const scan: Scan = {
    pattern,
    offset: flags === "" ? 0 : flags.length + 3,
    dot: flags.includes("s") ? "[^]" : "[^\\n]",
  };
  let source = "";
  while (scan.offset < pattern.length) source += element(scan);
  try {
    return new RegExp(`^(?:${source})$`, flags.includes("i") ? "iu" : "u");
  } catch (cause) {
    throw invalid(
      pattern,
      (cause as Error).message.replace(/^Invalid regular expression: .*\/[a-z]*: /, "").toLowerCase(),
    );
  }
}

type Scan = { readonly pattern: string; offset: number; readonly dot: string };

/** Translates the element at the offset, which moves behind it. */
function element(scan: Scan): string {
  const character = String.fromCodePoint(scan.pattern.codePointAt(scan.offset) as number);
  if (character === "\\") return translateEscape(scan, OUTSIDE);
  if (character === "[") return characterClass(scan);
  if (character === "(") return groupStart(scan);
  if (character === "{") return repetition(scan);
  scan.offset += character.length;
  if (character === ".") return scan.dot;
  return character === "}" || character === "]" ? `\\${character}` : character;
}

/** The start of a group: a plain one, `(?:`, or a named one. Everything else after `(?` is refused. */
function groupStart(scan: Scan): string {
  const [start, name] = /^\((?:\?(?::|P?<(?![=!])(\w+)>))?(?!\?)/.exec(scan.pattern.slice(scan.offset)) ?? [];
  if (start === undefined) {
    const shown = scan.pattern.slice(scan.offset, scan.offset + 4);
    throw unsupported(scan.pattern, `${shown} (look-around, or a flag that is not at the start)`);
  }
  scan.offset += start.length;
  return name === undefined ? start : `(?<${name}>`;
}

/** `{2}`, `{2,}`, `{2,5}`; any other brace is an ordinary character, as in Go. */
function repetition(scan: Scan): string {
  const [text, least, most] = /^\{(\d+)(?:,(\d*))?\}/.exec(scan.pattern.slice(scan.offset)) ?? [];
  if (text === undefined) {
    scan.offset += 1;
    return "\\{";
  }
  if (Math.max(Number(least), Number(most ?? 0)) > MATCHER_REPEAT_COUNT_MAX) {
    throw invalid(scan.pattern, `${text} repeats more than ${MATCHER_REPEAT_COUNT_MAX} times`);
  }
  scan.offset += text.length;
  return text;
}

/** What an escape becomes, which differs inside a class: there are no anchors, and `\S` must be written as ranges. */
type EscapeTable = { readonly isInClass: boolean; readonly named: Readonly<Record<string, string>> };

const COMMON = { a: "\\x07", f: "\\f", n: "\\n", r: "\\r", t: "\\t", v: "\\v", d: "\\d", D: "\\D", w: "\\w", W: "\\W" };
// Go's \s is ASCII without \v, JavaScript's has all of Unicode's spaces.
const OUTSIDE: EscapeTable = {
  isInClass: false,
  named: { ...COMMON, s: "[\\t\\n\\f\\r ]", S: "[^\\t\\n\\f\\r ]", b: "\\b", B: "\\B", A: "^", z: "$" },
};
const INSIDE: EscapeTable = {
  isInClass: true,
  named: { ...COMMON, s: "\\t\\n\\f\\r ", S: "\\0-\\x08\\x0b\\x0e-\\x1f!-\\u{10ffff}" },
};

/** Translates the escape at the offset, which moves behind it. */
function translateEscape(scan: Scan, table: EscapeTable): string {
  const rest = scan.pattern.slice(scan.offset);
  const next = rest[1];
  if (next === undefined) throw invalid(scan.pattern, "it ends with a backslash");
  if (next === "Q" && !table.isInClass) return literalRun(scan, rest);
  if (next === "p" || next === "P") return unicodeProperty(scan, rest);
  if (next === "x" || next === "0") return codePoint(scan, rest);
  scan.offset += 2;
  const known = Object.hasOwn(table.named, next) ? table.named[next] : undefined;
  if (known !== undefined) return known;
  if (/[\dkC]/.test(next)) throw unsupported(scan.pattern, `\\${next} (a back-reference or a single byte)`);
  if (/[!-/:-@[-`{-~]/.test(next)) return literal(next);
  throw invalid(scan.pattern, `\\${next} is no escape`);
}

/** A character that stands for itself, inside a class and outside. */
function literal(character: string): string {
  return /[\^$\\.*+?()[\]{}|/-]/.test(character) ? `\\x${character.charCodeAt(0).toString(16)}` : character;
}

function literalRun(scan: Scan, rest: string): string {
  const end = rest.indexOf("\\E");
  const text = rest.slice(2, end === -1 ? undefined : end);
  scan.offset += end === -1 ? rest.length : end + 2;
  return [...text].map(literal).join("");
}

/** `\pL`, `\p{Lu}`, `\p{Greek}`, `\p{^Greek}`: general categories have at most two letters, scripts have more. */
function unicodeProperty(scan: Scan, rest: string): string {
  const [text, letter, braced] = /^\\[pP](?:([A-Z])|\{(\^?\w+)\})/.exec(rest) ?? [];
  if (text === undefined) throw invalid(scan.pattern, `${rest.slice(0, 3)} names no Unicode class`);
  scan.offset += text.length;
  const isNegated = (text[1] === "P") !== (braced?.startsWith("^") ?? false);
  const name = letter ?? (braced as string).replace("^", "");
  return `\\${isNegated ? "P" : "p"}{${name.length > 2 ? `Script=${name}` : name}}`;
}

/** `\x7F`, `\x{10FFFF}`, and octal `\012`. */
function codePoint(scan: Scan, rest: string): string {
  const [text, short, long, octal] = /^\\(?:x([0-9a-fA-F]{2})|x\{([0-9a-fA-F]{1,6})\}|(0[0-7]{0,2}))/.exec(rest) ?? [];
  if (text === undefined) throw invalid(scan.pattern, `${rest.slice(0, 4)} names no character`);
  scan.offset += text.length;
  const value = octal === undefined ? Number.parseInt((short ?? long) as string, 16) : Number.parseInt(octal, 8);
  return `\\u{${value.toString(16)}}`;
}

const POSIX_CLASSES: Readonly<Record<string, string>> = {
  alnum: "0-9A-Za-z",
  alpha: "A-Za-z",
  ascii: "\\0-\\x7f",
  blank: "\\t ",
  cntrl: "\\0-\\x1f\\x7f",
  digit: "0-9",
  graph: "!-~",
  lower: "a-z",
  print: " -~",
  punct: "!-\\/:-@\\[-`{-~",
  space: "\\t\\n\\v\\f\\r ",
  upper: "A-Z",
  word: "0-9A-Za-z_",
  xdigit: "0-9A-Fa-f",
};

/** A class `[...]`; a `]` that comes first stands for itself, `[:alpha:]` and its like are written out. */
function characterClass(scan: Scan): string {
  const { pattern } = scan;
  scan.offset += 1;
  let source = "[";
  if (pattern[scan.offset] === "^") {
    source += "^";
    scan.offset += 1;
  }
  for (let isFirst = true; isFirst || pattern[scan.offset] !== "]"; isFirst = false) {
    if (scan.offset >= pattern.length) throw invalid(pattern, "a `[` is not closed");
    source += classElement(scan);
  }
  scan.offset += 1;
  return `${source}]`;
}

function classElement(scan: Scan): string {
  const rest = scan.pattern.slice(scan.offset);
  if (rest[0] === "\\") return translateEscape(scan, INSIDE);
  const [posix, name] = /^\[:(\^?\w+):\]/.exec(rest) ?? [];
  if (posix !== undefined) {
    scan.offset += posix.length;
    const ranges = POSIX_CLASSES[name as string];
    if (ranges === undefined) throw unsupported(scan.pattern, `the class ${posix}`);
    return ranges;
  }
  const character = String.fromCodePoint(rest.codePointAt(0) as number);
  scan.offset += character.length;
  return character === "]" || character === "[" ? `\\${character}` : character;
}

function invalid(pattern: string, why: string): BecalmError {
  return new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `The regular expression ${JSON.stringify(pattern)} is invalid: ${why}`,
    {
      details: { pattern },
    },
  );
}

function unsupported(pattern: string, what: string): BecalmError {
  return new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `The regular expression ${JSON.stringify(pattern)} uses ${what}, which matchers do not support`,
    { details: { pattern } },
  );
}

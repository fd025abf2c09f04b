/** `?filter=`, `?receiver=`, `?active=` and their like, with Alertmanager's meaning and texts. Pure. */
import { compileMatchers, type Matcher } from "../../policy/matcher.ts";
import { compileRegex } from "../../policy/matcher-regex.ts";
import { refusedText } from "./protocol-refusal.ts";

type Labels = Readonly<Record<string, string>>;

/** A name, an operator and a value; the name may be quoted, as Alertmanager allows since 0.28. */
const MATCHER = /^\s*([a-zA-Z_:][a-zA-Z0-9_:]*|"(?:[^"\\]|\\.)+")\s*(=~|=|!=|!~)\s*(.*?)\s*$/s;

export function parseFilters(filters: readonly string[]): Matcher[] {
  return filters.map(parseFilter);
}

function parseFilter(filter: string): Matcher {
  const found = MATCHER.exec(filter);
  if (found === null) throw refusedText(400, `bad matcher format: ${filter}`);
  const [, rawName = "", operator, rawValue = ""] = found;
  const name = rawName.startsWith('"') ? unescaped(rawName.slice(1, -1)) : rawName;
  return { name, operator: operator as Matcher["operator"], value: matcherValue(rawValue) };
}

/** Quotes are optional, but none may stand in the middle without a backslash. */
function matcherValue(raw: string): string {
  const isQuoted = raw.startsWith('"');
  const body = isQuoted ? raw.slice(1) : raw;
  const inner = isQuoted && /(?:^|[^\\])(?:\\\\)*"$/.test(body) ? body.slice(0, -1) : body;
  const isClosed = !isQuoted || inner.length < body.length;
  if (!isClosed || /^(?:[^"\\]|\\.)*"/s.test(inner))
    throw refusedText(400, `matcher value contains unescaped double quote: ${raw}`);
  return unescaped(inner);
}

function unescaped(text: string): string {
  return text.replace(/\\(["\\n])/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
}

/** One predicate for all filters. A missing label is the empty text. */
export function compileFilters(matchers: readonly Matcher[]): (labels: Labels) => boolean {
  for (const { operator, value } of matchers)
    if (operator === "=~" || operator === "!~") requireRegex(value, (why) => why);
  return compileMatchers(matchers);
}

export function compileReceiver(pattern: string | null): (name: string) => boolean {
  if (pattern === null || pattern === "") return () => true;
  const regex = requireRegex(pattern, (why) => `failed to parse receiver param: ${why}`);
  return (name) => regex(name);
}

function requireRegex(pattern: string, spell: (why: string) => string): (value: string) => boolean {
  try {
    return compileRegex(pattern);
  } catch {
    throw refusedText(400, spell(regexMistake(`^(?:${pattern})$`)));
  }
}

/** Why an expression is refused, as Go says it. */
export function regexMistake(pattern: string): string {
  try {
    compileRegex(pattern);
  } catch (error) {
    const { error: why, input } = ((error as Error).cause ?? {}) as { error?: string; input?: string };
    if (why !== undefined) return `error parsing regexp: ${why}: \`${input ?? pattern}\``;
  }
  return `error parsing regexp: invalid: \`${pattern}\``;
}

const TRUE_WORDS = ["1", "true", "yes", "ok", "y", "on", "selected", "checked", "t", "enabled"];

/** The last value of a flag counts; any word that does not say yes says no. */
export function flag(query: URLSearchParams, name: string): boolean {
  const given = query.getAll(name).at(-1);
  if (given === undefined || given === "") return true;
  return TRUE_WORDS.includes(given.toLowerCase());
}

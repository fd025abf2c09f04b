import type { Matcher } from "./matcher.ts";

/** A matcher in the syntax in which it was written; `parseMatchers` reads it back. */
export function matcherSource({ name, operator, value }: Matcher): string {
  return `${/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name) ? name : quoted(name)}${operator}${quoted(value)}`;
}

function quoted(text: string): string {
  return `"${text.replace(/["\\\n]/g, (character) => (character === "\n" ? "\\n" : `\\${character}`))}"`;
}

import type { Matcher } from "../policy/matcher.ts";

/** Matchers as people write them: `a="b",c=~"d"`. */
export function matchersText(matchers: readonly Matcher[]): string {
  return matchers.map(({ name, operator, value }) => `${name}${operator}${JSON.stringify(value)}`).join(",");
}

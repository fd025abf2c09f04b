/** Which alerts policies can concern at all, as far as their matchers say so by themselves. */
import { canonicalJson } from "../model/canonical-json.ts";
import { compileMatchers, type Matcher } from "./matcher.ts";
import type { Action, Policy } from "./policy.ts";

/** The label whose matchers contradict each other, so that no alert has all of them; null: none. */
export function contradiction(match: readonly Matcher[]): string | null {
  const names = new Set(match.map(({ name }) => name));
  for (const name of names) {
    const own = match.filter((matcher) => matcher.name === name);
    const values = wantedValues(own);
    const matches = compileMatchers(own);
    if (values !== null && !values.some((value) => matches(value === "" ? {} : { [name]: value }))) return name;
  }
  return null;
}

/** The label of `where` of which the policy matches no allowed value, so that its rule governs nobody; null: none. */
export function ungoverned({ match, converge }: Policy): string | null {
  for (const [name, allowed] of Object.entries(converge?.where ?? {})) {
    const values = wantedValues(match.filter((matcher) => matcher.name === name));
    const texts = allowed.map(String);
    if (values !== null && !values.some((value) => texts.includes(value))) return name;
  }
  return null;
}

/** Pairs of policies that do the same to an alert that both match. A log line twice does no harm. */
export function sharedActions(policies: readonly Policy[]): readonly (readonly [Policy, Policy])[] {
  const byAction = new Map<string, Policy[]>();
  for (const policy of policies) {
    const key = deedOf(policy.action);
    if (key === null || policy.mode === "observe") continue;
    const others = byAction.get(key);
    if (others === undefined) byAction.set(key, [policy]);
    else others.push(policy);
  }
  return [...byAction.values()].flatMap((same) =>
    same.flatMap((one, index) =>
      same
        .slice(index + 1)
        .filter((other) => contradiction([...one.match, ...other.match]) === null)
        .map((other) => [one, other] as const),
    ),
  );
}

/** The only values that a label may have, if a matcher lists them: `a="b"`, or `a=~"b|c"` of plain words. */
function wantedValues(match: readonly Matcher[]): readonly string[] | null {
  const exact = match.find(({ operator }) => operator === "=");
  if (exact !== undefined) return [exact.value];
  const listed = match.find(({ operator, value }) => operator === "=~" && /^[\w-]+(\|[\w-]+)*$/.test(value));
  return listed?.value.split("|") ?? null;
}

/** What is done outside; null: nothing that could be done twice. */
function deedOf(action: Action): string | null {
  switch (action.kind) {
    case "log":
      return null;
    case "webhook":
      return canonicalJson(["webhook", action.url]);
    case "exec":
      return canonicalJson(["exec", ...action.command]);
    case "handler":
      return canonicalJson(["handler", action.name]);
  }
}

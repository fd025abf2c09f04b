/** `--assume POLICY=failed,ok` of `becalm run`: what a simulation takes the attempts of a policy to end with. */
import type { Assumed, Assumptions } from "../effects/simulated-effects.ts";
import { nearestName } from "../formats/nearest-name.ts";
import { usedWrongly } from "./exit-codes.ts";

const WORDS: readonly string[] = ["ok", "failed"] satisfies Assumed[];

/** The last of two for one policy counts. */
export function readAssumptions(given: readonly string[], policyNames: readonly string[]): Assumptions {
  return new Map(given.map((text) => readAssumption(text, policyNames)));
}

function readAssumption(text: string, policyNames: readonly string[]): [string, readonly Assumed[]] {
  const [policy = "", pattern = ""] = text.split(/=(.*)/s);
  const words = pattern.split(",");
  const odd = words.find((word) => !WORDS.includes(word));
  if (odd !== undefined)
    throw usedWrongly(
      `--assume takes POLICY=PATTERN, and a pattern is ok and failed, one for each attempt of an instance and the last one for all that follow: restart-web=failed,ok. "${text}" has ${odd === "" ? "no word" : `"${odd}"`} there.`,
    );
  if (policy !== "*" && !policyNames.includes(policy))
    throw usedWrongly(`--assume: ${unknownPolicy(policy, policyNames)}`);
  return [policy, words as Assumed[]];
}

/** A sentence about a policy that is not there. */
export function unknownPolicy(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  const meant = nearest === null ? "" : ` Did you mean "${nearest}"?`;
  const all = known.length === 0 ? "There are none." : `There ${known.length === 1 ? "is" : "are"} ${listed(known)}.`;
  return `unknown policy "${name}".${meant} ${all}`;
}

const NAMED_COUNT_MAX = 12;

function listed(names: readonly string[]): string {
  const more = names.length > NAMED_COUNT_MAX ? `, and ${names.length - NAMED_COUNT_MAX} more` : "";
  return names.slice(0, NAMED_COUNT_MAX).join(", ") + more;
}

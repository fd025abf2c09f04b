/** Without this, a misspelt option would count as left out: a store would open the default namespace. */
import { nearestName } from "../formats/nearest-name.ts";
import { invalid } from "./store-rules.ts";

/** @throws BECALM_ARGUMENT_INVALID */
export function requireKnownOptions(call: string, given: object, known: readonly string[]): void {
  if (typeof given !== "object" || given === null) throw invalid(`The options of ${call} are an object.`);
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const nearest = nearestName(unknown, known);
  throw invalid(`${call} has no option "${unknown}".${nearest === null ? "" : ` Did you mean ${nearest}?`}`);
}

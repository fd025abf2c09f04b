/** The files of `becalm serve` that are read again while it runs. */
import { loadPolicySet } from "../formats/policy-file.ts";
import { loadStrategies } from "../formats/strategy-file.ts";
import { BecalmError } from "../model/errors.ts";
import type { Rules } from "../server/policy-source.ts";
import { readText } from "./read-text.ts";

export type RuleFiles = { readonly policies: string; readonly strategies?: string; readonly shadow?: string };

/** Reads all files. Throws an error that lists the mistakes of all. */
export async function readRules({ policies, strategies, shadow }: RuleFiles): Promise<Rules> {
  const [policyText, strategyText, shadowText] = await Promise.all([
    readText(policies),
    strategies === undefined ? null : readText(strategies),
    shadow === undefined ? null : readText(shadow),
  ]);
  const mistaken: BecalmError[] = [];
  const read = <T>(load: () => T): T | null => {
    try {
      return load();
    } catch (error) {
      if (!(error instanceof BecalmError)) throw error;
      mistaken.push(error);
      return null;
    }
  };
  const set = read(() => loadPolicySet(policyText, { file: policies }));
  const loaded =
    strategyText === null ? null : read(() => loadStrategies(strategyText, { file: strategies ?? "strategies" }));
  const candidate = shadowText === null ? null : read(() => loadPolicySet(shadowText, { file: shadow ?? "shadow" }));
  const [first, ...others] = mistaken;
  if (first !== undefined && others.length > 0) {
    const texts = mistaken.map(({ message }) => message);
    throw new BecalmError("BECALM_POLICY_INVALID", texts.join("\n"), { details: first.details });
  }
  if (first !== undefined) throw first;
  const rules = { policies: set as NonNullable<typeof set>, strategies: loaded };
  return candidate === null ? rules : { ...rules, shadow: candidate };
}

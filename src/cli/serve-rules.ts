/** The files of `becalm serve` that are read again while it runs. */
import { loadPolicySet } from "../formats/policy-file.ts";
import { loadStrategies } from "../formats/strategy-file.ts";
import { BecalmError } from "../model/errors.ts";
import type { Rules } from "../server/policy-source.ts";
import { readText } from "./read-text.ts";

export type RuleFiles = { readonly policies: string; readonly strategies?: string };

/** Reads both files. Throws an error that lists the mistakes of both. */
export async function readRules({ policies, strategies }: RuleFiles): Promise<Rules> {
  const [policyText, strategyText] = await Promise.all([
    readText(policies),
    strategies === undefined ? null : readText(strategies),
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
  const [first, second] = mistaken;
  if (first !== undefined && second !== undefined)
    throw new BecalmError("BECALM_POLICY_INVALID", `${first.message}\n${second.message}`, { details: first.details });
  if (first !== undefined) throw first;
  return { policies: set as NonNullable<typeof set>, strategies: loaded };
}

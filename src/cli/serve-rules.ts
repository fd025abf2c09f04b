/** The files of `becalm serve` that are read again while it runs: its rules, who may call, and its certificate. */
import { loadPolicySet } from "../formats/policy-file.ts";
import { loadStrategies } from "../formats/strategy-file.ts";
import { BecalmError } from "../model/errors.ts";
import type { PolicySet } from "../policy/policy.ts";
import { readTokens, type TokenBook } from "../server/auth/tokens.ts";
import { readTls, type TlsFiles, type TlsIdentity } from "../server/http/listener.ts";
import type { Rules } from "../server/policy-source.ts";
import { readText } from "./read-text.ts";

export type ServedFiles = {
  readonly policies: string;
  readonly strategies?: string;
  readonly shadow?: string;
  readonly tokens?: string;
  readonly tls: TlsFiles | null;
};

export type Served = Rules & { readonly tokens: TokenBook | null; readonly tls: TlsIdentity | null };

/** Reads all files. Throws an error that lists the mistakes of all. */
export async function readServed({ policies, strategies, shadow, tokens, tls }: ServedFiles): Promise<Served> {
  const [policyText, strategyText, shadowText] = await Promise.all([
    readText(policies),
    strategies === undefined ? null : readText(strategies),
    shadow === undefined ? null : readText(shadow),
  ]);
  const mistakes = new Mistakes();
  const set = mistakes.collect(() => requireSome(loadPolicySet(policyText, { file: policies }), policies));
  const served = {
    strategies:
      strategyText === null
        ? null
        : mistakes.collect(() => loadStrategies(strategyText, { file: strategies ?? "strategies" })),
    tokens: tokens === undefined ? null : mistakes.collect(() => readTokens(tokens)),
    tls: tls === null ? null : mistakes.collect(() => readTls(tls)),
  };
  const candidate =
    shadowText === null ? null : mistakes.collect(() => loadPolicySet(shadowText, { file: shadow ?? "shadow" }));
  mistakes.throwIfAny();
  const whole = { ...served, policies: set as PolicySet };
  return candidate === null ? whole : { ...whole, shadow: candidate };
}

/** A list that is empty is rather a file that was cut short, or is about to be written, than what somebody wants. */
function requireSome(set: PolicySet, file: string): PolicySet {
  if (set.policies.length > 0) return set;
  throw new BecalmError(
    "BECALM_POLICY_INVALID",
    `${file} has no policies: every alert would be taken, and nothing done about any. Write a policy (docs/policies.md); to stop actions for a while, use \`becalm pause\`.`,
    { details: { file } },
  );
}

class Mistakes {
  readonly #errors: BecalmError[] = [];

  /** null: a mistake. */
  collect<T>(load: () => T): T | null {
    try {
      return load();
    } catch (error) {
      if (!(error instanceof BecalmError)) throw error;
      this.#errors.push(error);
      return null;
    }
  }

  throwIfAny(): void {
    const [first, ...others] = this.#errors;
    if (first === undefined) return;
    if (others.length === 0) throw first;
    const text = this.#errors.map(({ message }) => message).join("\n");
    throw new BecalmError(first.code, text, { details: first.details });
  }
}

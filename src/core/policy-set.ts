import { compileMatchers } from "./matcher.ts";
import type { Policy, PolicySet, Silence } from "./policy.ts";

type Labels = Readonly<Record<string, string>>;

/** A policy set with its matchers compiled once: what the path of an alert asks. */
export type CompiledPolicySet = {
  readonly policySet: PolicySet;
  /** Policies whose matchers all hold, in file order: each gets its own instance of the episode. */
  policiesFor(labels: Labels): Policy[];
  /** The first silence in file order that matches and is active at `atMs` (`fromMs <= atMs < toMs`), or null. */
  silenceFor(labels: Labels, atMs: number): Silence | null;
  /** The policy of that name, or null. */
  policyNamed(name: string): Policy | null;
};

/** Compiles a policy set. Throws BECALM_ARGUMENT_INVALID for an invalid regular expression, which a parsed set has none of. */
export function compilePolicySet(policySet: PolicySet): CompiledPolicySet {
  const policies = policySet.policies.map((policy) => ({ policy, matches: compileMatchers(policy.match) }));
  const silences = policySet.silences.map((silence) => ({ silence, matches: compileMatchers(silence.match) }));
  const byName = new Map(policySet.policies.map((policy) => [policy.name, policy]));
  return {
    policySet,
    policiesFor: (labels) => policies.filter(({ matches }) => matches(labels)).map(({ policy }) => policy),
    silenceFor: (labels, atMs) =>
      silences.find(({ silence, matches }) => silence.fromMs <= atMs && atMs < silence.toMs && matches(labels))
        ?.silence ?? null,
    policyNamed: (name) => byName.get(name) ?? null,
  };
}

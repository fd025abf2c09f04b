import type { Alert } from "../model/alert.ts";
import { episodeTagOf } from "../model/ids.ts";
import type { InstancePolicy } from "../model/instance-types.ts";
import { WAIT_MS_MIN } from "../model/limits.ts";
import { compileMatchers, type Matcher } from "./matcher.ts";
import { actionTimeoutMs, type Policy } from "./policy.ts";

/** A policy version as the engine uses it. */
export type CompiledPolicy = {
  readonly policy: Policy;
  readonly matches: (labels: Alert["labels"]) => boolean;
  /** The policy in the keys of its alerts' episodes. */
  readonly episodeTag: string;
  /**
   * What the machine's guards read: for an instance that the rule governs, for one that no rule governs, and for a
   * notice.
   */
  readonly governed: InstancePolicy;
  readonly ungoverned: InstancePolicy;
  readonly notice: InstancePolicy;
};

/** Every policy version of the namespace, by `name@version`: instances keep the one that they were made under. */
export type PolicyVersions = ReadonlyMap<string, CompiledPolicy>;

export function policyKey(policy: { name: string; version: string }): string {
  return `${policy.name}@${policy.version}`;
}

export function compilePolicy(policy: Policy): CompiledPolicy {
  const rule = policy.converge;
  const verifyMs = policy.verify?.resolvedWithinMs ?? null;
  const waitMs = Math.max(WAIT_MS_MIN, actionTimeoutMs(policy.action), rule?.maxWindowMs ?? rule?.windowMs ?? 0);
  const ungoverned: InstancePolicy = {
    function: null,
    retry: policy.retry,
    approvalTimeoutMs: policy.approval.timeoutMs,
    waitLimitMs: waitMs + (verifyMs ?? 0),
    keepOnResolved: policy.onResolved === "keep",
    verifyMs,
    again: policy.again ?? null,
    isSilenceFinal: policy.afterSilence === "skip",
  };
  return {
    policy,
    matches: matchesLater(policy.match),
    episodeTag: episodeTagOf(policy.name),
    governed: { ...ungoverned, function: rule?.function ?? null },
    ungoverned,
    notice: { ...ungoverned, verifyMs: null, again: null },
  };
}

/** Compiled when the first alert asks: an earlier version of a policy is kept for its instances and never asked. */
function matchesLater(match: readonly Matcher[]): CompiledPolicy["matches"] {
  let matches: CompiledPolicy["matches"] | null = null;
  return (labels) => {
    matches ??= compileMatchers(match);
    return matches(labels);
  };
}

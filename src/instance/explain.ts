import { type Verdict, type VerdictKind, verdictInGroup, verdictWithoutGroup } from "../convergence/convergence.ts";
import type { InstanceEvent, InstancePolicy, StartEvent } from "../model/instance-types.ts";
import type { ReasonCode } from "../model/reasons.ts";
import type { Instance } from "./checkpoint.ts";
import type { Step } from "./step.ts";

/** What a step means to people. `lasting`: the instance keeps it as the reason of where it is; otherwise only the entry has it. */
export type Explanation = {
  /** null: the step brings no verdict; the instance keeps the last one. */
  readonly verdict: VerdictKind | null;
  readonly reason: ReasonCode;
  readonly lasting: boolean;
  /** Skipped by its convergence function: what a summary counts. */
  readonly isConverged: boolean;
};

type Accepted = Step & { accepted: true };

/** Verdict and reason code of an accepted step. */
export function explain(instance: Instance, event: InstanceEvent, taken: Accepted): Explanation {
  switch (event.type) {
    case "start":
      return explainStart(instance, event);
    case "peers.settled":
      return converged(
        verdictInGroup(
          instance.snapshot.context.policy.function ?? "relevance",
          event.group.count,
          event.group.observation,
        ),
      );
    case "effect.done":
      return passing(null, "succeeded");
    case "effect.failed":
      return explainFailure(taken);
    case "timer.elapsed":
      if (event.timer === "retry") return passing(null, "retried");
      return lasting("skip", event.timer === "wait" ? "wait_timeout" : "approval_timeout");
    case "approval.requested":
      return passing(null, "approval_requested");
    case "approval.granted":
      return lasting("run", "approved");
    case "approval.denied":
      return lasting("skip", "approval_denied");
    case "alert.resolved":
      return lasting("skip", "alert_resolved");
    case "cancel":
      return taken.snapshot.state === "Skipped"
        ? lasting("skip", event.reason ?? "cancelled")
        : lasting(null, "cancelled");
    case "end":
      return lasting(null, "closed");
  }
}

function explainStart(instance: Instance, event: StartEvent): Explanation {
  if (event.approved === true) return lasting("run", "run_anyway");
  if (event.silence !== null) return lasting("skip", "silenced");
  const { policy } = instance.snapshot.context;
  const explanation = converged(verdictOnStart(policy, event));
  return policy.function === null || event.group === null ? { ...explanation, isConverged: false } : explanation;
}

/** What the convergence function says to a start, silence aside. */
export function verdictOnStart({ function: fn }: InstancePolicy, { group }: StartEvent): Verdict {
  return fn === null || group === null ? verdictWithoutGroup(fn) : verdictInGroup(fn, group.count, group.observation);
}

function explainFailure(taken: Accepted): Explanation {
  if (taken.snapshot.state === "Waiting") return lasting("approve", "retries_exhausted");
  return taken.snapshot.context.timers.retry === undefined ? lasting(null, "failed") : passing(null, "retry_scheduled");
}

function converged(verdict: Verdict): Explanation {
  return { ...lasting(verdict.verdict, verdict.reason), isConverged: verdict.verdict === "skip" };
}

function lasting(verdict: VerdictKind | null, reason: ReasonCode): Explanation {
  return { verdict, reason, lasting: true, isConverged: false };
}

function passing(verdict: VerdictKind | null, reason: ReasonCode): Explanation {
  return { verdict, reason, lasting: false, isConverged: false };
}

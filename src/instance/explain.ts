import { type Verdict, type VerdictKind, verdictInGroup, verdictWithoutGroup } from "../convergence/convergence.ts";
import type {
  FiringTimerName,
  InstanceEvent,
  InstancePolicy,
  ReconsiderEvent,
  StartEvent,
} from "../model/instance-types.ts";
import type { ReasonCode } from "../model/reasons.ts";
import type { Instance } from "./checkpoint.ts";
import type { Step } from "./step.ts";

/**
 * What a step means to people. `lasting`: the instance keeps it as the reason of where it is; otherwise only the entry
 * has it.
 */
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
      return explainStart(instance, event, taken);
    case "peers.settled":
      return explainSettled(instance, event, taken);
    case "reconsider":
      return explainReconsidered(instance, event, taken);
    case "effect.done":
      return passing(null, doneReason(event, taken));
    case "effect.failed":
      return explainFailure(taken, "failed");
    case "timer.elapsed":
      return explainTimer(event.timer, taken);
    case "approval.requested":
      return passing(null, "approval_requested");
    case "approval.counted":
      return passing(null, "approval_counted");
    case "approval.granted":
      return lasting("run", "approved");
    case "approval.denied":
      return lasting("skip", "approval_denied");
    case "alert.resolved":
      return explainResolved(event, taken);
    case "cancel":
      return taken.snapshot.state === "Skipped"
        ? lasting("skip", event.reason ?? "cancelled")
        : lasting(null, "cancelled");
    case "end":
      return lasting(null, "closed");
  }
}

function explainStart(instance: Instance, event: StartEvent | ReconsiderEvent, taken: Accepted): Explanation {
  if (event.type === "start" && event.approved === true) return lasting("run", "run_anyway");
  if (event.silence !== null) return lasting("skip", "silenced");
  if (taken.snapshot.context.paused) return lasting("approve", "paused");
  const { policy } = instance.snapshot.context;
  const explanation = converged(verdictOnStart(policy, event));
  return policy.function === null || event.group === null ? { ...explanation, isConverged: false } : explanation;
}

function explainReconsidered(instance: Instance, event: ReconsiderEvent, taken: Accepted): Explanation {
  return taken.path.includes("Idle") ? explainStart(instance, event, taken) : passing(null, "episode_over");
}

function explainSettled(
  { snapshot }: Instance,
  { group }: InstanceEvent & { type: "peers.settled" },
  taken: Accepted,
): Explanation {
  if (taken.snapshot.context.paused) return lasting("approve", "paused");
  return converged(verdictInGroup(snapshot.context.policy.function ?? "relevance", group.count, group.observation));
}

function doneReason({ observed }: InstanceEvent & { type: "effect.done" }, taken: Accepted): ReasonCode {
  if (observed === true) return "observed";
  return taken.snapshot.state === "Success" ? "succeeded" : "verifying";
}

function explainTimer(timer: FiringTimerName, taken: Accepted): Explanation {
  switch (timer) {
    case "retry":
      return taken.snapshot.context.paused ? lasting("approve", "paused") : passing(null, "retried");
    case "verify":
      return explainFailure(taken, "not_resolved");
    case "wait":
      return lasting("skip", "wait_timeout");
    case "approval":
      return lasting("skip", "approval_timeout");
  }
}

/** What the convergence function says to a start, silence aside. */
export function verdictOnStart({ function: fn }: InstancePolicy, { group }: Pick<StartEvent, "group">): Verdict {
  return fn === null || group === null ? verdictWithoutGroup(fn) : verdictInGroup(fn, group.count, group.observation);
}

function explainResolved({ reason }: InstanceEvent & { type: "alert.resolved" }, taken: Accepted): Explanation {
  if (taken.snapshot.state === "Success") return passing(null, "verified");
  return lasting("skip", reason ?? "alert_resolved");
}

/**
 * `last`: why it stays in Failed when no retry is left and nobody is asked. A missed verification says so also when it
 * is retried.
 */
function explainFailure(taken: Accepted, last: "failed" | "not_resolved"): Explanation {
  if (taken.snapshot.state === "Waiting") return lasting("approve", "retries_exhausted");
  if (taken.snapshot.context.timers.retry === undefined) return lasting(null, last);
  return passing(null, last === "failed" ? "retry_scheduled" : last);
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

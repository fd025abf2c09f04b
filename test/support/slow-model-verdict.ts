import type { ConvergenceFunction, ConvergenceRule, Observation } from "../../src/model/convergence-rule.ts";
import type { InstanceState } from "../../src/model/instance-types.ts";
import type { ReasonCode } from "../../src/model/reasons.ts";

export type ModelVerdict = { readonly verdict: "run" | "skip" | "wait" | "approve"; readonly reason: ReasonCode };

const RUN_CLEAR: ModelVerdict = { verdict: "run", reason: "no_peer_in_the_way" };
const RUN_OPENER: ModelVerdict = { verdict: "run", reason: "group_opened" };
const RUN_BELOW: ModelVerdict = { verdict: "run", reason: "below_limit" };
const DONE: ModelVerdict = { verdict: "skip", reason: "peer_succeeded" };
const WAIT: ModelVerdict = { verdict: "wait", reason: "peer_in_progress" };

/** "The opener runs. Otherwise `executed >= count`: ..., else run." */
function limited(peers: Observation, count: number, full: ModelVerdict): ModelVerdict {
  if (peers.isNew) return RUN_OPENER;
  return peers.executed >= count ? full : RUN_BELOW;
}

/** The table of convergence functions, once more and by hand, so that the model shares no line with the code that it checks. */
const TABLE: Readonly<Record<ConvergenceFunction, (peers: Observation, count: number) => ModelVerdict>> = {
  // "A peer succeeded: skip. A peer is in progress: wait. Otherwise: run."
  skip_when_success: (peers) => (peers.succeeded > 0 ? DONE : peers.inProgress > 0 ? WAIT : RUN_CLEAR),
  // "A peer succeeded: skip. In progress: wait. A peer failed: approve. Otherwise: run."
  approve_when_failed: (peers) => {
    if (peers.succeeded > 0) return DONE;
    if (peers.inProgress > 0) return WAIT;
    return peers.failed > 0 ? { verdict: "approve", reason: "peer_failed" } : RUN_CLEAR;
  },
  // "A peer is in progress, or ended without failure inside the window: skip. Otherwise run."
  skip_when_proceed: (peers) => {
    if (peers.inProgress > 0) return { verdict: "skip", reason: "peer_in_progress" };
    return peers.settledWithoutFailure > 0 ? { verdict: "skip", reason: "peer_settled_in_window" } : RUN_CLEAR;
  },
  // "A peer is in progress: wait. Otherwise run."
  wait_when_proceed: (peers) => (peers.inProgress > 0 ? WAIT : RUN_CLEAR),
  skip_when_exceed: (peers, count) => limited(peers, count, { verdict: "skip", reason: "limit_reached" }),
  defense: (peers, count) => limited(peers, count, { verdict: "approve", reason: "defense_threshold" }),
  collect: (peers, count) => limited(peers, count, { verdict: "skip", reason: "collected" }),
  // "From the opener on all are skipped."
  collect_alarm: () => ({ verdict: "skip", reason: "collected" }),
  // "The opener runs, all others are skipped."
  trigger: (peers) => (peers.isNew ? RUN_OPENER : { verdict: "skip", reason: "already_triggered" }),
  // "Run; the group only relates them."
  relevance: () => ({ verdict: "run", reason: "related" }),
};

export function verdictFor({ function: fn, count }: ConvergenceRule, peers: Observation): ModelVerdict {
  return TABLE[fn](peers, count);
}

/** The states that a verdict leads through, as the table of the machine's moves has them. */
export function pathOf(
  fn: ConvergenceFunction | null,
  from: "Idle" | "Proceeding",
  verdict: ModelVerdict["verdict"],
): InstanceState[] {
  if (verdict === "run") return [from, "Processing"];
  if (verdict === "wait") return [from, "Processing", "Proceeding"];
  if (verdict === "approve")
    return fn === "defense" ? [from, "Defense", "Waiting"] : [from, "Processing", "Failed", "Waiting"];
  if (fn === "skip_when_success" || fn === "approve_when_failed") return [from, "Processing", "Success", "Skipped"];
  if (fn === "skip_when_proceed") return [from, "Processing", "Proceeding", "Skipped"];
  return [from, "Skipped"];
}

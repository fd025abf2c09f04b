/** What the action-instance machine knows: its context and its events. All plain JSON; nothing here is mutable state of a process. */
import type { ConvergenceFunction, Observation } from "./convergence-rule.ts";
import type { Retry } from "./retry.ts";

export const INSTANCE_STATES = [
  "Idle",
  "Processing",
  "Proceeding",
  "Success",
  "Failed",
  "Defense",
  "Waiting",
  "Skipped",
] as const;

export type InstanceState = (typeof INSTANCE_STATES)[number];

/** The part of a policy version that the machine's guards and delays read. Restored from the policy, never stored with the instance. */
export type InstancePolicy = {
  readonly function: ConvergenceFunction | null;
  readonly retry: Retry;
  readonly approvalTimeoutMs: number;
  /** Total time in Proceeding, from first entering it. */
  readonly waitLimitMs: number;
  readonly keepOnResolved: boolean;
};

export type InstanceTimerName = "retry" | "wait" | "approval";

/** A timer that the instance expects. It is stale when this entry is gone or has another arm number. */
export type ArmedTimer = { readonly dueAtMs: number; readonly arm: number };

export type InstanceContext = {
  readonly policy: InstancePolicy;
  /** Attempts so far, over all rounds; the number of the attempt under way or of the last one. */
  readonly attempt: number;
  /** Attempts in this round; a grant starts a new round. */
  readonly roundAttempt: number;
  /** How the last attempt ended. */
  readonly outcome: "none" | "succeeded" | "failed";
  /** Whose success or failure brought the instance into Success or Failed. */
  readonly cause: "own" | "peer" | null;
  /** Closed by a person or the program; an Idle instance that is closed ignores its alert. */
  readonly closed: boolean;
  /** The attempt was cancelled: neither retried nor put to approval. */
  readonly cancelled: boolean;
  /** When the total waiting time ends, set on first entering Proceeding of a round. */
  readonly waitDueAtMs: number | null;
  readonly timers: Readonly<Partial<Record<InstanceTimerName, ArmedTimer>>>;
  /** Timers armed so far: the next one gets this number plus one. */
  readonly arms: number;
};

/** What a decision looked at. `peers` is a bounded sample of ids, for the audit only. */
export type GroupView = {
  readonly observation: Observation;
  /** The threshold of the group's rule. */
  readonly count: number;
  readonly peers: readonly string[];
  /** Version of the policy whose rule the group keeps, when it is not the instance's own. */
  readonly ruleVersion?: string;
};

export type SilenceNote = { readonly author: string; readonly comment: string; readonly toMs: number };

type At = { readonly atMs: number };
type Actor = { readonly by: string; readonly why: string };

/** `group: null`: decided without a group. `silence: null`: none is active. */
export type StartEvent = At & {
  readonly type: "start";
  readonly group: GroupView | null;
  readonly silence: SilenceNote | null;
  readonly approved?: true;
  readonly by?: string;
  readonly why?: string;
};

export type InstanceEvent =
  | StartEvent
  | (At & { readonly type: "effect.done"; readonly attempt: number; readonly result?: unknown })
  | (At & {
      readonly type: "effect.failed";
      readonly attempt: number;
      readonly error: string;
      readonly result?: unknown;
    })
  | (At & { readonly type: "peers.settled"; readonly group: GroupView })
  | (At & { readonly type: "timer.elapsed"; readonly timer: InstanceTimerName; readonly arm: number })
  | (At & { readonly type: "approval.requested" })
  | (At &
      Actor & {
        readonly type: "approval.granted";
        readonly group: GroupView | null;
        readonly silence: SilenceNote | null;
      })
  | (At & Actor & { readonly type: "approval.denied" })
  | (At & { readonly type: "alert.resolved" })
  | (At & Actor & { readonly type: "cancel"; readonly reason?: "peer_denied" | "nothing_to_summarise" })
  | (At & Actor & { readonly type: "end" });

/** Context of an instance that nothing has happened to yet. */
export function initialContext(policy: InstancePolicy): InstanceContext {
  return {
    policy,
    attempt: 0,
    roundAttempt: 0,
    outcome: "none",
    cause: null,
    closed: false,
    cancelled: false,
    waitDueAtMs: null,
    timers: {},
    arms: 0,
  };
}

/**
 * What the action-instance machine knows: its context and its events. All plain JSON; nothing here is mutable state of
 * a process.
 */
import type { ConvergenceFunction, Observation } from "./convergence-rule.ts";
import { TIMESTAMP_AT_MS_MAX } from "./limits.ts";
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

/**
 * The part of a policy version that the machine's guards and delays read. Restored from the policy, never stored with
 * the instance.
 */
export type InstancePolicy = {
  readonly function: ConvergenceFunction | null;
  readonly retry: Retry;
  readonly approvalTimeoutMs: number;
  /** Total time in Proceeding, from first entering it. */
  readonly waitLimitMs: number;
  readonly keepOnResolved: boolean;
  /** How long after a successful attempt the alert may take to resolve; null: the attempt's success is enough. */
  readonly verifyMs: number | null;
  /** Those that were skipped by convergence and still fire are decided again; null: they stay skipped. */
  readonly again: Again | null;
  /** What a silence skipped stays skipped when the silence ends. */
  readonly isSilenceFinal: boolean;
};

/** After which time an instance that convergence skipped is decided once more, and how often at most. */
export type Again = { readonly afterMs: number; readonly limit: number };

/**
 * `reconsider`, `silence`: it is decided again, because its policy says `again`, or because the silence ends. `pause`:
 * it is held, in this order.
 */
export type InstanceTimerName = "retry" | "wait" | "approval" | "verify" | "reconsider" | "silence" | "pause";

/** Timers that come back as an event of their own name; the others make `reconsider`. */
export type FiringTimerName = Exclude<InstanceTimerName, "reconsider" | "silence" | "pause">;

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
  /** In Skipped: because of a silence. */
  readonly silenced: boolean;
  /** In Defense and Waiting: held by the emergency stop, not by a rule. */
  readonly paused: boolean;
  /** Who granted the approval so far, when it needs several people. */
  readonly grants: readonly string[];
  /** How often it was decided again, for whatever cause. */
  readonly reconsidered: number;
  /** How often of these because its policy says `again`. */
  readonly agains: number;
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

export type SilenceNote = {
  readonly author: string;
  readonly comment: string;
  readonly toMs: number;
  /** Under which id it can be found and ended; older entries have none. */
  readonly id?: string;
};

/** An emergency stop as a decision saw it. `scope`: the name of the policy that it stops; null: the whole namespace. */
export type PauseNote = {
  readonly by: string;
  readonly why: string;
  readonly sinceMs: number;
  readonly scope: string | null;
};

/**
 * Why an episode of an alert ended: it resolved, its lease ran out, or a later episode shows that its end was missed.
 */
export const EPISODE_ENDS = ["alert_resolved", "lease_over", "resolve_lost"] as const;

export type EpisodeEnd = (typeof EPISODE_ENDS)[number];

/**
 * Why an instance is decided once more: the silence that held it ended, its policy says `again`, or a pause was lifted.
 */
export const RECONSIDER_CAUSES = ["silence_over", "again", "resumed"] as const;

export type ReconsiderCause = (typeof RECONSIDER_CAUSES)[number];

type At = { readonly atMs: number };
type Actor = { readonly by: string; readonly why: string };

/**
 * The emergency stop that holds at the event, and the order in which it holds an instance (ms, no two of a group
 * alike); absent: none does.
 */
type UnderPause = { readonly paused?: PauseNote; readonly arrival?: number };

/** What a pause holds has no deadline: its timer, which only keeps the order, is due after the end of time. */
export const HELD_DUE_AT_MS = TIMESTAMP_AT_MS_MAX + 1;

/** What a decision looks at. `group: null`: decided without a group. `silence: null`: none is active. */
type Look = UnderPause & { readonly group: GroupView | null; readonly silence: SilenceNote | null };

export type StartEvent = At &
  Look & {
    readonly type: "start";
    readonly approved?: true;
    readonly by?: string;
    readonly why?: string;
  };

export type InstanceEvent =
  | StartEvent
  /**
   * `isOpen`: the alert still fires, so that its success can be verified. `observed`: nothing was done, the policy is
   * only watched.
   */
  | (At & {
      readonly type: "effect.done";
      readonly attempt: number;
      readonly result?: unknown;
      readonly isOpen?: boolean;
      readonly observed?: true;
    })
  | (At & {
      readonly type: "effect.failed";
      readonly attempt: number;
      readonly error: string;
      readonly result?: unknown;
    })
  | (At & UnderPause & { readonly type: "peers.settled"; readonly group: GroupView })
  | (At &
      UnderPause & {
        readonly type: "timer.elapsed";
        readonly timer: FiringTimerName;
        readonly arm: number;
      })
  | (At & { readonly type: "approval.requested" })
  /** `with`: who granted it before, when the approval needs several people. */
  | (At & Actor & Look & { readonly type: "approval.granted"; readonly with?: readonly string[] })
  /** A grant that is not the last one which the approval needs. */
  | (At & Actor & { readonly type: "approval.counted" })
  | (At & Actor & { readonly type: "approval.denied" })
  /** `reason` absent: it resolved. `endedAtMs`: when it ended, if it was heard of later. No guard looks at that. */
  | (At & { readonly type: "alert.resolved"; readonly reason?: EpisodeEnd; readonly endedAtMs?: number })
  | ReconsiderEvent
  | (At & Actor & { readonly type: "cancel"; readonly reason?: "peer_denied" | "nothing_to_summarise" })
  | (At & Actor & { readonly type: "end" });

/**
 * Decides an instance once more, as if it came now. `isOpen`: its alert still fires. `arm`: of the timer that asks for
 * it, when its policy says `again`.
 */
export type ReconsiderEvent = At &
  Look & {
    readonly type: "reconsider";
    readonly cause: ReconsiderCause;
    readonly isOpen: boolean;
    readonly arm?: number;
  };

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
    silenced: false,
    paused: false,
    grants: [],
    reconsidered: 0,
    agains: 0,
  };
}

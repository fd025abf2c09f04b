import { assign, raise, setup } from "xstate";
import {
  HELD_DUE_AT_MS,
  type InstanceContext,
  type InstanceEvent,
  type InstancePolicy,
  type InstanceTimerName,
  initialContext,
  retryDelayMs,
  type Verdict,
  verdictInGroup,
  verdictWithoutGroup,
} from "../src/authoring.ts";

/**
 * One action that an alert asks for. Pure: guards and assigns read only the event and the context, so every step can be
 * replayed. Effects are the two named actions `run` and `requestApproval`; timers are the context's `timers`. The
 * engine reads both from the step and makes them durable before anything happens.
 */

type GuardArgs = { context: InstanceContext; event: InstanceEvent };

/**
 * What the convergence function says to this event. Events that bring no observation have no verdict, nor has an
 * instance that was closed.
 */
function verdictOf({ context, event }: GuardArgs): Verdict | null {
  if (event.type !== "start" && event.type !== "peers.settled") return null;
  if (context.closed) return null;
  const fn = context.policy.function;
  if (fn === null || event.group === null) return verdictWithoutGroup(fn);
  return verdictInGroup(fn, event.group.count, event.group.observation);
}

function skips(args: GuardArgs, fn: InstancePolicy["function"]): boolean {
  return args.context.policy.function === fn && verdictOf(args)?.verdict === "skip";
}

function elapsed({ context, event }: GuardArgs, timer: InstanceTimerName): boolean {
  return event.type === "timer.elapsed" && event.timer === timer && context.timers[timer]?.arm === event.arm;
}

/** The timer that `again` armed asks for the decision, and is still listed. */
function asksAgain({ context, event }: GuardArgs): boolean {
  if (event.type !== "reconsider" || event.cause !== "again") return false;
  return context.timers.reconsider !== undefined && context.timers.reconsider.arm === event.arm;
}

/**
 * An end of the alert that says that its trouble is over. A lease that ran out says nothing: what watches it may be
 * what died.
 */
function isSolved({ event }: GuardArgs): boolean {
  return event.type === "alert.resolved" && event.reason !== "lease_over";
}

function isPaused({ event }: GuardArgs): boolean {
  return "paused" in event && event.paused !== undefined;
}

function isCurrentAttempt({ context, event }: GuardArgs): boolean {
  return (event.type === "effect.done" || event.type === "effect.failed") && event.attempt === context.attempt;
}

/** Arms one timer and drops all others: no state of this machine needs two. */
function arm(context: InstanceContext, name: InstanceTimerName, dueAtMs: number): Partial<InstanceContext> {
  const armNumber = context.arms + 1;
  return { timers: { [name]: { dueAtMs, arm: armNumber } }, arms: armNumber };
}

export const actionInstanceMachine = setup({
  types: {
    context: {} as InstanceContext,
    events: {} as InstanceEvent,
    input: {} as { policy: InstancePolicy },
  },
  guards: {
    approved: ({ event }) => event.type === "start" && event.approved === true,
    silenced: ({ context, event }) => event.type === "start" && event.silence !== null && !context.closed,
    defense: (args) => args.context.policy.function === "defense" && verdictOf(args)?.verdict === "approve",
    skip_when_exceed: (args) => skips(args, "skip_when_exceed"),
    collect: (args) => skips(args, "collect"),
    collect_alarm: (args) => skips(args, "collect_alarm"),
    trigger: (args) => skips(args, "trigger"),
    /** skip_when_success, approve_when_failed: the work of this dimension is already done. */
    peer_succeeded: (args) => verdictOf(args)?.reason === "peer_succeeded",
    /** A peer is in progress; or, under skip_when_proceed, has just ended without failure. */
    peer_proceeds: (args) => verdictOf(args)?.verdict === "wait" || skips(args, "skip_when_proceed"),
    /** approve_when_failed. */
    peer_failed: (args) => verdictOf(args)?.reason === "peer_failed",
    skip_when_success: ({ context }) => context.cause === "peer",
    skip_when_proceed: ({ context }) => context.policy.function === "skip_when_proceed",
    approve_when_failed: ({ context }) =>
      context.policy.function === "approve_when_failed" && !context.cancelled && context.timers.retry === undefined,
    /** A closed instance ignores its alert, also when it is sent again: only a person starts it ("run anyway"). */
    not_closed: ({ context }) => !context.closed,
    current_attempt: isCurrentAttempt,
    wait_elapsed: (args) => elapsed(args, "wait"),
    retry_elapsed: (args) => elapsed(args, "retry"),
    approval_elapsed: (args) => elapsed(args, "approval"),
    /** A grant dated at or after the due time is too late, even if the timer has not fired yet. */
    in_time: ({ context, event }) => event.atMs < (context.timers.approval?.dueAtMs ?? Number.POSITIVE_INFINITY),
    not_kept: ({ context }) => !context.policy.keepOnResolved && !context.closed,
    retry_due: ({ context }) => context.timers.retry !== undefined,
    /** The emergency stop: what would run is held for a human. */
    paused: isPaused,
    retry_paused: (args) => elapsed(args, "retry") && isPaused(args),
    /** Done is not solved: the alert still fires. */
    unverified: (args) => {
      const { context, event } = args;
      if (event.type !== "effect.done" || event.isOpen !== true || event.observed === true) return false;
      return isCurrentAttempt(args) && context.policy.verifyMs !== null;
    },
    verified: isSolved,
    verified_late: (args) =>
      isSolved(args) && args.context.policy.verifyMs !== null && args.context.timers.retry !== undefined,
    verify_elapsed: (args) => elapsed(args, "verify"),
    decided_again: (args) => {
      const { context, event } = args;
      if (event.type !== "reconsider" || !event.isOpen) return false;
      if (event.cause === "silence_over") return context.silenced && !context.policy.isSilenceFinal;
      return asksAgain(args);
    },
    /** Its alert fires no longer: there is nothing to decide. */
    again_over: (args) => asksAgain(args) && args.event.type === "reconsider" && !args.event.isOpen,
    resumed: ({ context, event }) =>
      event.type === "reconsider" &&
      event.cause === "resumed" &&
      context.paused &&
      (event.isOpen || context.policy.keepOnResolved),
  },
  actions: {
    /** The only place where a remediation starts. The engine puts the effect into the outbox. */
    run: () => {},
    /** The engine asks a human, once per group. */
    requestApproval: () => {},
    beginRound: assign({
      roundAttempt: 0,
      closed: false,
      cancelled: false,
      cause: null,
      waitDueAtMs: null,
      silenced: false,
      timers: {},
    }),
    beginAttempt: assign(({ context }) => ({
      attempt: context.attempt + 1,
      roundAttempt: context.roundAttempt + 1,
      cause: "own" as const,
      waitDueAtMs: null,
      timers: {},
    })),
    beginWaiting: assign(({ context, event }) => {
      if (context.timers.wait !== undefined || context.policy.function === "skip_when_proceed") return {};
      const dueAtMs = context.waitDueAtMs ?? event.atMs + context.policy.waitLimitMs;
      return { waitDueAtMs: dueAtMs, ...arm(context, "wait", dueAtMs) };
    }),
    /** What the emergency stop holds has no deadline: it ends when a human ends it. */
    beginApproval: assign(({ context, event }) =>
      context.paused ? {} : arm(context, "approval", event.atMs + context.policy.approvalTimeoutMs),
    ),
    beginVerifying: assign(({ context, event }) => arm(context, "verify", event.atMs + (context.policy.verifyMs ?? 0))),
    scheduleRetry: assign(({ context, event }) => {
      const { retry } = context.policy;
      const isLast = context.cause === "peer" || context.cancelled || context.roundAttempt > retry.limit;
      if (isLast) return { timers: {} };
      return arm(context, "retry", event.atMs + retryDelayMs(retry, context.roundAttempt));
    }),
    disarm: assign({ timers: {} }),
    blamePeer: assign({ cause: "peer" }),
    succeed: assign({ outcome: "succeeded", cause: "own" }),
    fail: assign({ outcome: "failed", cause: "own" }),
    abort: assign({ outcome: "failed", cause: "own", cancelled: true }),
    forgo: assign({ cancelled: true, timers: {} }),
    close: assign({ closed: true, silenced: false, timers: {} }),
    /** It is looked at again when the silence ends. */
    shield: assign(({ context, event }) => {
      const silence = event.type === "start" ? event.silence : null;
      const isFinal = silence?.id === undefined || context.policy.isSilenceFinal;
      return isFinal ? { silenced: true } : { silenced: true, ...arm(context, "silence", silence.toMs) };
    }),
    holdForPause: assign(({ context, event }) => {
      const arrival = "arrival" in event && event.arrival !== undefined ? event.arrival : event.atMs;
      return { paused: true, waitDueAtMs: null, ...arm(context, "pause", HELD_DUE_AT_MS + arrival) };
    }),
    release: assign({ paused: false, grants: [] }),
    countGrant: assign(({ context, event }) =>
      event.type === "approval.counted" ? { grants: [...context.grants, event.by] } : {},
    ),
    /** Skipped by convergence: it is looked at again, as often as the policy allows. */
    scheduleAgain: assign(({ context, event }) => {
      const { again } = context.policy;
      if (again === null || context.agains >= again.limit) return {};
      return arm(context, "reconsider", event.atMs + again.afterMs);
    }),
    /** Of all timers only those of a decision that may follow outlive the way into Skipped. */
    rest: assign(({ context: { timers } }) => ({
      timers: {
        ...(timers.reconsider === undefined ? {} : { reconsider: timers.reconsider }),
        ...(timers.silence === undefined ? {} : { silence: timers.silence }),
      },
      paused: false,
    })),
    countAgain: assign(({ context, event }) => ({
      reconsidered: context.reconsidered + 1,
      agains: context.agains + (event.type === "reconsider" && event.cause === "again" ? 1 : 0),
    })),
    /** In Idle, at once: a granted instance starts a new round. */
    startApproved: raise(({ event }) => ({
      type: "start" as const,
      atMs: event.atMs,
      group: null,
      silence: null,
      approved: true as const,
    })),
    /** In Idle, at once: an instance that is decided again looks at what the event brought. */
    startAgain: raise(({ event }) => ({
      type: "start" as const,
      atMs: event.atMs,
      group: event.type === "reconsider" ? event.group : null,
      silence: event.type === "reconsider" ? event.silence : null,
      ...(event.type === "reconsider" && event.paused !== undefined ? { paused: event.paused } : {}),
      ...(event.type === "reconsider" && event.arrival !== undefined ? { arrival: event.arrival } : {}),
    })),
  },
}).createMachine({
  id: "action-instance",
  context: ({ input }) => initialContext(input.policy),
  // The longest chain of one event has five moves; XState's own limit is none.
  options: { maxIterations: 16 },
  initial: "Idle",
  states: {
    Idle: {
      on: {
        start: [
          { guard: "approved", target: "#action-instance.Processing.running", actions: "beginRound" },
          { guard: "silenced", target: "Skipped", actions: "shield" },
          { guard: "defense", target: "Defense" },
          { guard: "skip_when_exceed", target: "Skipped", actions: "scheduleAgain" },
          { guard: "collect", target: "Skipped", actions: "scheduleAgain" },
          { guard: "collect_alarm", target: "Skipped", actions: "scheduleAgain" },
          { guard: "trigger", target: "Skipped", actions: "scheduleAgain" },
          { guard: "not_closed", target: "Processing", actions: "beginRound" },
        ],
        "alert.resolved": { guard: "not_kept", target: "Skipped" },
        cancel: { target: "Skipped" },
      },
    },
    Processing: {
      initial: "deciding",
      states: {
        deciding: {
          description: "Looks at the peers; entered before the first attempt of a round.",
          always: [
            { guard: "peer_succeeded", target: "#action-instance.Success", actions: "blamePeer" },
            { guard: "peer_proceeds", target: "#action-instance.Proceeding" },
            { guard: "peer_failed", target: "#action-instance.Failed", actions: "blamePeer" },
            { guard: "paused", target: "#action-instance.Defense", actions: "holdForPause" },
            { target: "running" },
          ],
        },
        running: {
          description: "An attempt is under way; a retry or a grant enters here.",
          entry: ["beginAttempt", "run"],
          on: {
            "effect.done": [
              { guard: "unverified", target: "verifying" },
              { guard: "current_attempt", target: "#action-instance.Success", actions: "succeed" },
            ],
            "effect.failed": { guard: "current_attempt", target: "#action-instance.Failed", actions: "fail" },
            cancel: { target: "#action-instance.Failed", actions: "abort" },
          },
        },
        verifying: {
          description: "The attempt succeeded; whether it helped shows when the alert resolves.",
          entry: "beginVerifying",
          on: {
            "alert.resolved": { guard: "verified", target: "#action-instance.Success", actions: "succeed" },
            "timer.elapsed": { guard: "verify_elapsed", target: "#action-instance.Failed", actions: "fail" },
            cancel: { target: "#action-instance.Failed", actions: "abort" },
          },
        },
      },
    },
    Proceeding: {
      entry: "beginWaiting",
      always: { guard: "skip_when_proceed", target: "Skipped", actions: "scheduleAgain" },
      on: {
        "peers.settled": { target: "Processing" },
        "timer.elapsed": { guard: "wait_elapsed", target: "Skipped", actions: "scheduleAgain" },
        "alert.resolved": { guard: "not_kept", target: "Skipped" },
        cancel: { target: "Skipped" },
      },
    },
    Success: {
      entry: "disarm",
      always: { guard: "skip_when_success", target: "Skipped", actions: "scheduleAgain" },
      on: { end: { target: "Idle", actions: "close" } },
    },
    Failed: {
      entry: "scheduleRetry",
      always: { guard: "approve_when_failed", target: "Waiting" },
      on: {
        "timer.elapsed": [
          { guard: "retry_paused", target: "Waiting", actions: "holdForPause" },
          { guard: "retry_elapsed", target: "Processing.running" },
        ],
        "alert.resolved": { guard: "verified_late", target: "Success", actions: "succeed" },
        cancel: { guard: "retry_due", actions: "forgo" },
        end: { target: "Idle", actions: "close" },
      },
    },
    Defense: {
      description:
        "A threshold is reached or everything is paused; the request to a human is raised in the same commit.",
      on: {
        "approval.requested": { target: "Waiting" },
        "alert.resolved": { guard: "not_kept", target: "Skipped" },
        cancel: { target: "Skipped" },
      },
    },
    Waiting: {
      entry: ["beginApproval", "requestApproval"],
      exit: "release",
      on: {
        "approval.granted": { guard: "in_time", target: "Idle", actions: ["disarm", "startApproved"] },
        "approval.counted": { guard: "in_time", actions: "countGrant" },
        "approval.denied": { target: "Skipped" },
        "timer.elapsed": { guard: "approval_elapsed", target: "Skipped" },
        reconsider: { guard: "resumed", target: "Idle", actions: ["countAgain", "beginRound", "startAgain"] },
        "alert.resolved": { guard: "not_kept", target: "Skipped" },
        cancel: { target: "Skipped" },
        end: { target: "Idle", actions: "close" },
      },
    },
    Skipped: {
      entry: "rest",
      on: {
        start: { guard: "approved", target: "#action-instance.Processing.running", actions: "beginRound" },
        reconsider: [
          { guard: "decided_again", target: "Idle", actions: ["countAgain", "beginRound", "startAgain"] },
          { guard: "again_over", actions: "disarm" },
        ],
        end: { target: "Idle", actions: "close" },
      },
    },
  },
});

import { getMicrosteps } from "xstate";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { initialSnapshot, type Snapshot, stateValue, step } from "../../src/instance/step.ts";
import { CONVERGENCE_FUNCTIONS, type ConvergenceFunction, type Observation } from "../../src/model/convergence-rule.ts";
import {
  EPISODE_ENDS,
  type GroupView,
  type InstanceContext,
  type InstanceEvent,
  type InstancePolicy,
  type PauseNote,
  RECONSIDER_CAUSES,
  type SilenceNote,
} from "../../src/model/instance-types.ts";

/**
 * Walks the action-instance machine exhaustively: from a new instance, every event of a small alphabet in every situation that is
 * reached, until no new situation turns up. Two snapshots are the same situation when no guard can tell them apart: absolute attempt
 * numbers, arm numbers and times do not count, because guards only compare them with the event's.
 */

export type Visit = { readonly snapshot: Snapshot; readonly event: InstanceEvent };

/** One move between two state values (`Processing.deciding` and `Processing.running` told apart). */
export type Edge = { readonly from: string; readonly on: string; readonly to: string };

export const ALL_FUNCTIONS: readonly (ConvergenceFunction | null)[] = [null, ...CONVERGENCE_FUNCTIONS];

const COUNT = 2;
const AT_MS = 1_000;
const ACTOR = { by: "ada", why: "test" } as const;
const SILENCE: SilenceNote = { author: "ops", comment: "rack move", toMs: 5_000 };
const PAUSE: PauseNote = { by: "ada", why: "the racks move", sinceMs: 500, scope: null };

/** Retries of the explored policies: 10 s, then twice as long each. */
export function retries(limit: number): InstancePolicy["retry"] {
  return { limit, delayMs: 10_000, backoff: 2 };
}

export function policyWith(overrides: Partial<InstancePolicy>): InstancePolicy {
  return {
    function: null,
    retry: retries(1),
    approvalTimeoutMs: 1_800_000,
    waitLimitMs: 600_000,
    keepOnResolved: false,
    verifyMs: null,
    again: null,
    isSilenceFinal: false,
    ...overrides,
  };
}

/** What a policy may say beside: to verify, to decide again, and what a silence's end means. */
const EXTRAS: readonly Partial<InstancePolicy>[] = [
  { keepOnResolved: false },
  { keepOnResolved: true },
  { verifyMs: 60_000, again: { afterMs: 30_000, limit: 1 } },
  { verifyMs: 60_000, isSilenceFinal: true, keepOnResolved: true },
];

/** Each function (and none), with and without a retry, with each of the extras. */
export function explorationPolicies(): InstancePolicy[] {
  return ALL_FUNCTIONS.flatMap((fn) =>
    [0, 1].flatMap((limit) => EXTRAS.map((extra) => policyWith({ function: fn, retry: retries(limit), ...extra }))),
  );
}

/** Every observation with no or one peer of each kind (one that succeeded did so inside the window), and none or as many executed as the threshold. */
export function observations(): Observation[] {
  const bits = Array.from(
    { length: 2 ** 5 },
    (_, number) =>
      (bit: number): number =>
        (number >> bit) & 1,
  );
  return bits.flatMap((bit) =>
    [0, COUNT].map((executed) => ({
      isNew: bit(0) === 1,
      executed,
      succeeded: bit(1),
      failed: bit(2),
      inProgress: bit(3),
      settledWithoutFailure: bit(1),
      parentOpen: bit(4) === 1,
    })),
  );
}

const OBSERVATIONS = observations();

export function groupView(observation: Partial<Observation>, count = COUNT): GroupView {
  const none = { isNew: false, executed: 0, succeeded: 0, failed: 0, inProgress: 0, settledWithoutFailure: 0 };
  return { observation: { ...none, parentOpen: false, ...observation }, count, peers: [] };
}

/** Every event worth trying here: right, stale, early, late; with every observation where the state reads one. */
export function eventsFor({ state, context }: Snapshot): InstanceEvent[] {
  const views = OBSERVATIONS.map((observation) => groupView(observation));
  const few = views.filter((_, index) => index % 37 === 0);
  const starts = state === "Idle" ? views : few;
  const looks = state === "Proceeding" ? views : few;
  const events: InstanceEvent[] = [null, ...starts].map((group) => ({
    type: "start",
    atMs: AT_MS,
    group,
    silence: null,
  }));
  for (const group of [null, views[0] as GroupView]) {
    events.push({ type: "start", atMs: AT_MS, group, silence: SILENCE });
    events.push({ type: "start", atMs: AT_MS, group, silence: { ...SILENCE, id: "s1" } });
    events.push({ type: "start", atMs: AT_MS, group, silence: SILENCE, approved: true, ...ACTOR });
  }
  const paused = state === "Idle" ? [null, ...starts.filter((_, index) => index % 5 === 0)] : [null];
  for (const group of paused) events.push({ type: "start", atMs: AT_MS, group, silence: null, paused: PAUSE });
  events.push(...looks.map((group) => ({ type: "peers.settled" as const, atMs: AT_MS, group })));
  for (const group of few) events.push({ type: "peers.settled", atMs: AT_MS, group, paused: PAUSE });
  events.push(...reconsiderations(context, few));
  for (const attempt of [context.attempt, context.attempt - 1, context.attempt + 1]) {
    events.push(
      { type: "effect.done", atMs: AT_MS, attempt },
      { type: "effect.done", atMs: AT_MS, attempt, isOpen: true },
    );
    events.push({ type: "effect.done", atMs: AT_MS, attempt, isOpen: true, observed: true });
    events.push({ type: "effect.failed", atMs: AT_MS, attempt, error: "exit 1" });
  }
  const grant = { type: "approval.granted", ...ACTOR, group: null, silence: null } as const;
  const dueAtMs = context.timers.approval?.dueAtMs ?? AT_MS;
  for (const atMs of [dueAtMs - 1, dueAtMs, dueAtMs + 1]) events.push({ ...grant, atMs });
  for (const timer of ["retry", "wait", "approval", "verify"] as const) {
    for (const arm of [context.arms, context.arms - 1, context.arms + 1]) {
      events.push({ type: "timer.elapsed", atMs: AT_MS, timer, arm });
      events.push({ type: "timer.elapsed", atMs: AT_MS, timer, arm, paused: PAUSE });
    }
  }
  events.push({ type: "approval.requested", atMs: AT_MS }, { type: "alert.resolved", atMs: AT_MS });
  for (const reason of EPISODE_ENDS) events.push({ type: "alert.resolved", atMs: AT_MS, reason });
  events.push({ type: "approval.counted", atMs: AT_MS, ...ACTOR });
  events.push({ type: "approval.denied", atMs: AT_MS, ...ACTOR }, { type: "end", atMs: AT_MS, ...ACTOR });
  events.push(
    { type: "cancel", atMs: AT_MS, ...ACTOR },
    { type: "cancel", atMs: AT_MS, ...ACTOR, reason: "peer_denied" },
  );
  return events;
}

/** Every cause, with the alert firing still or not, past a silence, under a pause, by the right timer and by a wrong one. */
function reconsiderations({ arms }: InstanceContext, views: readonly GroupView[]): InstanceEvent[] {
  const event = { type: "reconsider", atMs: AT_MS, silence: null } as const;
  return RECONSIDER_CAUSES.flatMap((cause) =>
    [false, true].flatMap((isOpen) =>
      [undefined, arms, arms - 1].flatMap((arm): InstanceEvent[] => {
        const asked = { ...event, cause, isOpen, ...(arm === undefined ? {} : { arm }) };
        const plain = [null, ...views].map((group) => ({ ...asked, group }));
        return [...plain, { ...asked, group: null, silence: SILENCE }, { ...asked, group: null, paused: PAUSE }];
      }),
    ),
  );
}

/** What guards can tell apart. Every context field is either here or only ever compared with a number that the event carries. */
export function situation({ state, context }: Snapshot): string {
  const { roundAttempt, outcome, cause, closed, cancelled, waitDueAtMs, timers, attempt } = context;
  const { silenced, paused, grants, agains } = context;
  const seen = [
    silenced,
    paused,
    grants.length > 0,
    agains,
    roundAttempt,
    outcome,
    cause,
    closed,
    cancelled,
    waitDueAtMs !== null,
    Object.keys(timers),
    attempt > 0,
  ];
  return JSON.stringify([state, ...seen]);
}

const EXPLORED = new Map<string, readonly Visit[]>();

/** Every (situation, event) pair that a policy can meet, breadth first. Explored once; nobody may write to it. */
export function explore(policy: InstancePolicy): readonly Visit[] {
  const key = JSON.stringify(policy);
  const visits = EXPLORED.get(key) ?? exploreAnew(policy);
  EXPLORED.set(key, visits);
  return visits;
}

function exploreAnew(policy: InstancePolicy): Visit[] {
  const first = initialSnapshot(policy);
  const known = new Map([[situation(first), first]]);
  const visits: Visit[] = [];
  for (const snapshot of known.values()) {
    for (const event of eventsFor(snapshot)) {
      visits.push({ snapshot, event });
      const next = step(snapshot, event);
      if (next.accepted && !known.has(situation(next.snapshot))) known.set(situation(next.snapshot), next.snapshot);
    }
  }
  return visits;
}

/** XState's own snapshot for one of ours. */
export function machineSnapshot({ state, context }: Snapshot): ReturnType<typeof actionInstanceMachine.resolveState> {
  return actionInstanceMachine.resolveState({ value: stateValue(state), context: context as InstanceContext });
}

/** The moves of one step, from XState's public API. The first is the event's, the others are `always` or the raised start of a grant. */
export function edgesOf({ snapshot, event }: Visit): Edge[] {
  const edges: Edge[] = [];
  let from = dotted(machineSnapshot(snapshot).value);
  getMicrosteps(actionInstanceMachine, machineSnapshot(snapshot), event).forEach(([next], index) => {
    const to = dotted(next.value);
    edges.push({ from, on: index === 0 ? nameOf(event) : from === "Idle" ? raisedBy(event) : "always", to });
    from = to;
  });
  return edges;
}

/** The start that a grant or a reconsideration raises in Idle. */
function raisedBy(event: InstanceEvent): string {
  if (event.type !== "reconsider") return "start approved";
  return event.silence === null ? "start" : "start silenced";
}

function nameOf(event: InstanceEvent): string {
  if (event.type === "timer.elapsed") return `timer.elapsed ${event.timer}`;
  if (event.type !== "start") return event.type;
  return event.approved === true ? "start approved" : event.silence !== null ? "start silenced" : "start";
}

export function dotted(value: unknown): string {
  if (typeof value === "string") return value;
  const [[parent, child]] = Object.entries(value as Record<string, unknown>) as [[string, unknown]];
  return `${parent}.${String(child)}`;
}

/** Freezes a value all the way down, so that a step that writes to its input throws. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

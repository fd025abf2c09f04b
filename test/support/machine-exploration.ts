import { getMicrosteps } from "xstate";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { initialSnapshot, type Snapshot, step } from "../../src/instance/step.ts";
import { CONVERGENCE_FUNCTIONS, type ConvergenceFunction, type Observation } from "../../src/model/convergence-rule.ts";
import type {
  GroupView,
  InstanceContext,
  InstanceEvent,
  InstancePolicy,
  SilenceNote,
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
    ...overrides,
  };
}

/** Each function (and none), with and without a retry, with `on_resolved` skip and keep. */
export function explorationPolicies(): InstancePolicy[] {
  return ALL_FUNCTIONS.flatMap((fn) =>
    [0, 1].flatMap((limit) =>
      [false, true].map((keepOnResolved) => policyWith({ function: fn, retry: retries(limit), keepOnResolved })),
    ),
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
    events.push({ type: "start", atMs: AT_MS, group, silence: SILENCE, approved: true, ...ACTOR });
  }
  events.push(...looks.map((group) => ({ type: "peers.settled" as const, atMs: AT_MS, group })));
  for (const attempt of [context.attempt, context.attempt - 1, context.attempt + 1]) {
    events.push({ type: "effect.done", atMs: AT_MS, attempt });
    events.push({ type: "effect.failed", atMs: AT_MS, attempt, error: "exit 1" });
  }
  const grant = { type: "approval.granted", ...ACTOR, group: null, silence: null } as const;
  const dueAtMs = context.timers.approval?.dueAtMs ?? AT_MS;
  for (const atMs of [dueAtMs - 1, dueAtMs, dueAtMs + 1]) events.push({ ...grant, atMs });
  for (const timer of ["retry", "wait", "approval"] as const) {
    for (const arm of [context.arms, context.arms - 1, context.arms + 1]) {
      events.push({ type: "timer.elapsed", atMs: AT_MS, timer, arm });
    }
  }
  events.push({ type: "approval.requested", atMs: AT_MS }, { type: "alert.resolved", atMs: AT_MS });
  events.push({ type: "approval.denied", atMs: AT_MS, ...ACTOR }, { type: "end", atMs: AT_MS, ...ACTOR });
  events.push(
    { type: "cancel", atMs: AT_MS, ...ACTOR },
    { type: "cancel", atMs: AT_MS, ...ACTOR, reason: "peer_denied" },
  );
  return events;
}

/** What guards can tell apart. Every context field is either here or only ever compared with a number that the event carries. */
export function situation({ state, context }: Snapshot): string {
  const { roundAttempt, outcome, cause, closed, cancelled, waitDueAtMs, timers, attempt } = context;
  const seen = [
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
  const value = state === "Processing.running" ? { Processing: "running" as const } : state;
  return actionInstanceMachine.resolveState({ value, context: context as InstanceContext });
}

/** The moves of one step, from XState's public API. The first is the event's, the others are `always` or the raised start of a grant. */
export function edgesOf({ snapshot, event }: Visit): Edge[] {
  const edges: Edge[] = [];
  let from = dotted(machineSnapshot(snapshot).value);
  getMicrosteps(actionInstanceMachine, machineSnapshot(snapshot), event).forEach(([next], index) => {
    const to = dotted(next.value);
    edges.push({ from, on: index === 0 ? nameOf(event) : from === "Idle" ? "start approved" : "always", to });
    from = to;
  });
  return edges;
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

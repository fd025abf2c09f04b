/**
 * What a policy can do at all: its machine and its group, explored with a few alerts, breadth first, so that what is
 * found comes with the shortest way to it.
 *
 * Why not `xstate/graph`: it walks one machine. Here a state is a group with several instances, whose next step
 * `decide` knows, and a walk that reaches its bound must say what it has found until then. The machine itself is
 * stepped through XState as everywhere.
 */

import { timersOf } from "../instance/draft.ts";
import { isAtRest } from "../instance/open-index.ts";
import { HELD_DUE_AT_MS } from "../model/instance-types.ts";
import type { Policy } from "../policy/policy.ts";
import { compilePolicy } from "../policy/policy-versions.ts";
import { type Actor, type World, WorldMoves } from "./model-world.ts";

export const MODEL_ALERTS_MAX = 4;
export const MODEL_STATES_MAX = 100_000;
/** Larger numbers are explored as these: with a few alerts they would never be met. */
const COUNT_MAX = 3;
const RETRIES_MAX = 1;

export type FindingKind = "never_runs" | "waits_for_ever" | "runs_twice";

/** `steps`: the shortest way to it; empty: there is none to it. */
export type Finding = { readonly kind: FindingKind; readonly steps: readonly string[] };

export type Explored = {
  readonly policy: string;
  readonly alerts: number;
  readonly states: number;
  /** Every state that these alerts can reach was looked at. */
  readonly isExhausted: boolean;
  /** What was explored with smaller numbers than the policy says: `count 5 as 3`. */
  readonly reduced: readonly string[];
  readonly findings: readonly Finding[];
};

export type ExploreOptions = {
  /** A brake of the namespace may stop everything. */
  readonly hasBrake: boolean;
  readonly statesMax?: number;
  /** How many have been found so far. */
  readonly onStates?: (states: number) => void;
};

/** A state that was reached: how, and from where. */
type Reached = { readonly from: Reached | null; readonly what: string };

export function explorePolicy(
  policy: Policy,
  { hasBrake, statesMax = MODEL_STATES_MAX, onStates }: ExploreOptions,
): Explored {
  const { policy: small, reduced } = reducedPolicy(policy);
  // Without a rule alerts know nothing of each other: one shows all.
  const alerts = policy.converge === null ? 1 : MODEL_ALERTS_MAX;
  const canPause = hasBrake || policy.limits !== undefined;
  const moves = new WorldMoves({ policy: compilePolicy(small), alerts, canPause });
  const known = new Set<string>();
  const found = new Map<FindingKind, Reached>();
  let queue: { world: World; reached: Reached | null }[] = [{ world: moves.first(), reached: null }];
  let canRun = false;
  let isExhausted = true;
  while (queue.length > 0 && isExhausted) {
    const next: typeof queue = [];
    for (const { world, reached } of queue) {
      onStates?.(known.size);
      for (const { what, to } of moves.from(world)) {
        const key = keyOf(to);
        if (known.has(key)) continue;
        if (known.size >= statesMax) {
          isExhausted = false;
          break;
        }
        known.add(key);
        const here: Reached = { from: reached, what };
        next.push({ world: to, reached: here });
        canRun ||= to.hasSummed || to.actors.some(({ begun }) => begun > 0);
        if (to.actors.some(hasRunTwice)) found.set("runs_twice", found.get("runs_twice") ?? here);
        if (to.actors.some(waitsForEver)) found.set("waits_for_ever", found.get("waits_for_ever") ?? here);
      }
    }
    queue = next;
  }
  const findings = [...found].map(([kind, way]): Finding => ({ kind, steps: stepsTo(way) }));
  if (!canRun && isExhausted) findings.unshift({ kind: "never_runs", steps: [] });
  return { policy: policy.name, alerts, states: known.size, isExhausted, reduced, findings };
}

function reducedPolicy(policy: Policy): { policy: Policy; reduced: readonly string[] } {
  const { converge, retry, again } = policy;
  const reduced: string[] = [];
  const smaller = (name: string, value: number, max: number): number => {
    if (value > max) reduced.push(`${name} ${value} as ${max}`);
    return Math.min(value, max);
  };
  const small: Policy = {
    ...policy,
    converge: converge === null ? null : { ...converge, count: smaller("count", converge.count, COUNT_MAX) },
    retry: { ...retry, limit: smaller("retry.limit", retry.limit, RETRIES_MAX) },
    ...(again === undefined ? {} : { again: { ...again, limit: smaller("again.limit", again.limit, RETRIES_MAX) } }),
  };
  return { policy: small, reduced };
}

/** Although no attempt failed, and nobody asked for it. */
function hasRunTwice({ begun, failed, grants }: Actor): boolean {
  return begun > 1 && failed === 0 && grants === 0;
}

/** Nothing that is armed or under way will ever move it. */
function waitsForEver({ instance, attempt }: Actor): boolean {
  if (isAtRest(instance) || attempt !== null) return false;
  return [...timersOf(instance).values()].every(({ dueAtMs }) => dueAtMs >= HELD_DUE_AT_MS);
}

function stepsTo(reached: Reached): string[] {
  const steps: string[] = [];
  for (let at: Reached | null = reached; at !== null; at = at.from) steps.unshift(at.what);
  return steps;
}

/**
 * What tells two states apart: times count from now on, and only where something is due or counted. Alerts that are in
 * the same way are the same, whichever of them they are.
 */
function keyOf({ nowMs, group, actors, waiters, isPaused, hasSummed }: World): string {
  const forming = new Map(group?.forming.map(({ id, standing, createdAtMs }) => [id, [standing, nowMs - createdAtMs]]));
  const keys = actors.map((actor) => {
    const { id } = actor.instance;
    return JSON.stringify([...actorKey(actor, nowMs), waiters.indexOf(id), forming.get(id)]);
  });
  const open = group?.open ?? null;
  return JSON.stringify([
    isPaused,
    hasSummed,
    keys.sort(),
    group === null
      ? null
      : [group.summaries.map(({ timer }) => timer.dueAtMs - nowMs), group.wake?.denied ?? null, group.held],
    open === null
      ? null
      : [open.endsAtMs - nowMs, open.executed, open.succeeded, open.failed, open.inProgress, open.settledAtMs.length],
  ]);
}

function actorKey({ instance, isFiring, attempt, begun, failed, grants }: Actor, nowMs: number): unknown[] {
  const { state, context } = instance.snapshot;
  const timers = [...timersOf(instance)].map(([name, { dueAtMs }]) => [
    name,
    Math.min(dueAtMs - nowMs, HELD_DUE_AT_MS),
  ]);
  const { roundAttempt, outcome, cause, closed, cancelled, agains, paused } = context;
  const waitMs = context.waitDueAtMs === null ? null : context.waitDueAtMs - nowMs;
  return [
    [state, isFiring, attempt !== null, begun, failed, grants, timers],
    [roundAttempt, outcome, cause, closed, cancelled, agains, paused, waitMs, context.grants.length],
    [instance.isOpener, instance.reason],
  ];
}

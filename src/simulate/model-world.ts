/**
 * One group of one policy with a few alerts, as `decide` sees it: what may happen next, and what comes of it. Pure; the
 * world of the model check.
 *
 * Alerts are interchangeable, so they begin in order. Time moves only to the next timer, or past the group's end.
 * Notices that the group makes by itself are left out: an approval is answered whether or not its request was sent.
 */
import type { Group } from "../convergence/group.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { type Command, decide, type OutsideEvent } from "../instance/decide.ts";
import { timersOf } from "../instance/draft.ts";
import { groupTimers } from "../instance/timer-changes.ts";
import type { Alert } from "../model/alert.ts";
import { groupIdOf, instanceIdOf } from "../model/ids.ts";
import { HELD_DUE_AT_MS, type PauseNote } from "../model/instance-types.ts";
import type { CompiledPolicy } from "../policy/policy-versions.ts";
import { policyKey } from "../policy/policy-versions.ts";

const BEGIN_MS = 1_000_000;
const PARTITION = 0;
const PAUSE: PauseNote = { by: "becalm", why: "the brake", sinceMs: BEGIN_MS, scope: null };

/** An alert that has come, and its instance. */
export type Actor = {
  readonly instance: Instance;
  readonly isFiring: boolean;
  /** The attempt that is under way; null: none is. */
  readonly attempt: number | null;
  readonly begun: number;
  readonly failed: number;
  readonly grants: number;
};

export type World = {
  readonly nowMs: number;
  readonly group: Group | null;
  readonly actors: readonly Actor[];
  /** Ids, in order of arrival. */
  readonly waiters: readonly string[];
  readonly isPaused: boolean;
  readonly hasSummed: boolean;
};

export type Move = { readonly what: string; readonly to: World };

export type WorldOptions = {
  readonly policy: CompiledPolicy;
  readonly alerts: number;
  /** A brake may stop everything. */
  readonly canPause: boolean;
};

export class WorldMoves {
  readonly #options: WorldOptions;
  readonly #groupId: string | null;

  constructor(options: WorldOptions) {
    this.#options = options;
    const { name, converge } = options.policy.policy;
    this.#groupId = converge === null ? null : groupIdOf(name, `!sha1#${"0".repeat(40)}`);
  }

  first(): World {
    return { nowMs: BEGIN_MS, group: null, actors: [], waiters: [], isPaused: false, hasSummed: false };
  }

  /** Everything that may happen next. */
  *from(world: World): Generator<Move> {
    const { actors, isPaused } = world;
    if (actors.length < this.#options.alerts) yield this.#arrive(world);
    if (this.#options.canPause && !isPaused)
      yield { what: "the brake stops everything", to: { ...world, isPaused: true } };
    for (const [index, actor] of actors.entries()) yield* this.#ofActor(world, actor, index);
    yield* this.#time(world);
  }

  #arrive(world: World): Move {
    const number = world.actors.length + 1;
    const { policy } = this.#options;
    const alert = alertOf(number, world.nowMs);
    const name = { policy: policy.policy.name, fingerprint: alert.fingerprint, startMs: world.nowMs };
    const id = instanceIdOf(name, PARTITION);
    const command: Command = { type: "create", id, atMs: world.nowMs, alert, policy, silence: null };
    return { what: `alert ${number} fires`, to: this.#decided(world, command) };
  }

  *#ofActor(world: World, actor: Actor, index: number): Generator<Move> {
    const { nowMs: atMs } = world;
    const name = `alert ${index + 1}`;
    const { instance, isFiring, attempt, grants } = actor;
    const send = (event: OutsideEvent, change: Partial<Actor> = {}): World =>
      this.#decided(changed(world, index, change), { type: "event", id: instance.id, event });
    if (isFiring) yield { what: `${name} resolves`, to: send({ type: "alert.resolved", atMs }, { isFiring: false }) };
    if (attempt !== null) {
      const done: OutsideEvent = { type: "effect.done", atMs, attempt, isOpen: isFiring };
      yield { what: `the action of ${name} succeeds`, to: send(done, { attempt: null }) };
      const failed: OutsideEvent = { type: "effect.failed", atMs, attempt, error: "exit 1" };
      const change = { attempt: null, failed: actor.failed + 1 };
      yield { what: `the action of ${name} fails`, to: send(failed, change) };
    }
    if (instance.snapshot.state !== "Waiting" || grants >= this.#grantsMax) return;
    const by = { by: `person ${grants + 1}`, why: "model" };
    const granted: OutsideEvent = { type: "approval.granted", atMs, ...by, silence: null };
    yield { what: `${name} is approved`, to: send(granted, { grants: grants + 1 }) };
    yield { what: `${name} is denied`, to: send({ type: "approval.denied", atMs, ...by }) };
  }

  get #grantsMax(): number {
    return this.#options.policy.policy.approval.quorum ?? 1;
  }

  /** The next timer fires; or the group ends, if no timer is due before. */
  *#time(world: World): Generator<Move> {
    const due = dueOf(world);
    const endMs = endOf(world, this.#options.policy.policy.converge?.windowMs ?? 0);
    if (endMs !== null && (due === null || endMs < due.dueAtMs))
      yield { what: "the group's time passes", to: { ...world, nowMs: endMs } };
    if (due === null) return;
    const at = { ...world, nowMs: Math.max(world.nowMs, due.dueAtMs) };
    const command = commandOf(at, due);
    if (command !== null) yield { what: due.what, to: this.#decided(at, command) };
  }

  #decided(world: World, command: Command): World {
    const { policy } = this.#options;
    const decision = decide({
      partition: PARTITION,
      groupId: this.#groupId,
      group: world.group,
      instances: new Map(world.actors.map(({ instance }) => [instance.id, instance])),
      waiters: world.waiters,
      hasMoreWaiters: false,
      policies: new Map([[policyKey(policy.policy), policy]]),
      commands: [command],
      isVirtual: true,
      turn: 0,
      pauses: world.isPaused ? [PAUSE] : [],
    });
    const after = new Map(decision.instances.map(({ instance }) => [instance.id, instance]));
    const begun = new Map(decision.effects.map(({ instanceId, attempt }) => [instanceId, attempt]));
    const known = new Set(world.actors.map(({ instance }) => instance.id));
    const fresh = [...after.values()].filter(({ id, kind }) => kind === "action" && !known.has(id));
    const actors = [...world.actors, ...fresh.map(newActor)].map((actor) =>
      advanced(actor, after.get(actor.instance.id), begun.get(actor.instance.id)),
    );
    return {
      ...world,
      group: decision.group,
      actors,
      waiters: waitersAfter(world.waiters, decision.memberChanges),
      hasSummed: world.hasSummed || [...after.values()].some(({ kind }) => kind === "summary"),
    };
  }
}

function newActor(instance: Instance): Actor {
  return { instance, isFiring: true, attempt: null, begun: 0, failed: 0, grants: 0 };
}

function advanced(actor: Actor, instance: Instance | undefined, attempt: number | undefined): Actor {
  if (instance === undefined) return actor;
  const isRunning = instance.snapshot.state === "Processing.running";
  if (attempt === undefined) return { ...actor, instance, attempt: isRunning ? actor.attempt : null };
  return { ...actor, instance, attempt, begun: actor.begun + 1 };
}

function changed(world: World, index: number, change: Partial<Actor>): World {
  return { ...world, actors: world.actors.map((actor, at) => (at === index ? { ...actor, ...change } : actor)) };
}

function waitersAfter(
  before: readonly string[],
  changes: readonly { readonly set: string; readonly instanceId: string; readonly order: number | null }[],
): readonly string[] {
  let waiters = before;
  for (const { set, instanceId, order } of changes) {
    if (set !== "waiters") continue;
    waiters = order === null ? waiters.filter((id) => id !== instanceId) : [...waiters, instanceId];
  }
  return waiters;
}

type Due = {
  readonly dueAtMs: number;
  readonly what: string;
  readonly owner: string | null;
  readonly name: string;
  readonly arm: number;
};

const TIMES: Readonly<Record<string, string>> = {
  retry: "the retry is due",
  wait: "the waiting time is over",
  approval: "nobody answers in time",
  verify: "the time to verify is over",
  reconsider: "it is decided again",
  silence: "the silence ends",
};

/** null: nothing is armed but what a pause holds. */
function dueOf({ actors, group }: World): Due | null {
  const own = actors.flatMap(({ instance }, index) =>
    [...timersOf(instance)]
      .filter(([, timer]) => timer.dueAtMs < HELD_DUE_AT_MS)
      .map(([name, { dueAtMs, arm }]): Due => {
        return { dueAtMs, arm, name, owner: instance.id, what: `${TIMES[name] ?? name} (alert ${index + 1})` };
      }),
  );
  const shared = groupTimers(group).map(({ name, timer: { dueAtMs, arm } }): Due => {
    return {
      dueAtMs,
      arm,
      name,
      owner: null,
      what: name === "summary" ? "the summary is due" : "waiters are looked at",
    };
  });
  return [...own, ...shared].reduce<Due | null>((a, b) => (a === null || b.dueAtMs < a.dueAtMs ? b : a), null);
}

function commandOf({ actors, nowMs: atMs }: World, { owner, name, arm }: Due): Command | null {
  if (owner === null) return { type: name === "summary" ? "summarise" : "wake", arm, atMs };
  const isOpen = actors.some(({ instance, isFiring }) => instance.id === owner && isFiring);
  if (name === "reconsider" || name === "silence") {
    const cause = name === "silence" ? "silence_over" : "again";
    return { type: "reconsider", id: owner, atMs, cause, isOpen, silence: null, arm };
  }
  if (name === "retry" || name === "wait" || name === "approval" || name === "verify")
    return { type: "event", id: owner, event: { type: "timer.elapsed", atMs, timer: name, arm } };
  return null;
}

/** Just behind the time in which the group, or those who form one, count; null: there is none. */
function endOf({ group, nowMs }: World, windowMs: number): number | null {
  const newest = group?.forming.reduce((latest, { createdAtMs }) => Math.max(latest, createdAtMs), 0) ?? 0;
  const endMs = group?.open?.endsAtMs ?? (newest > 0 ? newest + windowMs : null);
  return endMs === null || endMs < nowMs ? null : endMs + 1;
}

function alertOf(number: number, startsAtMs: number): Alert {
  const fingerprint = String(number).padStart(16, "0");
  const labels = { alertname: "Model", number: String(number) };
  return { labels, annotations: {}, startsAtMs, endsAtMs: null, status: "firing", fingerprint, generatorURL: null };
}

/**
 * The draft of one commit: what a batch of commands changes, step by step, before any of it is durable.
 *
 * Owns: the working copies of the group and of the instances, and everything that the commit will write.
 * Does not own: which event goes to whom (decide.ts).
 * D1 every change of an instance goes through `apply` or `note`: one history line each.
 * D2 an instance is written once a commit, with its version raised by one, however many steps it took.
 */

import type { Standing } from "../convergence/forming.ts";
import {
  collectInRecord,
  countChange,
  type Group,
  type Member,
  summaryInOpen,
  takeToken,
} from "../convergence/group.ts";
import { answerOf } from "../convergence/group-answer.ts";
import { Tallies, tallyKey } from "../convergence/tally.ts";
import type { Alert } from "../model/alert.ts";
import { effectIdOf } from "../model/ids.ts";
import { type ArmedTimer, HELD_DUE_AT_MS, type InstanceContext, type InstanceEvent } from "../model/instance-types.ts";
import type { CompiledPolicy } from "../policy/policy-versions.ts";
import type { Birth, EngineNote, EntryBody } from "./audit-types.ts";
import { type Instance, machinePolicyOf, withIdentity } from "./checkpoint.ts";
import { type Effect, type EmissionOrder, topicOf } from "./effect.ts";
import { chainHash, encodeBirth, stepLine } from "./history-lines.ts";
import { notedOutcome, type Outcome, type Outcomes } from "./outcome.ts";
import { initialSnapshot, type Snapshot, type StepEffect } from "./step.ts";

/** A history line as the logger gets it. */
export type LoggedEntry = {
  readonly instance: string;
  readonly entry: EntryBody;
  /** The instance as this step left it: its head is the hash of the line. */
  readonly after: Instance;
  /** What its first line says; null: it was born in an earlier commit. */
  readonly birth: Birth | null;
};

/** An instance that the commit writes. */
export type ChangedInstance = {
  /** As it will be stored. */
  readonly instance: Instance;
  readonly before: Instance | null;
  /** The checkpoint's body; its head is the instance's. */
  readonly body: string;
  readonly lines: readonly string[];
  /** What its first line says; null: it was born in an earlier commit. */
  readonly birth: Birth | null;
};

export type MemberChange = {
  readonly set: "waiters" | "held";
  readonly instanceId: string;
  readonly order: number | null;
};

/** The same while it is made. */
type Working = {
  instance: Instance;
  readonly before: Instance | null;
  lines: readonly string[];
  readonly birth: Birth | null;
  body: string;
};

export class Draft {
  readonly group: Group | null;
  readonly partition: number;
  readonly effects: Effect[] = [];
  readonly tallies: Tallies;
  private readonly isCountingInGroup: boolean;
  readonly entries: LoggedEntry[] = [];
  readonly memberChanges: MemberChange[] = [];
  /** Instances whose entering of Waiting or Defense asks for a human, in order; whoever asks takes them out. */
  readonly requests: Instance[] = [];
  private readonly stored: ReadonlyMap<string, Instance>;
  private readonly working = new Map<string, Working>();
  /** The one that was looked for last: it is mostly the next one, too. */
  private last: Working | null = null;
  /** Attempts of each policy's action that the commit begins. */
  readonly attempts = new Map<string, number>();
  private readonly outcomes: Outcomes;
  private readonly process: string | undefined;
  private readonly turn: number;
  private emission: { readonly order: EmissionOrder; count: number } = { order: [], count: 0 };

  constructor(options: {
    group: Group | null;
    partition: number;
    stored: ReadonlyMap<string, Instance>;
    turn: number;
    outcomes: Outcomes;
    tallies?: Tallies;
    isCountingInGroup?: boolean;
    process?: string | undefined;
  }) {
    this.group = options.group;
    this.partition = options.partition;
    this.stored = options.stored;
    this.turn = options.turn;
    this.outcomes = options.outcomes;
    this.process = options.process;
    this.tallies = options.tallies ?? new Tallies();
    this.isCountingInGroup = options.isCountingInGroup === true;
  }

  get(id: string): Instance | undefined {
    return this.working.get(id)?.instance ?? this.stored.get(id);
  }

  /** Effects that follow are emitted by the command at this position. */
  beginCommand(order: EmissionOrder): void {
    this.emission = { order, count: 0 };
  }

  get changedCount(): number {
    return this.working.size;
  }

  /** Brings a new instance into the draft. Its first line is its birth. */
  create(birth: Birth, { id, policy }: { id: string; policy: CompiledPolicy }): Instance {
    const line = encodeBirth(birth);
    const instance = newborn(birth, { id, policy, head: chainHash("", line) });
    this.last = { instance, before: null, lines: [line], birth, body: "" };
    this.working.set(id, this.last);
    return instance;
  }

  /** Steps an instance. Refused events change nothing and leave no line. */
  apply(instance: Instance, event: InstanceEvent, { epoch = null, left }: Place = {}): Instance | null {
    const working = this.workingOf(instance);
    const outcome = this.outcomes(instance, event, { epoch, version: versionOf(working), process: this.process });
    if (outcome === null) return null;
    const written = this.write(working, outcome);
    this.follow({ before: instance, event, after: written, left, birth: working.birth }, outcome.effects);
    if (outcome.isConverged && this.group !== null) this.collect(this.group, written.id);
    const answer = isHeld(instance.snapshot) && !isHeld(written.snapshot) ? answerOf(event) : null;
    if (this.group !== null && answer !== null) this.group.answered = answer;
    return written;
  }

  private collect(group: Group, id: string): void {
    const summary = summaryInOpen(group);
    if (summary === undefined) return;
    if (this.isCountingInGroup) collectInRecord(summary, id);
    else this.tallies.add(tallyKey(group, summary), id);
  }

  /** It is decided again, and counted again if it is skipped again. */
  uncollect(group: Group, id: string): void {
    const summary = summaryInOpen(group);
    if (summary === undefined) return;
    if (!this.isCountingInGroup && !summary.sample.includes(id)) {
      this.tallies.remove(tallyKey(group, summary), id);
      return;
    }
    summary.skipped -= 1;
    summary.sample = summary.sample.filter((other) => other !== id);
  }

  /** Writes down what the engine notes of an instance. */
  note(instance: Instance, note: EngineNote): Instance {
    const working = this.workingOf(instance);
    return this.write(working, notedOutcome(instance, note, { version: versionOf(working), process: this.process }));
  }

  private workingOf(instance: Instance): Working {
    if (this.last?.instance.id === instance.id) return this.last;
    const before = this.stored.get(instance.id) ?? null;
    this.last = this.working.get(instance.id) ?? { instance, before, lines: [], birth: null, body: "" };
    return this.last;
  }

  private write(working: Working, outcome: Outcome): Instance {
    const { id, head } = working.instance;
    if (working.lines.length === 0) this.working.set(id, working);
    const { lines } = working;
    const isFirst = working.birth !== null && lines.length === 1;
    const line = stepLine(outcome.json, { previous: head, isFirst });
    // Neither pushed nor spread: most get a single step, and an array that grows makes room for sixteen more.
    if (lines.length === 0) working.lines = [line];
    else working.lines = lines.length === 1 ? [lines[0] as string, line] : [...lines, line];
    working.instance = withIdentity(outcome.next, { id, head: chainHash(head, outcome.json) });
    working.body = outcome.body;
    this.entries.push({ instance: id, entry: outcome.entry, after: working.instance, birth: working.birth });
    return working.instance;
  }

  /**
   * What follows from a step outside of the instance itself: numbers of the group, waiters, held ones, effects,
   * requests.
   */
  private follow({ before, event, after, left, birth }: Stepped, effects: readonly StepEffect[]): void {
    if (this.group !== null) {
      if (after.epoch !== null) countChange(this.group, left === undefined ? countedOf(before) : left, memberOf(after));
      this.followMembers(this.group, before, after);
    }
    const { timers } = after.snapshot.context;
    if (this.group !== null && timers.pause !== undefined) {
      this.group.lastHeldAtMs = Math.max(this.group.lastHeldAtMs ?? 0, timers.pause.dueAtMs - HELD_DUE_AT_MS);
    }
    for (const effect of effects) {
      if (effect === "run") this.emitRun(after, birth, event);
      else if (!after.snapshot.context.paused) this.requests.push(after);
    }
  }

  private followMembers(group: Group, before: Instance, after: Instance): void {
    const set = (change: MemberChange) => this.memberChanges.push(change);
    const waited = before.snapshot.state === "Proceeding";
    const waits = after.snapshot.state === "Proceeding";
    if (waits && !waited) {
      group.waiters += 1;
      group.arrivals += 1;
      set({ set: "waiters", instanceId: after.id, order: group.arrivals });
    } else if (waited && !waits) {
      group.waiters -= 1;
      set({ set: "waiters", instanceId: after.id, order: null });
    }
    const wasHeld = isHeld(before.snapshot);
    const held = isHeld(after.snapshot);
    if (held && !wasHeld) {
      group.held += 1;
      group.arrivals += 1;
      set({ set: "held", instanceId: after.id, order: group.arrivals });
    } else if (wasHeld && !held) {
      group.held -= 1;
      set({ set: "held", instanceId: after.id, order: null });
    }
  }

  /** What is only watched acts on nothing (decide.ts lets its attempt end at once). */
  private emitRun(instance: Instance, birth: Birth | null, event: InstanceEvent): void {
    if (instance.isObserved) return;
    const isAction = instance.kind === "action";
    if (isAction) this.attempts.set(instance.policy, this.attemptsOf(instance.policy) + 1);
    this.emission.count += 1;
    this.effects.push({
      id: effectIdOf(instance.id, instance.version, this.effects.length + 1),
      partition: this.partition,
      instanceId: instance.id,
      groupId: instance.groupId,
      attempt: instance.snapshot.context.attempt,
      token: isAction && this.group !== null ? takeToken(this.group, instance.atMs) : undefined,
      atMs: instance.atMs,
      turn: this.turn,
      order: [...this.emission.order, this.emission.count],
      ...topicOf(instance, birth?.alert),
      // Nothing else runs while a pause holds.
      ...("paused" in event && event.paused !== undefined ? { passesPause: true } : {}),
    });
  }

  /** Attempts of a policy's action that this commit begins; null: of all policies. */
  attemptsOf(policy: string | null): number {
    if (policy !== null) return this.attempts.get(policy) ?? 0;
    let sum = 0;
    for (const count of this.attempts.values()) sum += count;
    return sum;
  }

  changed(): ChangedInstance[] {
    return [...this.working.values()];
  }
}

/** An instance to which nothing has happened yet. `head`: the hash of its birth line. */
export function newborn(
  birth: Birth,
  { id, policy, head }: { id: string; policy: CompiledPolicy; head: string },
): Instance {
  return {
    id,
    kind: birth.kind,
    policy: birth.policy,
    policyVersion: birth.policyVersion,
    groupId: birth.group,
    epoch: null,
    isOpener: false,
    createdAtMs: birth.createdAtMs,
    decidedAtMs: null,
    atMs: birth.createdAtMs,
    version: 0,
    snapshot: initialSnapshot(machinePolicyOf(policy, { kind: birth.kind, groupId: birth.group })),
    verdict: null,
    reason: null,
    parked: null,
    succeededAtMs: null,
    isObserved: birth.observed === true,
    head,
  };
}

/**
 * `epoch`: the step places the instance into this formation of the group. `left`: what the group counts of it, when it
 * has left the group to be decided again; absent: that follows from what it was.
 */
export type Place = { readonly epoch?: number | null; readonly left?: Member | null };

type Stepped = Readonly<{
  before: Instance;
  event: InstanceEvent;
  after: Instance;
  left: Member | null | undefined;
  birth: Birth | null;
}>;

function countedOf(instance: Instance): Member | null {
  return instance.epoch === null ? null : memberOf(instance);
}

/** Of the commit that writes it. */
function versionOf({ before }: Working): number {
  return (before?.version ?? 0) + 1;
}

/** Birth of an instance that an alert asks for. */
export function birthOfAlert(
  alert: Alert,
  options: { policy: CompiledPolicy; groupId: string | null; atMs: number; isObserved?: boolean },
): Birth {
  const { policy } = options.policy;
  return {
    kind: "action",
    policy: policy.name,
    policyVersion: policy.version,
    group: options.groupId,
    createdAtMs: options.atMs,
    alert,
    notice: null,
    observed: options.isObserved === true ? true : undefined,
  };
}

/** Held by its group's rule, for which the group asks a human once. What a pause holds is not the group's. */
export function isHeld({ state, context }: Snapshot): boolean {
  return (state === "Defense" || state === "Waiting") && !context.paused;
}

/**
 * Where an instance stands among its peers: by its last attempt. Under approve_when_failed one that waits for a human
 * is in progress; one that a pause holds is nobody's peer; one that is verified is in progress, but under
 * wait_when_proceed, whose mutex is about running.
 */
export function standingOf({ state, context }: Snapshot): Standing {
  const fn = context.policy.function;
  if (context.paused) return "none";
  if (state === "Waiting" && fn === "approve_when_failed") return "inProgress";
  if (state === "Processing.verifying") return fn === "wait_when_proceed" ? "succeeded" : "inProgress";
  if (context.attempt === 0) return "none";
  if (state === "Processing.running" || (state === "Failed" && context.timers.retry !== undefined)) return "inProgress";
  return context.outcome === "succeeded" ? "succeeded" : "failed";
}

/** Is this attempt of an instance under way, whoever runs it? */
export function isUnderWay({ snapshot: { state, context } }: Instance, attempt: number): boolean {
  return state === "Processing.running" && context.attempt === attempt;
}

export function memberOf(instance: Instance): Member {
  return {
    id: instance.id,
    epoch: instance.epoch,
    createdAtMs: instance.decidedAtMs ?? instance.createdAtMs,
    hadAttempt: instance.snapshot.context.attempt > 0,
    standing: standingOf(instance.snapshot),
    succeededAtMs: instance.succeededAtMs,
  };
}

export function hasTimers(instance: Instance | null): boolean {
  if (instance === null) return false;
  for (const _ in instance.snapshot.context.timers) return true;
  return instance.parked !== null;
}

/** Every timer that an instance expects, by name. */
export function timersOf(instance: Instance | null): Map<string, ArmedTimer> {
  const timers = new Map<string, ArmedTimer>(instance === null ? [] : timerEntries(instance.snapshot.context));
  if (instance?.parked) timers.set("lock", instance.parked);
  return timers;
}

function timerEntries(context: InstanceContext): [string, ArmedTimer][] {
  return Object.entries(context.timers) as [string, ArmedTimer][];
}

import { expect } from "vitest";
import { dimensionKey, ruleGoverns } from "../../src/convergence/dimension-key.ts";
import type { Group } from "../../src/convergence/group.ts";
import { decodeGroup, encodeGroup } from "../../src/convergence/group-codec.ts";
import { birthOf } from "../../src/instance/audit.ts";
import { decodeCheckpoint, type Instance } from "../../src/instance/checkpoint.ts";
import { type Command, type Decision, decide, type OutsideEvent } from "../../src/instance/decide.ts";
import type { Brake } from "../../src/instance/decision.ts";
import { topLevel } from "../../src/instance/step.ts";
import { timerChanges } from "../../src/instance/timer-changes.ts";
import type { Alert } from "../../src/model/alert.ts";
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import { groupIdOf, instanceIdOf } from "../../src/model/ids.ts";
import {
  HELD_DUE_AT_MS,
  type InstanceState,
  type PauseNote,
  type ReconsiderCause,
  type SilenceNote,
} from "../../src/model/instance-types.ts";
import type { ReasonCode } from "../../src/model/reasons.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { type CompiledPolicy, compilePolicy, policyKey } from "../../src/policy/policy-versions.ts";
import { countedText, isExpectedTally, tallyOf } from "../../src/stores/tally-text.ts";
import type { Episode, Labels, ModelEffect, ModelOp, ModelSilence, ModelTimer } from "./slow-model-types.ts";

/**
 * The smallest program around `decide`: maps instead of a store, one partition, one command (or one batch) after the other. What a
 * decision writes is read back through its codecs before it is used again. It takes the operations of the slow model.
 */

type Timer = ModelTimer & { readonly arm: number };
type GroupTimer = Omit<Timer, "name"> & { readonly name: ModelTimer["name"] | "wake" | "reconsider" | "silence" };
const ACTOR = { by: "ada", why: "test" } as const;
const PARTITION = 0;

/** What the driver shows of an instance: what the slow model shows too. */
export type DrivenInstance = {
  readonly id: string;
  readonly state: InstanceState;
  readonly path: readonly InstanceState[];
  readonly attempts: number;
  readonly reasons: readonly ReasonCode[];
  readonly isOpener: boolean;
};

export class DecideDriver {
  readonly effects: ModelEffect[] = [];
  /** The emergency stops that hold, and what brakes leave: as a decision gets them. */
  pauses: readonly PauseNote[] = [];
  brakes: readonly Brake[] = [];
  isObserving = false;
  /** Pauses that brakes have begun. */
  readonly braked: PauseNote[] = [];
  /** Instances whose alert fires no longer. */
  readonly over = new Set<string>();
  private readonly policies: readonly CompiledPolicy[];
  private readonly versions: Map<string, CompiledPolicy>;
  private readonly silences: readonly ModelSilence[];
  /** How many waiters one decision gets to see: fewer than there are make the decision wake itself again. */
  private readonly waitersSeen: number;
  private readonly stored = new Map<string, Instance>();
  private readonly lines = new Map<string, readonly string[]>();
  private readonly groups = new Map<string, string>();
  private readonly waiters = new Map<string, Map<string, number>>();
  private readonly tallies = new Map<string, string>();
  private readonly held = new Map<string, Map<string, number>>();
  private readonly timers: GroupTimer[] = [];
  private readonly histories = new Map<string, { path: InstanceState[]; reasons: ReasonCode[] }>();

  constructor(policies: readonly Policy[], options: { silences?: readonly ModelSilence[]; waitersSeen?: number } = {}) {
    this.policies = policies.map(compilePolicy);
    this.versions = new Map(this.policies.map((compiled) => [policyKey(compiled.policy), compiled]));
    this.silences = options.silences ?? [];
    this.waitersSeen = options.waitersSeen ?? 1_000;
  }

  /** Alerts of one request: decided in one batch a group. */
  fire(atMs: number, episodes: readonly Episode[]): void {
    const batches = new Map<string, { groupId: string | null; commands: Command[] }>();
    for (const episode of episodes) {
      for (const policy of this.policies.filter(({ matches }) => matches(episode.labels))) {
        const groupId = this.groupIdOf(policy, episode.labels);
        const id = idOf(policy.policy.name, episode);
        const command: Command = {
          type: "create",
          id,
          atMs,
          alert: alertOf(episode),
          policy,
          silence: this.silenceAt(atMs, episode.labels),
        };
        const batch = batches.get(groupId ?? id) ?? { groupId, commands: [] };
        batches.set(groupId ?? id, batch);
        batch.commands.push(command);
      }
    }
    for (const { groupId, commands } of batches.values()) this.take(groupId, commands);
  }

  /** Every other operation. Timers are fired by `fireTimer`. */
  apply(op: Exclude<ModelOp, { type: "firing" | "advance" }>): void {
    if (op.type === "resolved") {
      for (const { policy } of this.policies) {
        const id = idOf(policy.name, op);
        if (this.stored.has(id)) this.send(id, { type: "alert.resolved", atMs: op.atMs });
      }
    } else if ("group" in op) {
      const commands = this.heldOf(op.group).map((id): Command => ({ type: "event", id, event: this.eventOf(id, op) }));
      if (commands.length > 0) this.take(op.group, commands);
    } else {
      this.send(op.instance, this.eventOf(op.instance, op));
    }
  }

  /** What a pause holds has a timer that is due after the end of time. */
  nextTimer(): Timer | null {
    const first = this.timers.sort(compareTimers)[0] as Timer | undefined;
    return first === undefined || first.dueAtMs >= HELD_DUE_AT_MS ? null : first;
  }

  /** Fires what is due before `atMs`, in order. */
  advance(atMs: number): void {
    for (let timer = this.nextTimer(); timer !== null && timer.dueAtMs < atMs; timer = this.nextTimer())
      this.fireTimer();
  }

  /** Decides again what pauses have held, in the order in which they held it. */
  resume(atMs: number): void {
    const held = this.timers.filter(({ dueAtMs }) => dueAtMs >= HELD_DUE_AT_MS).sort(compareTimers);
    for (const { owner } of held) this.reconsider(owner, { cause: "resumed", atMs });
  }

  reconsider(id: string, { cause, atMs, arm }: { cause: ReconsiderCause; atMs: number; arm?: number }): void {
    const { labels } = birthOf(id, this.lines.get(id) ?? []).alert as Alert;
    const isOpen = !this.over.has(id);
    const silence = this.silenceAt(atMs, labels);
    const command: Command = {
      type: "reconsider",
      id,
      atMs,
      cause,
      isOpen,
      silence,
      ...(arm === undefined ? {} : { arm }),
    };
    this.take(this.read(id).groupId, [command]);
  }

  /** Sends an event that the slow model does not know, or in a way that it does not. */
  sendEvent(id: string, event: OutsideEvent): void {
    this.send(id, event);
  }

  snapshot(id: string): Instance {
    return this.read(id);
  }

  history(id: string): readonly string[] {
    return this.lines.get(id) ?? [];
  }

  fireTimer(): void {
    const { name, owner, arm, dueAtMs } = this.timers.sort(compareTimers).shift() as GroupTimer;
    if (name === "wake") this.take(owner, [{ type: "wake", arm, atMs: dueAtMs }]);
    else if (name === "reconsider") this.reconsider(owner, { cause: "again", atMs: dueAtMs, arm });
    else if (name === "silence") this.reconsider(owner, { cause: "silence_over", atMs: dueAtMs, arm });
    else if (name === "summary") this.take(owner, [{ type: "summarise", arm, atMs: dueAtMs }]);
    else this.send(owner, { type: "timer.elapsed", atMs: dueAtMs, timer: name, arm });
  }

  /** Actions only: the notices that the engine sends by itself show in `effects`. */
  instances(): DrivenInstance[] {
    return [...this.stored.values()].flatMap((instance) => {
      if (instance.kind !== "action") return [];
      const { snapshot, isOpener, id } = instance;
      const { path, reasons } = this.histories.get(id) as { path: InstanceState[]; reasons: ReasonCode[] };
      return { id, state: topLevel(snapshot.state), path, attempts: snapshot.context.attempt, reasons, isOpener };
    });
  }

  private eventOf(
    id: string,
    op: Extract<ModelOp, { type: "grant" | "deny" | "done" | "failed" | "cancel" | "end" | "startApproved" }>,
  ): OutsideEvent {
    const { atMs } = op;
    const { attempt } = this.read(id).snapshot.context;
    switch (op.type) {
      case "done":
        return { type: "effect.done", atMs, attempt, isOpen: !this.over.has(id) };
      case "failed":
        return { type: "effect.failed", atMs, attempt, error: "exit 1" };
      case "grant":
        return { type: "approval.granted", atMs, ...ACTOR, silence: null };
      case "deny":
        return { type: "approval.denied", atMs, ...ACTOR };
      case "startApproved":
        return { type: "start", atMs, approved: true, ...ACTOR, silence: null };
      case "cancel":
      case "end":
        return { type: op.type, atMs, ...ACTOR };
    }
  }

  private send(id: string, event: OutsideEvent): void {
    this.take(this.read(id).groupId, [{ type: "event", id, event }]);
  }

  /** One decision, made durable; then the wakes that it left, which are due at once. */
  private take(groupId: string | null, commands: readonly Command[]): void {
    const stored = groupId === null ? undefined : this.groups.get(groupId);
    const group = stored === undefined ? null : decodeGroup(groupId as string, stored);
    const all = inOrder(this.waiters.get(groupId ?? ""));
    const waiters = all.slice(0, this.waitersSeen);
    const decision = decide({
      partition: PARTITION,
      groupId,
      group,
      instances: this.stored,
      waiters,
      hasMoreWaiters: all.length > waiters.length,
      policies: this.versions,
      commands,
      isVirtual: true,
      turn: 0,
      pauses: this.pauses,
      brakes: this.brakes,
      isObserving: this.isObserving,
      tallies: new Map([...this.tallies].map(([key, text]) => [key, tallyOf(text)])),
    });
    this.braked.push(...decision.braked);
    this.keep(groupId, decision);
    while (this.timers.some(({ name }) => name === "wake")) {
      const index = this.timers.findIndex(({ name }) => name === "wake");
      const [wake] = this.timers.splice(index, 1) as [GroupTimer];
      this.take(wake.owner, [{ type: "wake", arm: wake.arm, atMs: wake.dueAtMs }]);
    }
  }

  private keep(groupId: string | null, decision: Decision): void {
    for (const changed of decision.instances) {
      const { instance, body, lines } = changed;
      this.lines.set(instance.id, [...(this.lines.get(instance.id) ?? []), ...lines]);
      this.stored.set(
        instance.id,
        decodeCheckpoint(
          { id: instance.id, version: instance.version, value: `${instance.head} ${body}` },
          this.versions,
        ),
      );
      const { armed, cancelled } = timerChanges(changed);
      for (const [name, { arm }] of cancelled) this.disarm({ owner: instance.id, name, arm });
      for (const [name, timer] of armed)
        this.timers.push({ owner: instance.id, name: name as Timer["name"], ...timer });
    }
    for (const { instance, entry } of decision.entries) {
      const history = this.histories.get(instance) ?? { path: [], reasons: [] };
      this.histories.set(instance, history);
      history.path.push(...entry.path.slice(history.path.length === 0 ? 0 : 1));
      history.reasons.push(entry.reason);
    }
    for (const effect of decision.effects) this.effects.push(this.shown(this.read(effect.instanceId), effect));
    if (groupId !== null) this.keepGroup(groupId, decision);
  }

  private keepGroup(groupId: string, decision: Decision): void {
    const { group, memberChanges, tallies, groupTimersArmed, groupTimersCancelled } = decision;
    if (decision.isGroupChanged) this.groups.set(groupId, encodeGroup(group as Group));
    for (const write of tallies) {
      expect(isExpectedTally(this.tallies.get(write.key), write)).toBe(true);
      if (write.kind === "take") this.tallies.delete(write.key);
      else this.tallies.set(write.key, countedText(this.tallies.get(write.key), write));
    }
    for (const { set, instanceId, order } of memberChanges) {
      const sets = set === "waiters" ? this.waiters : this.held;
      const members = sets.get(groupId) ?? new Map<string, number>();
      sets.set(groupId, members);
      if (order === null) members.delete(instanceId);
      else members.set(instanceId, order);
    }
    for (const { name, timer } of groupTimersCancelled) this.disarm({ owner: groupId, name, arm: timer.arm });
    for (const { name, timer } of groupTimersArmed) this.timers.push({ owner: groupId, name, ...timer });
  }

  private disarm({ owner, name, arm }: { owner: string; name: string; arm: number }): void {
    const index = this.timers.findIndex((timer) => timer.owner === owner && timer.name === name && timer.arm === arm);
    if (index >= 0) this.timers.splice(index, 1);
  }

  private shown(instance: Instance, { atMs, attempt }: { atMs: number; attempt: number }): ModelEffect {
    const { notice } = birthOf(instance.id, this.lines.get(instance.id) ?? []);
    if (instance.kind === "action") return { kind: "run", atMs, instance: instance.id, attempt };
    if (notice?.kind === "summary") return { kind: "summary", atMs, group: notice.group, skipped: notice.skipped };
    return { kind: "approval-request", atMs, scope: notice?.group ?? notice?.instance ?? "" };
  }

  private heldOf(groupId: string): string[] {
    return inOrder(this.held.get(groupId));
  }

  private read(id: string): Instance {
    const stored = this.stored.get(id);
    if (stored === undefined) throw new Error(`no instance ${id}`);
    return stored;
  }

  private groupIdOf({ policy }: CompiledPolicy, labels: Labels): string | null {
    const rule = policy.converge;
    return rule !== null && ruleGoverns(rule, labels) ? groupIdOf(policy.name, dimensionKey(rule, labels)) : null;
  }

  private silenceAt(atMs: number, labels: Labels): SilenceNote | null {
    const silence = this.silences.find(({ match, fromMs, toMs }) => {
      return fromMs <= atMs && atMs < toMs && Object.entries(match).every(([name, value]) => labels[name] === value);
    });
    return silence === undefined
      ? null
      : { author: "ops", comment: "test", toMs: silence.toMs, ...(silence.id === undefined ? {} : { id: silence.id }) };
  }
}

export function idOf(policy: string, { labels, startsAtMs }: Episode): string {
  return instanceIdOf({ policy, fingerprint: fingerprintOf(labels), startMs: startsAtMs }, PARTITION);
}

function alertOf({ labels, startsAtMs }: Episode): Alert {
  const fingerprint = fingerprintOf(labels);
  return { labels, annotations: {}, startsAtMs, endsAtMs: null, status: "firing", generatorURL: null, fingerprint };
}

function inOrder(members: ReadonlyMap<string, number> | undefined): string[] {
  return [...(members ?? [])].sort(([, a], [, b]) => a - b).map(([id]) => id);
}

function compareTimers(a: GroupTimer, b: GroupTimer): number {
  return a.dueAtMs - b.dueAtMs || compareTexts(a.owner, b.owner) || compareTexts(a.name, b.name) || a.arm - b.arm;
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/**
 * Takes the commands of one batch into the draft of its commit, one after the other: which event goes to whom, and what
 * it must know of the group. Pure, as all of `decide`.
 */
import { verdictInGroup } from "../convergence/convergence.ts";
import {
  armWake,
  closeIfOver,
  formingMember,
  type Group,
  leaveGroup,
  type Member,
  type OpenGroup,
  openGroup,
  pruneForming,
  scheduleSummary,
} from "../convergence/group.ts";
import { isSeenIn, viewOf } from "../convergence/group-view.ts";
import { collectedBy, tallyKey } from "../convergence/tally.ts";
import type { ConvergenceRule } from "../model/convergence-rule.ts";
import type { GroupView, InstanceEvent, InstancePolicy, ReconsiderEvent, StartEvent } from "../model/instance-types.ts";
import { COMMIT_INSTANCE_COUNT_MAX } from "../model/limits.ts";
import { hasGranted } from "../model/person.ts";
import { type CompiledPolicy, policyKey } from "../policy/policy-versions.ts";
import type { Instance } from "./checkpoint.ts";
import { type Command, type CommandResult, type DecideInput, type OutsideEvent, timeOf } from "./decision.ts";
import { birthOfAlert, type Draft, isUnderWay, memberOf, type Place } from "./draft.ts";
import { approvalRequestFor, type NewNotice, pauseRequestFor, summaryOf } from "./notices.ts";
import { step } from "./step.ts";
import { Stops } from "./stops.ts";

/** What a decision of an instance looks at beside its group. */
type Look = {
  readonly policy: CompiledPolicy;
  /** A start, or a reconsideration; it is given the view of the group. */
  readonly event: (StartEvent | ReconsiderEvent) & { group: null };
  readonly lockBusyUntilMs?: number | undefined;
  /** What the group goes on counting of an instance that is decided again. */
  readonly left?: Member | null;
};

/** Takes the commands of one batch, in order. Waiters are looked at after each that is not a creation. */
export class CommandTaker {
  private readonly input: DecideInput;
  private readonly draft: Draft;
  private readonly unreadableWaiters: number;
  readonly stops: Stops;
  private started: StartEvent | null = null;
  private seen: {
    readonly open: OpenGroup;
    readonly atMs: number;
    readonly ownVersion: string;
    readonly settledCount: number;
    readonly view: GroupView;
  } | null = null;

  constructor(input: DecideInput, draft: Draft) {
    this.input = input;
    this.draft = draft;
    this.stops = new Stops(input, draft);
    this.unreadableWaiters = input.waiters.filter((id) => input.quarantined?.has(id) === true).length;
  }

  take(command: Command): CommandResult {
    this.draft.beginCommand(command.order ?? []);
    // First of all, so that a member that is run again after its group's end does not keep that group open.
    if (this.draft.group !== null) closeIfOver(this.draft.group, this.now(timeOf(command)), this.unreadableWaiters);
    const result = this.dispatch(command);
    this.requestApprovals();
    if (
      command.type !== "create" &&
      command.type !== "note" &&
      (result.outcome === "applied" || command.type === "wake")
    ) {
      this.lookAtWaiters(this.now(timeOf(command)));
      this.requestApprovals();
    }
    return result;
  }

  private dispatch(command: Command): CommandResult {
    switch (command.type) {
      case "create":
        return this.create(command);
      case "unpark":
        return this.unpark(command);
      case "event":
        return this.event(command);
      case "reconsider":
        return this.reconsider(command);
      case "note":
        return this.note(command);
      case "askForPause":
        return this.askForPause(command);
      case "summarise":
        return this.summarise(command.arm, command.atMs);
      case "wake":
        return this.wake(command.arm);
    }
  }

  /** Time in a group never runs backwards. */
  private now(atMs: number): number {
    return Math.max(atMs, this.draft.group?.lastAtMs ?? atMs);
  }

  private create(command: Command & { type: "create" }): CommandResult {
    const existing = this.draft.get(command.id);
    if (existing !== undefined) return { outcome: "duplicate", instance: existing };
    const atMs = this.now(command.atMs);
    const { id, policy, silence, lockBusyUntilMs } = command;
    const made = { policy, groupId: this.input.groupId, atMs, isObserved: this.isObserved(policy) };
    const birth = birthOfAlert(command.alert, made);
    const instance = this.draft.create(birth, { id, policy });
    const event = this.startOf(policy, { atMs, silence });
    return { outcome: "created", instance: this.begin(instance, { policy, event, lockBusyUntilMs }) };
  }

  private unpark(command: Command & { type: "unpark" }): CommandResult {
    const instance = this.draft.get(command.id);
    if (instance === undefined) return { outcome: "missing", instance: null };
    if (instance.parked?.arm !== command.arm) return { outcome: "stale", instance };
    const { silence, lockBusyUntilMs } = command;
    const policy = this.policyOf(instance);
    const event = this.startOf(policy, { atMs: this.now(command.atMs), silence });
    return { outcome: "applied", instance: this.begin(instance, { policy, event, lockBusyUntilMs }) };
  }

  private startOf({ policy }: CompiledPolicy, { atMs, silence }: Pick<StartEvent, "atMs" | "silence">): Look["event"] {
    const stops = this.stops.of(policy.name, atMs);
    // Most are under none, and a spread costs every alert of a storm.
    if (stops.paused === undefined) return { type: "start", atMs, silence, group: null };
    return { type: "start", atMs, silence, group: null, ...stops };
  }

  /**
   * Decides an instance once more, as if it came now: it leaves the group that it was decided in, and joins it, or the
   * next one, as what it is decided now.
   */
  private reconsider(command: Command & { type: "reconsider" }): CommandResult {
    const instance = this.draft.get(command.id);
    if (instance === undefined) return { outcome: "missing", instance: null };
    const { cause, isOpen, silence, arm } = command;
    const policy = this.policyOf(instance);
    const event = {
      ...this.startOf(policy, { atMs: Math.max(this.now(command.atMs), instance.atMs), silence }),
      type: "reconsider" as const,
      cause,
      isOpen,
      ...(arm === undefined ? {} : { arm }),
    } satisfies InstanceEvent;
    const asked = step(instance.snapshot, event);
    if (!asked.accepted) return { outcome: arm === undefined ? "refused" : "stale", instance };
    if (!asked.path.includes("Idle")) return { outcome: "applied", instance: this.must(instance, event) };
    const left = this.leave(instance);
    return { outcome: "applied", instance: this.begin(instance, { policy, event, left }) };
  }

  private leave(instance: Instance): Member | null {
    const { group } = this.draft;
    if (group === null || instance.epoch !== group.epoch) return null;
    if (instance.reason === "collected" || instance.reason === "parent_open") this.draft.uncollect(group, instance.id);
    return leaveGroup(group, memberOf(instance));
  }

  /** A decision as of now: silence, then the lock, then its group. */
  private begin(instance: Instance, { policy, event, lockBusyUntilMs, left = null }: Look): Instance {
    const { atMs } = event;
    const { group } = this.draft;
    const rule = policy.policy.converge;
    if (event.silence !== null || group === null || rule === null) return this.must(instance, event);
    if (lockBusyUntilMs !== undefined) {
      const arm = (instance.parked?.arm ?? 0) + 1;
      return this.draft.note(instance, { type: "lock.busy", atMs, dueAtMs: lockBusyUntilMs, arm });
    }
    if (group.open !== null) {
      const view = this.viewOfOpen(group.open, { instance, atMs, left });
      return this.must(instance, this.seeing(event, view), { epoch: group.epoch, left });
    }
    const isFirst = instance.parked === null && event.type === "start";
    pruneForming(group, rule, isFirst ? instance.createdAtMs : atMs);
    if (group.forming.length + 1 >= rule.count) return this.open(group, rule, { instance, event });
    const decided = this.must(instance, event, { epoch: group.epoch, left: null });
    group.forming.push(formingMember(memberOf(decided)));
    return decided;
  }

  /** The same object while nothing in the group has changed, so that equal decisions are found (outcome-memo.ts). */
  private viewOfOpen(
    open: OpenGroup,
    { instance, atMs, left }: { instance: Instance; atMs: number; left: Member | null },
  ): GroupView {
    const { seen } = this;
    const ownVersion = instance.policyVersion;
    if (left !== null) return viewOf(open, { isNew: false, atMs, ownVersion, left });
    if (seen !== null && seen.open === open && seen.atMs === atMs && seen.ownVersion === ownVersion) {
      if (seen.settledCount === open.settledAtMs.length && isSeenIn(seen.view, open)) return seen.view;
    }
    const view = viewOf(open, { isNew: false, atMs, ownVersion });
    this.seen = { open, atMs, ownVersion, settledCount: open.settledAtMs.length, view };
    return view;
  }

  /** The event with what it sees of the group; the same object as before where it says the same. */
  private seeing(event: Look["event"], group: GroupView): StartEvent | ReconsiderEvent {
    const { started } = this;
    if (event.type !== "start" || event.paused !== undefined) return { ...event, group };
    if (started?.group === group && started.atMs === event.atMs && started.silence === event.silence) return started;
    this.started = { ...event, group };
    return this.started;
  }

  private open(
    group: Group,
    rule: ConvergenceRule,
    { instance, event }: { instance: Instance; event: Look["event"] },
  ): Instance {
    const { atMs } = event;
    const open = openGroup(group, rule, { ruleVersion: instance.policyVersion, atMs });
    const view = viewOf(open, { isNew: true, atMs, ownVersion: instance.policyVersion });
    const opener = { openerId: instance.id, isAnew: event.type === "reconsider" };
    if (verdictInGroup(rule.function, rule.count, view.observation).summary) scheduleSummary(group, open, opener);
    return this.must(instance, { ...event, group: view }, { epoch: group.epoch, left: null });
  }

  private event({ id, event, ifVersion }: Command & { type: "event" }): CommandResult {
    const instance = this.draft.get(id);
    if (instance === undefined) return { outcome: "missing", instance: null };
    if (ifVersion?.includes(instance.version) === false) return { outcome: "moved", instance };
    if (this.input.isVirtual && event.atMs < instance.atMs) return { outcome: "late", instance };
    const dated = event.atMs >= instance.atMs ? event : { ...event, atMs: instance.atMs };
    const full = this.completed(instance, dated);
    if (full === null) return { outcome: "refused", instance };
    const joins = full.type === "start" && instance.parked !== null ? this.draft.group : null;
    const applied = this.apply(instance, full, { epoch: joins?.epoch ?? null });
    if (applied === null) return { outcome: full.type === "timer.elapsed" ? "stale" : "refused", instance };
    // Run anyway before the lock was free: it is a peer like any other that was decided now.
    if (joins?.open === null) joins.forming.push(formingMember(memberOf(applied)));
    if (full.type === "approval.denied") this.denyThoseThatWait(full);
    return { outcome: "applied", instance: applied };
  }

  /** Of an attempt that is still under way: what is over needs no note. */
  private note({ id, atMs, note }: Command & { type: "note" }): CommandResult {
    const instance = this.draft.get(id);
    if (instance === undefined) return { outcome: "missing", instance: null };
    if (!isUnderWay(instance, note.attempt)) return { outcome: "stale", instance };
    const dated = { ...note, atMs: Math.max(atMs, instance.atMs) };
    return { outcome: "applied", instance: this.draft.note(instance, dated) };
  }

  /** An event as the machine takes it: with what it must know of the world. null: that person has granted it before. */
  private completed(instance: Instance, event: OutsideEvent): InstanceEvent | null {
    const stops = () => this.stops.of(instance.policy, event.atMs);
    if (event.type === "start") return { ...event, group: this.viewFor(instance, event.atMs), ...stops() };
    if (event.type === "approval.granted") return this.grantOf(instance, event);
    if (event.type === "effect.done") return doneOf(event, instance.snapshot.context.policy);
    const isRetry = event.type === "timer.elapsed" && event.timer === "retry" && instance.kind === "action";
    return isRetry ? { ...event, ...stops() } : event;
  }

  /** Grants of as many people as the policy wants make one; those before it are only counted. */
  private grantOf(instance: Instance, event: OutsideEvent & { type: "approval.granted" }): InstanceEvent | null {
    const { grants } = instance.snapshot.context;
    const quorum = this.policyOf(instance).policy.approval.quorum ?? 1;
    if (hasGranted(grants, event.by)) return null;
    const { atMs, by, why } = event;
    if (grants.length + 1 < quorum) return { type: "approval.counted", atMs, by, why };
    const others = grants.length === 0 ? {} : { with: grants };
    return { ...event, ...others, group: this.viewFor(instance, atMs), ...this.stops.of(instance.policy, atMs) };
  }

  private viewFor(instance: Instance, atMs: number): GroupView | null {
    const open = this.draft.group?.open;
    if (open == null || instance.epoch !== this.draft.group?.epoch) return null;
    return viewOf(open, { isNew: false, atMs, ownVersion: instance.policyVersion });
  }

  /** A denial after a failure skips those that wait for it, once nobody else is in progress. */
  private denyThoseThatWait({ by, why, atMs }: { by: string; why: string; atMs: number }): void {
    const { group } = this.draft;
    if (group?.open == null || group.waiters === 0) return;
    const { rule, inProgress, succeeded } = group.open;
    if (rule.function !== "approve_when_failed" || inProgress > 0 || succeeded > 0) return;
    armWake(group, { denied: { by, why }, atMs });
  }

  private wake(arm: number): CommandResult {
    const { group } = this.draft;
    return { outcome: group?.wake?.timer.arm === arm ? "applied" : "stale", instance: null };
  }

  /** Looks at waiters in order of arrival; stops at the first that still waits, as it does behind one that runs. */
  private lookAtWaiters(atMs: number): void {
    const { group } = this.draft;
    if (group?.open == null || group.waiters === 0) {
      if (group !== null) group.wake = null;
      return;
    }
    const denied = group.wake?.denied ?? null;
    group.wake = null;
    for (const id of this.waiters()) {
      const instance = this.draft.get(id);
      if (instance === undefined || instance.snapshot.state !== "Proceeding") continue;
      if (this.draft.changedCount >= COMMIT_INSTANCE_COUNT_MAX) {
        armWake(group, { denied, atMs });
        return;
      }
      if (denied !== null) {
        this.must(instance, { type: "cancel", atMs, ...denied, reason: "peer_denied" });
        continue;
      }
      const view = viewOf(group.open, { isNew: false, atMs, ownVersion: instance.policyVersion });
      if (verdictInGroup(group.open.rule.function, view.count, view.observation).verdict === "wait") return;
      this.must(instance, { type: "peers.settled", atMs, group: view, ...this.stops.of(instance.policy, atMs) });
    }
    if (this.input.hasMoreWaiters && group.waiters > 0) armWake(group, { denied, atMs });
  }

  /** In order of arrival. Those that came in this batch stand behind the stored ones, if all of these are known. */
  private waiters(): readonly string[] {
    const { waiters, hasMoreWaiters } = this.input;
    const { memberChanges } = this.draft;
    if (hasMoreWaiters || memberChanges.length === 0) return waiters;
    const stored = new Set(waiters);
    const added = memberChanges.filter(
      ({ set, order, instanceId }) => set === "waiters" && order !== null && !stored.has(instanceId),
    );
    return [...waiters, ...added.map(({ instanceId }) => instanceId)];
  }

  /** Defense is left in the commit that entered it; the group asks a human once, when its first instance is held. */
  private requestApprovals(): void {
    for (const instance of this.draft.requests.splice(0)) {
      const current = this.draft.get(instance.id) as Instance;
      if (current.snapshot.state === "Waiting" && (this.draft.group === null || this.draft.group.held === 1))
        this.make(approvalRequestFor(current, this.draft.partition));
    }
  }

  private summarise(arm: number, atMs: number): CommandResult {
    const { group } = this.draft;
    const summary = group?.summaries.find((candidate) => candidate.timer.arm === arm);
    if (group == null || summary === undefined) return { outcome: "stale", instance: null };
    group.summaries = group.summaries.filter((candidate) => candidate !== summary);
    const { policy } = group;
    const isObserved = this.isObserved(this.policyOf({ policy, policyVersion: summary.ruleVersion }));
    const collected = collectedBy(summary, this.draft.tallies.take(tallyKey(group, summary)));
    const made = this.make(summaryOf(collected, { group: group.id, policy, isObserved, atMs }));
    return { outcome: "applied", instance: made };
  }

  private askForPause(command: Command & { type: "askForPause" }): CommandResult {
    const asked = this.draft.get(command.id);
    if (asked !== undefined) return { outcome: "duplicate", instance: asked };
    return { outcome: "created", instance: this.make(pauseRequestFor(command)) };
  }

  private make({ id, birth, event }: NewNotice): Instance {
    return this.must(this.draft.create(birth, { id, policy: this.policyOf(birth) }), event);
  }

  private isObserved({ policy }: CompiledPolicy): boolean {
    return this.input.isObserving === true || policy.mode === "observe";
  }

  private policyOf(made: { policy: string; policyVersion: string }): CompiledPolicy {
    const compiled = this.input.policies.get(policyKey({ name: made.policy, version: made.policyVersion }));
    if (compiled === undefined)
      throw new Error(`decide: policy ${made.policy} version ${made.policyVersion} was not given`);
    return compiled;
  }

  /** An event that the engine itself chose: the machine accepts it, and Defense is left at once. */
  private must(instance: Instance, event: InstanceEvent, place: Place = {}): Instance {
    const applied = this.apply(instance, event, place);
    if (applied === null) throw new Error(`decide: ${instance.snapshot.state} of ${instance.id} refused ${event.type}`);
    return applied.snapshot.state === "Defense"
      ? this.must(applied, { type: "approval.requested", atMs: event.atMs })
      : applied;
  }

  /** Steps an instance. The attempt of one that is only watched counts as succeeded at once. */
  private apply(instance: Instance, event: InstanceEvent, place: Place): Instance | null {
    const applied = this.draft.apply(instance, event, place);
    if (applied === null) return null;
    const { state, context } = applied.snapshot;
    if (context.paused && "paused" in event && event.paused !== undefined) this.stops.note(event.paused);
    if (!applied.isObserved || state !== "Processing.running") return applied;
    const done = { type: "effect.done", atMs: event.atMs, attempt: context.attempt, observed: true } as const;
    return this.draft.apply(applied, done);
  }
}

/** Only a policy that verifies wants to know whether the alert still fires. */
function doneOf(done: OutsideEvent & { type: "effect.done" }, { verifyMs }: InstancePolicy) {
  if (done.isOpen === undefined || verifyMs !== null) return done;
  const { isOpen: _, ...event } = done;
  return event;
}

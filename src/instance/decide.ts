/**
 * The heart: what a batch of commands changes. Pure: same input, same decision.
 *
 * Everything that a decision needs of the world (time, stored state, silences, whether the dimension lock was busy) comes in with
 * the input; everything that it changes comes out as data, for ONE commit. Nothing of a decision is true before that commit.
 */

import { verdictInGroup } from "../convergence/convergence.ts";
import {
  closeIfOver,
  draftOf,
  dropQuarantined,
  formingMember,
  type Group,
  isSeenIn,
  isUnchanged,
  newGroup,
  type OpenGroup,
  openGroup,
  pruneForming,
  scheduleSummary,
  viewOf,
} from "../convergence/group.ts";
import type { ConvergenceRule } from "../model/convergence-rule.ts";
import { noticeIdOf, partitionOfId } from "../model/ids.ts";
import type { GroupView, InstanceEvent, SilenceNote } from "../model/instance-types.ts";
import { COMMIT_INSTANCE_COUNT_MAX } from "../model/limits.ts";
import { type CompiledPolicy, policyKey } from "../policy/policy-versions.ts";
import type { Notice } from "./audit-types.ts";
import type { Instance } from "./checkpoint.ts";
import type { Command, CommandResult, DecideInput, Decision, OutsideEvent } from "./decision.ts";
import { birthOfAlert, Draft, memberOf } from "./draft.ts";
import { groupTimers, includesTimer, sameTimers } from "./timer-changes.ts";

export type {
  Command,
  CommandOutcome,
  CommandResult,
  DecideInput,
  Decision,
  GroupTimer,
  OutsideEvent,
} from "./decision.ts";

const NONE = { has: () => false };

export function decide(input: DecideInput): Decision {
  const firstAtMs = input.commands.map(timeOf).reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const group =
    input.groupId === null
      ? null
      : input.group === null
        ? newGroup(input.groupId, policyNameOf(input), firstAtMs)
        : draftOf(input.group);
  const draft = new Draft({
    group,
    partition: input.partition,
    stored: input.instances,
    turn: input.turn,
    isPlain: input.isPlain === true,
  });
  const timersBefore = groupTimers(input.group);
  const isDropped = group !== null && dropQuarantined(group, input.quarantined ?? NONE);
  if (isDropped && group.waiters > 0 && group.wake === null) armWake(group, { denied: null, atMs: group.lastAtMs });
  const taker = new Turn(input, draft);
  const results = input.commands.map((command) => {
    const result = taker.take(command);
    if (group !== null) group.lastAtMs = Math.max(group.lastAtMs, timeOf(command));
    return result;
  });
  const instances = draft.changed();
  const timersAfter = groupTimers(group);
  const isEmpty = instances.length === 0 && !isDropped && sameTimers(timersBefore, timersAfter);
  return {
    results: results.map((result) => latest(result, draft)),
    isEmpty,
    group,
    isGroupChanged: group !== null && (input.group === null || !isUnchanged(input.group, group)),
    instances,
    entries: draft.entries,
    effects: draft.effects,
    memberChanges: draft.memberChanges,
    groupTimersArmed: timersAfter.filter((timer) => !includesTimer(timersBefore, timer)),
    groupTimersCancelled: timersBefore.filter((timer) => !includesTimer(timersAfter, timer)),
  };
}

/** A later command of the batch may have taken the instance further. */
function latest(result: CommandResult, draft: Draft): CommandResult {
  const instance = result.instance === null ? null : (draft.get(result.instance.id) ?? null);
  return instance === result.instance ? result : { outcome: result.outcome, instance };
}

function policyNameOf(input: DecideInput): string {
  const command = input.commands.find((candidate) => candidate.type === "create");
  if (command !== undefined) return command.policy.policy.name;
  return [...input.instances.values()].find((instance) => instance.groupId === input.groupId)?.policy ?? "";
}

function timeOf(command: Command): number {
  return command.type === "event" ? command.event.atMs : command.atMs;
}

/** What the first decision of an instance looks at beside its group. */
type FirstLook = {
  readonly policy: CompiledPolicy;
  readonly silence: SilenceNote | null;
  readonly lockBusyUntilMs: number | undefined;
  readonly atMs: number;
};

/** Takes one command into the draft. Waiters are looked at after each command that is not a creation. */
class Turn {
  private readonly input: DecideInput;
  private readonly draft: Draft;
  private readonly unreadableWaiters: number;
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
    this.unreadableWaiters = input.waiters.filter((id) => input.quarantined?.has(id) === true).length;
  }

  take(command: Command): CommandResult {
    this.draft.beginCommand(command.order ?? []);
    // First of all, so that a member that is run again after its group's end does not keep that group open.
    if (this.draft.group !== null) closeIfOver(this.draft.group, this.now(timeOf(command)), this.unreadableWaiters);
    const result = this.dispatch(command);
    this.requestApprovals();
    if (command.type !== "create" && (result.outcome === "applied" || command.type === "wake")) {
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
        return this.event(command.id, command.event);
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
    const birth = birthOfAlert(command.alert, { policy: command.policy, groupId: this.input.groupId, atMs });
    const { id, policy, silence, lockBusyUntilMs } = command;
    const instance = this.draft.create(birth, { id, policy });
    return { outcome: "created", instance: this.begin(instance, { policy, silence, lockBusyUntilMs, atMs }) };
  }

  private unpark(command: Command & { type: "unpark" }): CommandResult {
    const instance = this.draft.get(command.id);
    if (instance === undefined) return { outcome: "missing", instance: null };
    if (instance.parked?.arm !== command.arm) return { outcome: "stale", instance };
    const { silence, lockBusyUntilMs } = command;
    const policy = this.policyOf(instance);
    const begun = this.begin(instance, { policy, silence, lockBusyUntilMs, atMs: this.now(command.atMs) });
    return { outcome: "applied", instance: begun };
  }

  /** The first decision of an instance: silence, then the lock, then its group. */
  private begin(instance: Instance, { policy, silence, lockBusyUntilMs, atMs }: FirstLook): Instance {
    const start = { type: "start", atMs, silence, group: null } as const;
    const { group } = this.draft;
    const rule = policy.policy.converge;
    if (silence !== null || group === null || rule === null) return this.must(instance, start);
    if (lockBusyUntilMs !== undefined) {
      return this.draft.park(instance, { dueAtMs: lockBusyUntilMs, arm: (instance.parked?.arm ?? 0) + 1 }, atMs);
    }
    if (group.open !== null) {
      return this.must(instance, { ...start, group: this.viewOfOpen(group.open, { instance, atMs }) }, group.epoch);
    }
    pruneForming(group, rule, instance.parked === null ? instance.createdAtMs : atMs);
    if (group.forming.length + 1 >= rule.count) return this.open(group, rule, { instance, atMs });
    const decided = this.must(instance, start, group.epoch);
    group.forming.push(formingMember(memberOf(decided)));
    return decided;
  }

  /** The view of the open group; the same object as before while nothing in it changed, so that equal decisions can be told (instance/outcome.ts). */
  private viewOfOpen(open: OpenGroup, { instance, atMs }: { instance: Instance; atMs: number }): GroupView {
    const { seen } = this;
    const ownVersion = instance.policyVersion;
    if (seen !== null && seen.open === open && seen.atMs === atMs && seen.ownVersion === ownVersion) {
      if (seen.settledCount === open.settledAtMs.length && isSeenIn(seen.view, open)) return seen.view;
    }
    const view = viewOf(open, { isNew: false, atMs, ownVersion });
    this.seen = { open, atMs, ownVersion, settledCount: open.settledAtMs.length, view };
    return view;
  }

  private open(
    group: Group,
    rule: ConvergenceRule,
    { instance, atMs }: { instance: Instance; atMs: number },
  ): Instance {
    const open = openGroup(group, rule, { ruleVersion: instance.policyVersion, atMs });
    const view = viewOf(open, { isNew: true, atMs, ownVersion: instance.policyVersion });
    if (verdictInGroup(rule.function, rule.count, view.observation).summary) scheduleSummary(group, open, instance.id);
    return this.must(instance, { type: "start", atMs, silence: null, group: view }, group.epoch);
  }

  private event(id: string, event: OutsideEvent): CommandResult {
    const instance = this.draft.get(id);
    if (instance === undefined) return { outcome: "missing", instance: null };
    if (this.input.isVirtual && event.atMs < instance.atMs) return { outcome: "late", instance };
    const full = this.completed(instance, { ...event, atMs: Math.max(event.atMs, instance.atMs) } as OutsideEvent);
    const joins = full.type === "start" && instance.parked !== null ? this.draft.group : null;
    const applied = this.draft.apply(instance, full, joins?.epoch ?? null);
    if (applied === null) return { outcome: full.type === "timer.elapsed" ? "stale" : "refused", instance };
    // Run anyway before the lock was free: it is a peer like any other that was decided now.
    if (joins?.open === null) joins.forming.push(formingMember(memberOf(applied)));
    if (full.type === "approval.denied") this.denyThoseThatWait(full);
    return { outcome: "applied", instance: applied };
  }

  private completed(instance: Instance, event: OutsideEvent): InstanceEvent {
    if (event.type !== "approval.granted" && event.type !== "start") return event;
    return { ...event, group: this.viewFor(instance, event.atMs) };
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

  /** Looks at waiters in order of arrival; stops at the first whose verdict is still to wait, which one that runs brings about. */
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
      this.must(instance, { type: "peers.settled", atMs, group: view });
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
    for (const instance of this.draft.takeRequests()) {
      const current = this.draft.get(instance.id) as Instance;
      if (current.snapshot.state === "Waiting" && (this.draft.group === null || this.draft.group.held === 1))
        this.sendRequest(current);
    }
  }

  private sendRequest(held: Instance): void {
    const notice: Notice = {
      kind: "approval-request",
      group: held.groupId,
      instance: held.id,
      dueAtMs: held.snapshot.context.timers.approval?.dueAtMs ?? held.atMs,
    };
    const id = noticeIdOf(
      ["approval-request", held.id, held.version - 1, held.snapshot.context.arms],
      this.draft.partition,
    );
    this.must(this.createNotice(notice, { id, like: held, atMs: held.atMs }), startAlone(held.atMs));
  }

  private summarise(arm: number, atMs: number): CommandResult {
    const { group } = this.draft;
    const summary = group?.summaries.find((candidate) => candidate.timer.arm === arm);
    if (group == null || summary === undefined) return { outcome: "stale", instance: null };
    group.summaries = group.summaries.filter((candidate) => candidate !== summary);
    const { openerId, skipped, sample, openedAtMs, endsAtMs, ruleVersion } = summary;
    const notice: Notice = {
      kind: "summary",
      group: group.id,
      opener: openerId,
      skipped,
      sample,
      openedAtMs,
      endsAtMs,
    };
    const like = { policy: group.policy, policyVersion: ruleVersion };
    const instance = this.createNotice(notice, { id: summaryIdOf(openerId), like, atMs });
    const event: InstanceEvent =
      skipped > 0
        ? startAlone(atMs)
        : { type: "cancel", atMs, by: "becalm", why: "nothing was skipped", reason: "nothing_to_summarise" };
    return { outcome: "applied", instance: this.must(instance, event) };
  }

  private createNotice(
    notice: Notice,
    options: { id: string; like: { policy: string; policyVersion: string }; atMs: number },
  ): Instance {
    const { id, like, atMs } = options;
    const birth = {
      kind: notice.kind,
      policy: like.policy,
      policyVersion: like.policyVersion,
      group: null,
      createdAtMs: atMs,
      alert: null,
      notice,
    };
    return this.draft.create(birth, { id, policy: this.policyOf(like) });
  }

  private policyOf(made: { policy: string; policyVersion: string }): CompiledPolicy {
    const compiled = this.input.policies.get(policyKey({ name: made.policy, version: made.policyVersion }));
    if (compiled === undefined)
      throw new Error(`decide: policy ${made.policy} version ${made.policyVersion} was not given`);
    return compiled;
  }

  /** An event that the engine itself chose: the machine accepts it, and Defense is left at once. */
  private must(instance: Instance, event: InstanceEvent, epoch: number | null = null): Instance {
    const applied = this.draft.apply(instance, event, epoch);
    if (applied === null) throw new Error(`decide: ${instance.snapshot.state} of ${instance.id} refused ${event.type}`);
    return applied.snapshot.state === "Defense"
      ? this.must(applied, { type: "approval.requested", atMs: event.atMs })
      : applied;
  }
}

function armWake(group: Group, { denied, atMs }: { denied: { by: string; why: string } | null; atMs: number }): void {
  group.arms += 1;
  group.wake = { timer: { dueAtMs: atMs, arm: group.arms }, denied };
}

/** Summaries are found from the opener of their group: its instances name it. */
export function summaryIdOf(openerId: string): string {
  return noticeIdOf(["summary", openerId], partitionOfId(openerId) ?? 0);
}

function startAlone(atMs: number): InstanceEvent {
  return { type: "start", atMs, group: null, silence: null };
}

/** From a decision to its one commit. */

import { idleAtMs } from "../../convergence/group.ts";
import { encodeGroup } from "../../convergence/group-codec.ts";
import type { StoredEvent } from "../../instance/audit-types.ts";
import type { Decision } from "../../instance/decide.ts";
import type { ChangedInstance } from "../../instance/draft.ts";
import { encodeEffect } from "../../instance/effect.ts";
import { LEASE_ARM, LEASE_TIMER, leaseTimers } from "../../instance/lease-timer.ts";
import { openUnder } from "../../instance/open-index.ts";
import { timerChanges } from "../../instance/timer-changes.ts";
import { timerLane } from "../../instance/timer-lane.ts";
import type { Commit, InstanceWrite, MemberSet, TimerKey, TimerRow } from "../../stores/store.ts";
import type { BatchRuntime } from "../runtime.ts";
import type { Consumed, Envelope } from "./batch.ts";
import type { BatchRead, Snapshot } from "./group-source.ts";

/** Groups are kept this long after they could be forgotten: late results and re-sent alerts still find them. */
const GROUP_KEPT_MS = 7 * 24 * 3_600_000;

/** The one commit of a decision. */
export function commitOf(runtime: BatchRuntime, decision: Decision, { snapshot, precondition }: BatchRead): Commit {
  const { partition } = snapshot.batch.address;
  const consumed = consumedBy(snapshot);
  const timers = timersOf(decision, snapshot, consumed);
  const members = decision.memberChanges.length === 0 ? NO_MEMBERS : memberWrites(decision.memberChanges);
  return {
    commitId: runtime.commitId(),
    partition,
    owner: runtime.owner,
    afterCommitId: precondition.afterCommitId,
    group: groupOf(runtime, decision, precondition.groupVersion),
    instances: decision.instances.map(instanceWrite),
    episodes: mustBeUnderStops(decision)
      ? [...snapshot.received.records, runtime.stops.condition(partition)]
      : snapshot.received.records,
    tallies: decision.tallies,
    effects: decision.effects.map((effect) => ({
      id: effect.id,
      partition,
      value: encodeEffect(effect),
    })),
    effectClaimMs: runtime.effectClaimMs(),
    settledEffectIds: consumed.length === 0 ? [] : settledBy(consumed, decision),
    timersArmed: timers.armed,
    timersCancelled: timers.cancelled,
    membersAdded: members.membersAdded,
    membersRemoved: members.membersRemoved,
  };
}

/** What is done with when the batch is committed: commands of unreadable instances wait. */
export function consumedBy({ batch, received }: Snapshot): readonly Consumed[] {
  const consumed: Consumed[] = [];
  for (let at = 0; at < batch.envelopes.length; at += 1) {
    const { consumes } = batch.envelopes[at] as Envelope;
    if (consumes.kind !== "nothing" && received.words[at]?.kind !== "quarantined") consumed.push(consumes);
  }
  return consumed;
}

function instanceWrite({ instance, before, body, lines }: ChangedInstance): InstanceWrite {
  const wasOpenUnder = openUnder(before);
  const nowOpenUnder = openUnder(instance);
  // Most commits change none of the places that an instance is found under.
  const isMoved = wasOpenUnder !== nowOpenUnder;
  return {
    id: instance.id,
    expectedVersion: before?.version ?? 0,
    expectedHead: before?.head ?? null,
    head: instance.head,
    body,
    createdAtMs: instance.createdAtMs,
    historyLines: lines,
    openUnder: isMoved ? nowOpenUnder : UNCHANGED,
    wasOpenUnder: isMoved ? wasOpenUnder : UNCHANGED,
  };
}

const UNCHANGED: readonly string[] = [];

/** What runs something, if only observed, or was held, is only valid under the stops that it was decided under. */
function mustBeUnderStops({ effects, entries }: Decision): boolean {
  return effects.length > 0 || entries.some(({ entry: { event } }) => isHeld(event) || isObserved(event));
}

function isHeld(event: StoredEvent): boolean {
  return "paused" in event && event.paused !== undefined;
}

function isObserved(event: StoredEvent): boolean {
  return event.type === "effect.done" && event.observed === true;
}

/**
 * After a store has lost data, a result and its instance's alert may come in one batch: the attempt that the new instance
 * begins has the id of the old one, and that result does not settle it.
 */
function settledBy(consumed: readonly Consumed[], { effects }: Decision): string[] {
  const emitted = effects.length === 0 ? null : new Set(effects.map(({ id }) => id));
  const ids: string[] = [];
  for (const one of consumed) if (one.kind === "effect" && emitted?.has(one.id) !== true) ids.push(one.id);
  return ids;
}

type MemberWrites = Pick<Commit, "membersAdded" | "membersRemoved">;

const NO_MEMBERS: MemberWrites = { membersAdded: [], membersRemoved: [] };

function memberWrites(memberChanges: Decision["memberChanges"]): MemberWrites {
  const membersAdded: { set: MemberSet; instanceId: string; order: number }[] = [];
  const membersRemoved: { set: MemberSet; instanceId: string }[] = [];
  for (const { set, instanceId, order } of memberChanges) {
    if (order === null) membersRemoved.push({ set, instanceId });
    else membersAdded.push({ set, instanceId, order });
  }
  return { membersAdded, membersRemoved };
}

function groupOf(
  runtime: BatchRuntime,
  { group, isEmpty, isGroupChanged, memberChanges }: Decision,
  expectedVersion: number,
): Commit["group"] {
  if (group === null || isEmpty) return null;
  if (!isGroupChanged) return { kind: "check", id: group.id, expectedVersion };
  const idle =
    runtime.mode !== "live"
      ? null
      : idleAtMs(group, group.forming.length === 0 ? 0 : widestWindowMs(runtime, group.policy));
  const ttlMs = idle === null ? null : Math.max(idle - group.lastAtMs, 0) + GROUP_KEPT_MS;
  const areSetsEmpty = group.waiters === 0 && group.held === 0 && memberChanges.length === 0;
  return { kind: "write", id: group.id, expectedVersion, value: encodeGroup(group), ttlMs, areSetsEmpty };
}

/** An older version of the rule may still decide here, for an instance that was parked under it. */
function widestWindowMs({ versions }: BatchRuntime, policyName: string): number {
  let widestMs = 0;
  for (const { policy } of versions.values()) {
    if (policy.name === policyName) widestMs = Math.max(widestMs, policy.converge?.windowMs ?? 0);
  }
  return widestMs;
}

/** The timers that the decision arms and cancels; those that fired are gone with it. */
function timersOf(
  decision: Decision,
  { batch, received }: Snapshot,
  consumed: readonly Consumed[],
): { armed: TimerRow[]; cancelled: TimerKey[] } {
  const { partition } = batch.address;
  const armed: TimerRow[] = [];
  const cancelled: TimerKey[] = [];
  const key = (owner: string, name: string, arm: number): TimerKey => ({
    lane: timerLane(name),
    owner,
    name,
    arm,
    partition,
  });
  for (const changed of decision.instances) {
    const changes = timerChanges(changed);
    for (const [name, timer] of changes.armed)
      armed.push({ dueAtMs: timer.dueAtMs, ...key(changed.instance.id, name, timer.arm) });
    for (const [name, timer] of changes.cancelled) cancelled.push(key(changed.instance.id, name, timer.arm));
  }
  const groupId = decision.group?.id ?? "";
  for (const { name, timer } of decision.groupTimersArmed)
    armed.push({ dueAtMs: timer.dueAtMs, ...key(groupId, name, timer.arm) });
  for (const { name, timer } of decision.groupTimersCancelled) cancelled.push(key(groupId, name, timer.arm));
  const leases = leaseTimers(decision, received);
  for (const [owner, dueAtMs] of leases.armed) armed.push({ dueAtMs, ...key(owner, LEASE_TIMER, LEASE_ARM) });
  for (const owner of leases.cancelled) cancelled.push(key(owner, LEASE_TIMER, LEASE_ARM));
  // A lease that goes on is armed again under the same key.
  for (const one of consumed)
    if (one.kind === "timer" && !(one.timer.name === LEASE_TIMER && leases.armed.has(one.timer.owner)))
      cancelled.push(one.timer);
  return { armed, cancelled };
}

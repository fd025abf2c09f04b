/**
 * Notices that the engine makes by itself: the one approval request of a group, and its summary. They are instances of
 * their own.
 */
import type { PendingSummary } from "../convergence/group.ts";
import { noticeIdOf, partitionOfId } from "../model/ids.ts";
import { HELD_DUE_AT_MS, type InstanceEvent, type PauseNote } from "../model/instance-types.ts";
import type { Birth, Notice } from "./audit-types.ts";
import type { Instance } from "./checkpoint.ts";
import type { Command } from "./decision.ts";

/** What a notice is made of, and the event that decides it. */
export type NewNotice = { readonly id: string; readonly birth: Birth; readonly event: InstanceEvent };

/** Asks a human about the first instance that a group holds. */
export function approvalRequestFor(held: Instance, partition: number): NewNotice {
  const notice: Notice = {
    kind: "approval-request",
    group: held.groupId,
    instance: held.id,
    dueAtMs: held.snapshot.context.timers.approval?.dueAtMs ?? held.atMs,
  };
  const id = noticeIdOf(["approval-request", held.id, held.version - 1, held.snapshot.context.arms], partition);
  return { id, birth: birthOfNotice(notice, { ...held }), event: startAlone(held.atMs) };
}

/** A date that every sender can write and nobody waits for: what a pause holds has no deadline. */
export const NO_DUE_AT_MS = HELD_DUE_AT_MS - 1;

/** Asks a human, once, about all that a pause holds. */
export function pauseRequestFor({ id, pause, held, atMs }: Command & { type: "askForPause" }): NewNotice {
  const notice: Notice = {
    kind: "approval-request",
    group: null,
    instance: held.id,
    dueAtMs: NO_DUE_AT_MS,
    pause,
  };
  return { id, birth: birthOfNotice(notice, { ...held, atMs }), event: startAlone(atMs) };
}

/** One for a pause, wherever what it holds lies. */
export function pauseRequestIdOf(pause: PauseNote): string {
  return noticeIdOf(pauseRequestParts(pause), PAUSE_REQUEST_PARTITION);
}

export const PAUSE_REQUEST_PARTITION = 0;

export function pauseRequestParts({ scope, sinceMs }: PauseNote): (string | number)[] {
  return ["pause-request", scope ?? "", sinceMs];
}

/**
 * Tells of those that a group skipped; if it skipped none, the notice is cancelled at once, so that the audit says so.
 */
export function summaryOf(
  { openerId, skipped, sample, openedAtMs, endsAtMs, ruleVersion, isAnew }: PendingSummary,
  made: { group: string; policy: string; isObserved: boolean; atMs: number },
): NewNotice {
  const { group, atMs } = made;
  const notice: Notice = { kind: "summary", group, opener: openerId, skipped, sample, openedAtMs, endsAtMs };
  const event: InstanceEvent =
    skipped > 0
      ? startAlone(atMs)
      : { type: "cancel", atMs, by: "becalm", why: "nothing was skipped", reason: "nothing_to_summarise" };
  const id = summaryIdOf(openerId, isAnew ? openedAtMs : undefined);
  return { id, birth: birthOfNotice(notice, { ...made, policyVersion: ruleVersion }), event };
}

function birthOfNotice(
  notice: Notice,
  { policy, policyVersion, atMs, isObserved }: Pick<Instance, "policy" | "policyVersion" | "atMs" | "isObserved">,
): Birth {
  const birth: Birth = {
    kind: notice.kind,
    policy,
    policyVersion,
    group: null,
    createdAtMs: atMs,
    alert: null,
    notice,
  };
  return isObserved ? { ...birth, observed: true } : birth;
}

/**
 * Summaries are found from the opener of their group: its instances name it. `openedAtMs`: only if it was decided again
 * and opened it then.
 */
export function summaryIdOf(openerId: string, openedAtMs?: number): string {
  const opening = openedAtMs === undefined ? [] : [openedAtMs];
  return noticeIdOf(["summary", openerId, ...opening], partitionOfId(openerId) ?? 0);
}

function startAlone(atMs: number): InstanceEvent {
  return { type: "start", atMs, group: null, silence: null };
}

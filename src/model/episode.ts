/**
 * Episodes: an alert is its labels, and an episode is one uninterrupted activity of it. What a receipt does to the
 * episode of its alert under one policy is decided here, from the episode's record and the receipt alone.
 *
 * E1 while an episode is open, every firing receipt belongs to it, whatever its `startsAt`.
 * E2 a v2 receipt carries a lease; the greatest recorded one counts. A v4 receipt lifts the lease for the rest of the
 * episode.
 * E3 an open episode whose lease has run out has ended when it ran out, whether or not anybody has recorded that yet.
 * E4 a receipt exactly at the end of a lease comes before that end.
 * E5 starts rise from episode to episode, so no two episodes of an alert share an instance.
 */
import type { EpisodeEnd, InstanceEvent } from "./instance-types.ts";
import { LATE_AFTER_END_MS, RESOLVE_TIMEOUT_MS } from "./limits.ts";
import type { ReceiptTimes } from "./receipt.ts";

/** How an episode ended. */
export type Ending = {
  readonly reason: EpisodeEnd;
  /** The resolve's `endsAt` (missing: its receipt); the lease's end. */
  readonly atMs: number;
  /** When the word of it came; of a lease its end. */
  readonly receivedAtMs: number;
};

export type Episode = {
  /** Names the instance, together with policy and fingerprint. */
  readonly startMs: number;
  /** `startsAt` as the opening receipt sent it; missing: the start. */
  readonly sentStartMs: number;
  /** The greatest recorded lease; null: open until resolved. */
  readonly leaseUntilMs: number | null;
  /** The last receipt that was recorded. Later ones may have come. */
  readonly lastReceiptAtMs: number;
  /** null: it is open. */
  readonly end: Ending | null;
};

/** What a receipt does. An episode that is given has to be recorded. */
export type Reception =
  /** `ended`: the episode before it, if this receipt tells of its end. */
  | { readonly kind: "begins"; readonly episode: Episode; readonly ended: Episode | null }
  /** `renewed` null: the record is good enough as it is. */
  | { readonly kind: "goes_on"; readonly episode: Episode; readonly renewed: Episode | null }
  | { readonly kind: "ends"; readonly episode: Episode }
  /**
   * A late word: of a second sender that does not know of the end yet, or of an end before this episode. Changes
   * nothing.
   */
  | { readonly kind: "late"; readonly episode: Episode }
  /** Resolved, but nothing is open. Changes nothing. */
  | { readonly kind: "nothing_open" };

/** Leases do not run out before this: nobody watched the episodes for a while, and senders renew first. */
export type LeaseGrace = { readonly leasesHoldUntilMs: number };

export const NO_GRACE: LeaseGrace = { leasesHoldUntilMs: Number.NEGATIVE_INFINITY };

/** `before`: the last episode of the alert under the policy, null if there has been none. */
export function receive(before: Episode | null, receipt: ReceiptTimes, grace: LeaseGrace = NO_GRACE): Reception {
  const last = before === null ? null : endedByLease(before, receipt.receivedAtMs, grace);
  if (receipt.status === "resolved") return resolve(last, receipt);
  if (last === null) return { kind: "begins", episode: begun(startOf(receipt), receipt), ended: null };
  if (last.end !== null) return fireAgain(last, last.end, { receipt, isNews: last !== before });
  return isAnother(last, receipt) ? beginAnother(last, receipt) : goOn(last, receipt);
}

/** When the lease of an open episode runs out; null: it has none, or the episode is over. */
export function leaseEndMs({ leaseUntilMs, end }: Episode, { leasesHoldUntilMs }: LeaseGrace): number | null {
  return leaseUntilMs === null || end !== null ? null : Math.max(leaseUntilMs, leasesHoldUntilMs);
}

/** What is known of an end. */
export type KnownEnd = Pick<Ending, "reason" | "atMs">;

/** What an instance hears at `atMs` of the end of its alert. */
export function endEvent(
  { reason, atMs: endedAtMs }: KnownEnd,
  atMs: number,
): InstanceEvent & { type: "alert.resolved" } {
  const why = reason === "alert_resolved" ? {} : { reason };
  return { type: "alert.resolved", atMs, ...why, ...(endedAtMs < atMs && { endedAtMs }) };
}

/** The episode as it is at `atMs` (E3, E4). */
export function endedByLease(episode: Episode, atMs: number, grace: LeaseGrace): Episode {
  const untilMs = leaseEndMs(episode, grace);
  if (untilMs === null || atMs <= untilMs) return episode;
  return { ...episode, end: { reason: "lease_over", atMs: untilMs, receivedAtMs: untilMs } };
}

function resolve(open: Episode | null, { form, endsAtMs, receivedAtMs }: ReceiptTimes): Reception {
  if (open === null || open.end !== null) return { kind: "nothing_open" };
  const sinceMs = form === "v4" ? open.sentStartMs : open.startMs;
  if (endsAtMs !== null && endsAtMs < sinceMs) return { kind: "late", episode: open };
  const end: Ending = { reason: "alert_resolved", atMs: endsAtMs ?? receivedAtMs, receivedAtMs };
  return { kind: "ends", episode: { ...open, end } };
}

/** Firing after an end. `isNews`: the end is not recorded yet. */
function fireAgain(
  last: Episode,
  end: Ending,
  { receipt, isNews }: { receipt: ReceiptTimes; isNews: boolean },
): Reception {
  const ended = isNews ? last : null;
  const { startsAtMs, receivedAtMs } = receipt;
  if (startsAtMs !== null && startsAtMs > end.atMs)
    return { kind: "begins", episode: begun(startAfter(last, startOf(receipt)), receipt), ended };
  if (end.reason === "alert_resolved" && receivedAtMs < end.receivedAtMs + LATE_AFTER_END_MS)
    return { kind: "late", episode: last };
  return { kind: "begins", episode: begun(startAfter(last, receivedAtMs), receipt), ended };
}

/** Has the alert begun anew without a word of the end? Senders that send no resolved receipts do so. */
function isAnother({ leaseUntilMs, lastReceiptAtMs }: Episode, receipt: ReceiptTimes): boolean {
  return leaseUntilMs === null && startOf(receipt) > lastReceiptAtMs + 2 * RESOLVE_TIMEOUT_MS;
}

function beginAnother(open: Episode, receipt: ReceiptTimes): Reception {
  const { receivedAtMs } = receipt;
  const end: Ending = { reason: "resolve_lost", atMs: receivedAtMs, receivedAtMs };
  const episode = begun(startAfter(open, startOf(receipt)), receipt);
  return { kind: "begins", episode, ended: { ...open, end } };
}

function goOn(open: Episode, receipt: ReceiptTimes): Reception {
  return { kind: "goes_on", episode: open, renewed: renewed(open, receipt) };
}

/**
 * Less than half of the lease is left, or there is none and a resolve timeout has passed: not every receipt is worth a
 * write.
 */
function renewed(open: Episode, receipt: ReceiptTimes): Episode | null {
  const { receivedAtMs } = receipt;
  const lastReceiptAtMs = Math.max(open.lastReceiptAtMs, receivedAtMs);
  if (open.leaseUntilMs === null)
    return receivedAtMs < open.lastReceiptAtMs + RESOLVE_TIMEOUT_MS ? null : { ...open, lastReceiptAtMs };
  const leaseUntilMs = leaseOf(receipt);
  if (leaseUntilMs === null) return { ...open, leaseUntilMs, lastReceiptAtMs };
  const isLeftMs = open.leaseUntilMs - receivedAtMs;
  return isLeftMs * 2 < leaseUntilMs - receivedAtMs ? { ...open, leaseUntilMs, lastReceiptAtMs } : null;
}

function begun(startMs: number, receipt: ReceiptTimes): Episode {
  return {
    startMs,
    sentStartMs: receipt.startsAtMs ?? startMs,
    leaseUntilMs: leaseOf(receipt),
    lastReceiptAtMs: receipt.receivedAtMs,
    end: null,
  };
}

function leaseOf({ form, endsAtMs, receivedAtMs }: ReceiptTimes): number | null {
  return form === "v4" ? null : (endsAtMs ?? receivedAtMs + RESOLVE_TIMEOUT_MS);
}

/** Where the first episode of an alert begins: at most at the time of receipt. */
export function startOf({ startsAtMs, receivedAtMs }: Pick<ReceiptTimes, "startsAtMs" | "receivedAtMs">): number {
  return startsAtMs === null ? receivedAtMs : Math.min(startsAtMs, receivedAtMs);
}

/** E5. */
function startAfter(last: Episode, startMs: number): number {
  return Math.max(startMs, last.startMs + 1);
}

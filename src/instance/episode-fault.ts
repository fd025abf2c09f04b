/**
 * Whether the record of an alert's episodes is one that an instance of the alert may have. Pure.
 *
 * Only what is exact is looked at. The record is renewed by receipts that write nothing else, so until when its lease
 * lasts, and when it was received last, nothing tells; and it holds the last episode only, which may be a later one.
 */
import type { Episode } from "../model/episode.ts";
import { lastEpisode } from "../model/episode-record.ts";
import { BecalmError } from "../model/errors.ts";
import { idNames, instanceNameParts } from "../model/ids.ts";
import type { Birth } from "./audit-types.ts";
import type { Instance } from "./checkpoint.ts";
import { isMovable } from "./lease-timer.ts";

export type EpisodeEvidence = {
  readonly instance: Instance;
  readonly birth: Birth;
  /** null: there is none. */
  readonly record: string | null;
  /** Its history says that the lease of its alert has run out. */
  readonly isLeaseOver: boolean;
  /** Its lease's timer is armed. */
  readonly isLeaseWatched: boolean;
  /** Every instance has a record, unless a later one was removed with it by its retention. */
  readonly areAllRecorded: boolean;
  /** Nothing is ever removed. */
  readonly isWhole: boolean;
};

/** The first thing that does not fit, or null. */
export function episodeFault(evidence: EpisodeEvidence): string | null {
  const { instance, birth, record } = evidence;
  const startMs = startOf(instance.id, birth);
  if (startMs === null) return null;
  if (record === null) return missingFault(evidence);
  const episode = tryEpisode(record);
  if (episode === null) return "the record of its alert's episodes cannot be read";
  if (episode.startMs < startMs)
    return `the record of its alert has an episode of ${timeOf(episode.startMs)} as the last one, and it is of ${timeOf(startMs)}`;
  return episode.startMs === startMs ? ownFault(evidence, episode) : null;
}

/** When its episode began; null: no alert made it, or one of before there were episodes. */
function startOf(id: string, { kind, alert, policy, createdAtMs }: Birth): number | null {
  if (kind !== "action" || alert === null) return null;
  const { fingerprint, startsAtMs } = alert;
  const starts = [startsAtMs, createdAtMs];
  return starts.find((startMs) => idNames(id, instanceNameParts({ policy, fingerprint, startMs }))) ?? null;
}

/** An end would have moved it, so no later episode can have come and gone. */
function missingFault({ instance, areAllRecorded, isWhole }: EpisodeEvidence): string | null {
  const { atMs, createdAtMs } = instance;
  const isSurelyOpen = isMovable(instance) && atMs === createdAtMs;
  if (!areAllRecorded || !(isWhole || isSurelyOpen)) return null;
  return "its alert's episode has no record: received again, the alert would be acted upon again";
}

function ownFault({ instance, isLeaseOver, isLeaseWatched }: EpisodeEvidence, episode: Episode): string | null {
  const { end, leaseUntilMs } = episode;
  if (end === null && isLeaseOver)
    return "the record of its alert says that it fires still, and its lease has run out: receipts would change nothing";
  if (!isMovable(instance)) return null;
  if (end !== null && end.receivedAtMs > instance.atMs)
    return `the record of its alert says that it ended at ${timeOf(end.receivedAtMs)}, and nothing has told it`;
  if (end === null && leaseUntilMs !== null && leaseUntilMs > instance.atMs && !isLeaseWatched)
    return `the lease of its alert runs out at ${timeOf(leaseUntilMs)}, and no timer is armed that would tell it`;
  return null;
}

function tryEpisode(record: string): Episode | null {
  try {
    return lastEpisode(record);
  } catch (error) {
    if (error instanceof BecalmError) return null;
    throw error;
  }
}

/** A record may hold a time that no date can have. */
function timeOf(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}

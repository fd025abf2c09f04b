/** How the episode of an alert ended, as far as the histories of its instances, and its record, tell. Pure. */
import type { Alert } from "../model/alert.ts";
import type { RecordedEnd, RecordedHistory, RecordedMiss, ToldEnd } from "./recorded-history.ts";
import { silenceKey } from "./timeline-stops.ts";

/** One episode of an alert, with the instances that it made, and when it came although no policy matched it. */
export type Episode = {
  readonly startMs: number;
  readonly alert: Alert;
  readonly births: RecordedHistory[];
  readonly unmatchedAtMs: number[];
  /** The earliest that a history tells of. */
  told: ToldEnd | null;
  /** What the episode's record says. */
  recorded: RecordedEnd | null;
  /** When somebody first found it over: the latest that it ended. */
  foundOverAtMs: number | null;
};

export function earlierEnd(a: ToldEnd | null, b: ToldEnd): ToldEnd {
  if (a === null || b.atMs < a.atMs) return b;
  return a.atMs === b.atMs && b.isHeld ? b : a;
}

/** As a history tells of it, unless it may have been found over then, and the record knows better. */
export function endOf({ told, recorded }: Episode): RecordedEnd | null {
  if (told === null || recorded === null) return told ?? recorded;
  return told.isHeld && recorded.reason !== "lease_over" && recorded.atMs < told.atMs ? recorded : told;
}

/** Over before a pause was lifted in that moment. */
export function leaseEndMs({ atMs }: RecordedEnd, told: ToldEnd | null): number {
  return told?.isHeld === true ? atMs - 1 : atMs;
}

/** `nextAtMs`: when the alert began again. `silenceEnds`: by `silenceKey`. */
export type KnownOfEnd = { readonly nextAtMs: number | null; readonly silenceEnds: ReadonlyMap<string, number> };

/**
 * The last time before the alert was found over, or began again, at which its end would have moved none of its
 * instances, for it has not.
 */
export function unnoticedEnd({ births, foundOverAtMs }: Episode, { nextAtMs, silenceEnds }: KnownOfEnd): number | null {
  const untilMs = Math.min(nextAtMs ?? Number.POSITIVE_INFINITY, foundOverAtMs ?? Number.POSITIVE_INFINITY);
  if (untilMs === Number.POSITIVE_INFINITY) return null;
  // It may end in the moment in which it begins again.
  const latestMs = untilMs === nextAtMs ? untilMs : untilMs - 1;
  const missedMs = (missed: RecordedMiss) =>
    "atMs" in missed ? missed.atMs : (silenceEnds.get(silenceKey(missed.silence)) ?? missed.silence.toMs);
  const ends = births.map(({ rests, missed }) => {
    const index = rests.findLastIndex(({ isMovable, atMs }) => !isMovable && atMs < untilMs);
    const moved = index === -1 ? undefined : rests[index + 1];
    return Math.min(moved === undefined ? latestMs : moved.atMs - 1, missed === null ? latestMs : missedMs(missed) - 1);
  });
  return Math.min(latestMs, ...ends);
}

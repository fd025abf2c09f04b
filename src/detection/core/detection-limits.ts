/**
 * Limits of detection, each with its unit at the end of its name. Times are data times: seconds of the records, not of
 * a clock.
 */

/** A record that came within so many intervals is recognised when it comes again. */
export const DUPLICATE_INTERVAL_COUNT = 10;

/** Records of a series may come in any order within so many intervals, if the strategy does not say otherwise. */
export const LATENESS_INTERVAL_COUNT_DEFAULT = 1;

/** Older than this behind the newest record of its series (or 10 intervals, whichever is longer) is refused. */
export const LATE_SECONDS_MIN = 1_800;

/** Points of a series that are remembered, for late ones to be put in place among; more if a window is longer. */
export const RECENT_COUNT_MAX = 30;

/** A hole in the data that is longer is reported: 30 minutes, or 5 intervals when the interval is above 300 s. */
export const BACKFILL_SECONDS = 1_800;
export const BACKFILL_LONG_INTERVAL_SECONDS = 300;
export const BACKFILL_INTERVAL_COUNT = 5;

/**
 * A series without data is forgotten after at least this long; one with a no-data alert is kept longer
 * (`no_data.keep`).
 */
export const SERIES_KEEP_SECONDS_MIN = 1_800;

/** What one strategy group keeps in its state. */
export const SERIES_COUNT_MAX = 100_000;
export const PENDING_COUNT_MAX = 500_000;
export const SEEN_COUNT_MAX = 2_000_000;

export const INTERVAL_SECONDS_MAX = 86_400;
export const TRIGGER_WINDOW_COUNT_MAX = 1_000;
export const RECOVERY_COUNT_MAX = 1_000;
export const NO_DATA_INTERVAL_COUNT_MAX = 1_000;

/** How late a point may come and still be put in its place. */
export function lateSecondsMax(intervalSeconds: number): number {
  return Math.max(DUPLICATE_INTERVAL_COUNT * intervalSeconds, LATE_SECONDS_MIN);
}

/** How long a series may be silent before its alert ends. */
export function silenceSecondsOf(
  { recovery }: { readonly recovery: { readonly silenceSeconds?: number } },
  intervalSeconds: number,
): number {
  return recovery.silenceSeconds ?? Math.max(DUPLICATE_INTERVAL_COUNT * intervalSeconds, SERIES_KEEP_SECONDS_MIN);
}

export function backfillSecondsMax(intervalSeconds: number): number {
  return intervalSeconds > BACKFILL_LONG_INTERVAL_SECONDS
    ? BACKFILL_INTERVAL_COUNT * intervalSeconds
    : BACKFILL_SECONDS;
}

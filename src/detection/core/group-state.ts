/**
 * The state of one strategy group: what detection remembers between two batches.
 *
 * Owns: the group's clock, records seen, series with their waiting points and levels. Written only by `applyChanges`,
 * and only with changes that are durable already; `advance` reads it and never writes.
 *
 * G1. A point waits in its series until no earlier one can come within the lateness; then it is detected.
 * G2. `seen` holds the records of the last DUPLICATE_INTERVAL_COUNT intervals (and of at most one more).
 * G3. A series is in the map from its first point until it is retired; what it holds does not grow with its points.
 * G4. The state depends on the records in their order, not on how they were cut into batches.
 */

/**
 * An alert that fires. Times are epoch seconds of the data. Its labels are kept, so that what fired is what gets
 * resolved.
 */
export type OpenAlert = {
  readonly startsAt: number;
  readonly sentAt: number;
  readonly labels: Readonly<Record<string, string>>;
};

export type LevelState = {
  /** Anomalous points of the window: [number of the point in its series, its tick]. */
  readonly hits: readonly (readonly [number: number, tick: number])[];
  /** Points in a row that count towards the recovery; counted while an alert is open. */
  readonly normalCount: number;
  /** Points in a row at which the window no longer met the trigger; counted while an alert is open. */
  readonly quietCount: number;
  readonly open: OpenAlert | null;
  /** Where the latest episode ended, while late points may still come before it. */
  readonly closedAt: number | null;
};

/** Only levels that have something to remember are listed. */
export type StrategyState = {
  readonly levels: Readonly<Record<string, LevelState>>;
  readonly noData: OpenAlert | null;
};

export type SeriesState = {
  readonly dimensions: Readonly<Record<string, unknown>>;
  readonly dimensionFields: readonly string[];
  /** Points detected so far. */
  readonly pointCount: number;
  /** Intervals that have passed from the first point to the last, counted point by point. */
  readonly tick: number;
  /** The newest point that was detected; null: none yet. */
  readonly lastTime: number | null;
  readonly lastValue: number;
  /** The newest record that came, detected or not; null: none yet, it is only expected. */
  readonly newestTime: number | null;
  /** The group's time at which the series was last heard of: its newest time, later if it lags behind the group. */
  readonly heardAt: number;
  /** Of an expected series whose first points wait: since when it was missed. */
  readonly missedSince?: number;
  /** Points that wait, `time value` by time. */
  readonly pending: string;
  /** The latest points detected, `time value` by time: what a late point is put in place among. */
  readonly recent: string;
  /** The group's time at which something is due without a point (a waiting point, no data, silence, retirement). */
  readonly dueTime: number;
  /** By strategy name; only those that have something to remember. */
  readonly strategies: Readonly<Record<string, StrategyState>>;
};

/** What has happened to all records so far. received = accepted + duplicates + rejected + withoutValue. */
export type DetectionCounters = {
  readonly received: number;
  /** Points taken in, late ones among them. */
  readonly accepted: number;
  readonly duplicates: number;
  /** Points that came after a later one of their series had been detected, and were put in their place. */
  readonly late: number;
  readonly rejected: number;
  readonly withoutValue: number;
  /** Points that went through detection; accepted ones that still wait are not among them. */
  readonly detected: number;
  readonly gaps: number;
};

/** A record far ahead of the group's clock, until others confirm it. */
export type ClockJump = {
  readonly md5: string;
  readonly fromTime: number;
  readonly toTime: number;
  readonly count: number;
};

/** A hole in the data whose end is not certain yet: an earlier record may still come. */
export type OpenGap = { readonly fromTime: number; readonly toTime: number };

/** The part of the state that every batch rewrites. */
export type GroupHead = {
  /** Epoch seconds of the newest record; null: none yet. It never falls. */
  readonly newestTime: number | null;
  /** The group's clock: the newest time that more than one host's clock stands for. It never falls. */
  readonly clockTime: number | null;
  /** The tick up to which what is due without a point has happened. */
  readonly tickTime: number | null;
  readonly jump: ClockJump | null;
  readonly gap: OpenGap | null;
  /** The furthest record without a value that is as far ahead as a jump; null: none. */
  readonly aheadTime: number | null;
  /** Whether it was reported that the data do not come at the strategy's interval. */
  readonly isSpacingKnown: boolean;
  readonly counters: DetectionCounters;
};

export type GroupState = {
  head: GroupHead;
  /** Time -> md5s of the dimensions seen at it. */
  readonly seen: Map<number, Set<string>>;
  seenCount: number;
  pendingCount: number;
  readonly series: Map<string, SeriesState>;
  /** Levels whose checkpoint was set ahead (checkpointName): they look at no point up to that time. */
  readonly skipUntil: Map<string, number>;
};

/** What one batch changes; a store may write it piece by piece, in one commit. */
export type GroupChanges = {
  readonly head: GroupHead;
  readonly seenAdded: readonly (readonly [time: number, md5: string])[];
  /** Seen records before this time are forgotten; null: none. */
  readonly seenForgottenBefore: number | null;
  /** How many more points wait than before. */
  readonly pendingAdded: number;
  /** New and changed series; null: the series is forgotten. */
  readonly series: readonly (readonly [md5: string, state: SeriesState | null])[];
};

export const COUNTERS_AT_START: DetectionCounters = {
  received: 0,
  accepted: 0,
  duplicates: 0,
  late: 0,
  rejected: 0,
  withoutValue: 0,
  detected: 0,
  gaps: 0,
};

const HEAD_AT_START: GroupHead = {
  newestTime: null,
  clockTime: null,
  tickTime: null,
  jump: null,
  gap: null,
  aheadTime: null,
  isSpacingKnown: false,
  counters: COUNTERS_AT_START,
};

export function emptyGroupState(): GroupState {
  return {
    head: HEAD_AT_START,
    seen: new Map(),
    seenCount: 0,
    pendingCount: 0,
    series: new Map(),
    skipUntil: new Map(),
  };
}

/** How a level of a series is named in `skipUntil`. */
export function levelName(of: { strategy: string; dimensionsMd5: string; severity: string }): string {
  return `${of.strategy} ${of.dimensionsMd5} ${of.severity}`;
}

/** Brings the state up to changes that are durable. Costs as much as the changes, not as the state. */
export function applyChanges(state: GroupState, changes: GroupChanges): void {
  state.head = changes.head;
  state.pendingCount += changes.pendingAdded;
  for (const [time, md5] of changes.seenAdded) addSeen(state, time, md5);
  if (changes.seenForgottenBefore !== null) forgetSeen(state, changes.seenForgottenBefore);
  for (const [md5, series] of changes.series) {
    if (series === null) state.series.delete(md5);
    else state.series.set(md5, series);
  }
}

function addSeen(state: GroupState, time: number, md5: string): void {
  const atTime = state.seen.get(time);
  if (atTime === undefined) state.seen.set(time, new Set([md5]));
  else atTime.add(md5);
  state.seenCount += 1;
}

function forgetSeen(state: GroupState, beforeTime: number): void {
  for (const [time, md5s] of state.seen) {
    if (time >= beforeTime) continue;
    state.seenCount -= md5s.size;
    state.seen.delete(time);
  }
}

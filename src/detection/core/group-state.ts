/**
 * The state of one strategy group: what detection remembers between two batches.
 *
 * Owns: newest time, records seen, points that wait for the watermark, series with their levels. Written only by
 * `applyChanges`, and only with changes that are durable already; `advance` reads it and never writes.
 *
 * G1. Every point with a time below the watermark has been detected or counted as late; none is pending.
 * G2. `seen` holds the records of the last DUPLICATE_INTERVAL_COUNT intervals (and of at most one more).
 * G3. A series is in the map from its first point until it is retired; what it holds does not grow with its points.
 * G4. The state depends on the records, not on how they were cut into batches, nor on their order in the overlap.
 */
import { OVERLAP_INTERVAL_COUNT } from "./detection-limits.ts";

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
  /** Anomalous points of the window: [number of the point in its series, time]. */
  readonly hits: readonly (readonly [number, number])[];
  /** Normal points in a row since the last anomalous one; counted while an alert is open. */
  readonly normalCount: number;
  readonly open: OpenAlert | null;
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
  readonly lastTime: number;
  readonly lastValue: number;
  /** The next tick at which something is due without a point (no-data, re-send, retirement). */
  readonly dueTime: number;
  /** By strategy name; only those that have something to remember. */
  readonly strategies: Readonly<Record<string, StrategyState>>;
};

export type PendingPoint = {
  readonly md5: string;
  readonly time: number;
  readonly value: number;
  readonly dimensions: Readonly<Record<string, unknown>>;
  readonly dimensionFields: readonly string[];
};

/** What has happened to all records so far. received = accepted + duplicates + late + rejected + withoutValue. */
export type DetectionCounters = {
  readonly received: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly late: number;
  readonly rejected: number;
  readonly withoutValue: number;
  /** Points that went through detection; accepted ones that still wait are not among them. */
  readonly detected: number;
  readonly gaps: number;
};

/** The part of the state that every batch rewrites. */
export type GroupHead = {
  /** Epoch seconds of the newest record; null: none yet. It never falls. */
  readonly newestTime: number | null;
  /** Everything before this time was flushed at the end of an input; null: never. */
  readonly flushedUntil: number | null;
  /** Time of the newest point that was detected. */
  readonly lastDetectedTime: number | null;
  readonly counters: DetectionCounters;
};

export type GroupState = {
  head: GroupHead;
  /** Time -> md5s of the dimensions seen at it. */
  readonly seen: Map<number, Set<string>>;
  seenCount: number;
  readonly pending: Map<number, PendingPoint[]>;
  pendingCount: number;
  readonly series: Map<string, SeriesState>;
};

/** What one batch changes; a store may write it piece by piece, in one commit. */
export type GroupChanges = {
  readonly head: GroupHead;
  readonly seenAdded: readonly (readonly [time: number, md5: string])[];
  /** Seen records before this time are forgotten; null: none. */
  readonly seenForgottenBefore: number | null;
  readonly pendingAdded: readonly PendingPoint[];
  /** Pending points before this time were detected; null: none. */
  readonly pendingDetectedBefore: number | null;
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

export function emptyGroupState(): GroupState {
  const head = { newestTime: null, flushedUntil: null, lastDetectedTime: null, counters: COUNTERS_AT_START };
  return { head, seen: new Map(), seenCount: 0, pending: new Map(), pendingCount: 0, series: new Map() };
}

/** Points strictly before the watermark are detected. `newestTime` is not null. */
export function watermarkOf(newestTime: number, flushedUntil: number | null, intervalSeconds: number): number {
  return Math.max(newestTime - OVERLAP_INTERVAL_COUNT * intervalSeconds, flushedUntil ?? Number.NEGATIVE_INFINITY);
}

/** Brings the state up to changes that are durable. Costs as much as the changes, not as the state. */
export function applyChanges(state: GroupState, changes: GroupChanges): void {
  state.head = changes.head;
  for (const [time, md5] of changes.seenAdded) addSeen(state, time, md5);
  if (changes.seenForgottenBefore !== null) forgetSeen(state, changes.seenForgottenBefore);
  if (changes.pendingDetectedBefore !== null) dropPending(state, changes.pendingDetectedBefore);
  for (const point of changes.pendingAdded) addPending(state, point);
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

/** Adds one point that waits for the watermark. Only for this file and the codec. */
export function addPending(state: GroupState, point: PendingPoint): void {
  const atTime = state.pending.get(point.time);
  if (atTime === undefined) state.pending.set(point.time, [point]);
  else atTime.push(point);
  state.pendingCount += 1;
}

function dropPending(state: GroupState, beforeTime: number): void {
  for (const [time, points] of state.pending) {
    if (time >= beforeTime) continue;
    state.pendingCount -= points.length;
    state.pending.delete(time);
  }
}

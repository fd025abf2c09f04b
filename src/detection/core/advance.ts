/**
 * One batch of state events through a strategy group: duplicates, lateness, order, detection.
 *
 * `advance` is a pure function of (state, events): it reads the state and returns what changes. Commit the changes
 * together with the alerts, then give them to `applyChanges`; a commit that fails needs no undoing. How records are cut
 * into batches changes nothing, nor does their order within the overlap.
 */
import type { Rejection, StateEvent } from "../records/record-types.ts";
import { reject } from "../records/record-value.ts";
import type { DetectedAlert } from "./detected-alert.ts";
import {
  backfillSecondsMax,
  DUPLICATE_INTERVAL_COUNT,
  latenessSecondsMax,
  PENDING_COUNT_MAX,
  SEEN_COUNT_MAX,
  SERIES_COUNT_MAX,
} from "./detection-limits.ts";
import type { DetectionCounters, GroupChanges, GroupState, PendingPoint, SeriesState } from "./group-state.ts";
import { watermarkOf } from "./group-state.ts";
import type { CheckResult, SeriesOutput } from "./series.ts";
import { stepSeries } from "./series.ts";
import type { StrategyGroup } from "./strategy.ts";

/** What people should know of although it is no alert. Times are epoch seconds of the data. */
export type DetectionAudit =
  | {
      readonly kind: "gap";
      /** The points before and after the hole. */
      readonly fromTime: number;
      readonly toTime: number;
      /** The longest hole that would not have been reported. */
      readonly limitSeconds: number;
    }
  | {
      readonly kind: "series_retired";
      readonly dimensionsMd5: string;
      readonly time: number;
      readonly lastTime: number;
      /** Alerts that were resolved by it. */
      readonly openCount: number;
    };

/** The newest point that a level has looked at. */
export type LastCheckpoint = {
  readonly strategy: string;
  readonly dimensionsMd5: string;
  readonly severity: string;
  readonly time: number;
};

export type Advance = {
  /** To be durable in one commit with `alerts`; then `applyChanges`. */
  readonly changes: GroupChanges;
  /** In the order in which they happened: by time, points before ticks, then series, strategy and level. */
  readonly alerts: readonly DetectedAlert[];
  /** A series' results in time order; the order of series means nothing. */
  readonly checkResults: readonly CheckResult[];
  readonly lastCheckpoints: readonly LastCheckpoint[];
  readonly auditEvents: readonly DetectionAudit[];
  /** `index` is the place of the event in `events`. */
  readonly rejections: readonly { readonly index: number; readonly rejection: Rejection }[];
  /**
   * Places of events that had come before, and of events that came after the watermark: those are recorded, never
   * detected.
   */
  readonly duplicates: readonly number[];
  readonly late: readonly number[];
};

export type AdvanceOptions = {
  /** At the end of an input: detect what still waits. What comes later with a time up to the newest is late. */
  readonly flush?: boolean;
};

export function advance(
  state: GroupState,
  group: StrategyGroup,
  batch: { readonly events: readonly StateEvent[] } & AdvanceOptions,
): Advance {
  const intake = takeIn(state, group, batch.events);
  const { newestTime } = intake;
  const flushedUntil = batch.flush === true && newestTime !== null ? newestTime + 1 : state.head.flushedUntil;
  const watermark = newestTime === null ? null : watermarkOf(newestTime, flushedUntil, group.intervalSeconds);
  const due = watermark === null ? [] : duePoints(state, intake.accepted, watermark);
  const gaps = findGaps(due, state.head.lastDetectedTime, backfillSecondsMax(group.intervalSeconds));
  const detection = watermark === null ? noDetection() : detect(state, group, { due, watermark });
  const counters = addCounters(state.head.counters, intake, { detected: due.length, gaps: gaps.length });
  const head = {
    newestTime,
    flushedUntil,
    lastDetectedTime: due.at(-1)?.time ?? state.head.lastDetectedTime,
    counters,
  };
  return {
    changes: {
      head,
      seenAdded: intake.seenAdded,
      seenForgottenBefore: forgottenBefore(state, group, newestTime),
      pendingAdded: watermark === null ? [] : intake.accepted.filter(({ time }) => time >= watermark),
      pendingDetectedBefore: due.length === 0 ? null : watermark,
      series: detection.series,
    },
    alerts: inOrder(detection.output.alerts, group),
    checkResults: detection.output.checkResults,
    lastCheckpoints: detection.lastCheckpoints,
    auditEvents: auditInOrder(gaps, detection.output),
    rejections: intake.rejections,
    duplicates: intake.duplicates,
    late: intake.late,
  };
}

type Intake = {
  newestTime: number | null;
  readonly accepted: PendingPoint[];
  readonly seenAdded: (readonly [number, string])[];
  readonly duplicates: number[];
  readonly late: number[];
  readonly rejections: { index: number; rejection: Rejection }[];
  withoutValueCount: number;
  eventCount: number;
};

/** Sorts events into accepted, duplicate, late and refused ones, each by what was known when it came. */
function takeIn(state: GroupState, group: StrategyGroup, events: readonly StateEvent[]): Intake {
  const intake: Intake = {
    newestTime: state.head.newestTime,
    accepted: [],
    seenAdded: [],
    duplicates: [],
    late: [],
    rejections: [],
    withoutValueCount: 0,
    eventCount: events.length,
  };
  const seenHere = new Set<string>();
  const newSeries = new Set<string>();
  for (const [index, event] of events.entries()) {
    const newestTime = intake.newestTime ?? event.time;
    const ageSeconds = newestTime - event.time;
    if (ageSeconds > latenessSecondsMax(group.intervalSeconds)) {
      intake.rejections.push({ index, rejection: reject("too_old", group.query.time, event.time) });
      continue;
    }
    // Beyond this age nothing is remembered, in this batch as in earlier ones: how batches are cut must not matter.
    const isRemembered = ageSeconds <= DUPLICATE_INTERVAL_COUNT * group.intervalSeconds;
    const md5 = event.dimensionsMd5;
    if (isRemembered && (seenHere.has(event.recordId) || state.seen.get(event.time)?.has(md5))) {
      intake.duplicates.push(index);
      continue;
    }
    intake.newestTime = Math.max(newestTime, event.time);
    const refusal = refusalOf(state, { intake, newSeries, md5 });
    if (refusal !== null) {
      intake.rejections.push({ index, rejection: refusal });
      continue;
    }
    if (isRemembered) {
      seenHere.add(event.recordId);
      intake.seenAdded.push([event.time, md5]);
    }
    if (!state.series.has(md5)) newSeries.add(md5);
    takePoint(intake, {
      event,
      md5,
      index,
      watermark: watermarkOf(newestTime, state.head.flushedUntil, group.intervalSeconds),
    });
  }
  return intake;
}

function refusalOf(
  state: GroupState,
  at: { intake: Intake; newSeries: ReadonlySet<string>; md5: string },
): Rejection | null {
  const isFull =
    state.pendingCount + at.intake.accepted.length >= PENDING_COUNT_MAX ||
    state.seenCount + at.intake.seenAdded.length >= SEEN_COUNT_MAX;
  if (isFull) return reject("buffer_full", null);
  const isNew = !state.series.has(at.md5) && !at.newSeries.has(at.md5);
  return isNew && state.series.size + at.newSeries.size >= SERIES_COUNT_MAX ? reject("series_limit", null) : null;
}

function takePoint(intake: Intake, at: { event: StateEvent; md5: string; index: number; watermark: number }): void {
  const { event, md5 } = at;
  if (event.time < at.watermark) intake.late.push(at.index);
  else if (event.value === null) intake.withoutValueCount += 1;
  else {
    const { time, value, dimensions, dimensionFields } = event;
    intake.accepted.push({ md5, time, value, dimensions, dimensionFields });
  }
}

/** Points that the watermark has passed, in time order. */
function duePoints(state: GroupState, accepted: readonly PendingPoint[], watermark: number): PendingPoint[] {
  const due = accepted.filter(({ time }) => time < watermark);
  for (const [time, points] of state.pending) if (time < watermark) for (const point of points) due.push(point);
  return due.sort((a, b) => a.time - b.time);
}

function findGaps(
  due: readonly PendingPoint[],
  lastDetectedTime: number | null,
  limitSeconds: number,
): DetectionAudit[] {
  const gaps: DetectionAudit[] = [];
  let fromTime = lastDetectedTime;
  for (const { time } of due) {
    if (fromTime !== null && time - fromTime > limitSeconds)
      gaps.push({ kind: "gap", fromTime, toTime: time, limitSeconds });
    fromTime = time;
  }
  return gaps;
}

type SeriesDetection = {
  readonly output: SeriesOutput;
  readonly series: [string, SeriesState | null][];
  readonly lastCheckpoints: readonly LastCheckpoint[];
};

function noDetection(): SeriesDetection {
  return { output: { alerts: [], checkResults: [], retired: [] }, series: [], lastCheckpoints: [] };
}

/** Steps every series that has points, and those for which something is due without one. */
function detect(
  state: GroupState,
  group: StrategyGroup,
  at: { due: readonly PendingPoint[]; watermark: number },
): SeriesDetection {
  const detection = noDetection();
  const pointsBySeries = new Map<string, PendingPoint[]>();
  for (const point of at.due) {
    const points = pointsBySeries.get(point.md5);
    if (points === undefined) pointsBySeries.set(point.md5, [point]);
    else points.push(point);
  }
  if (hasPassedTick(state, group, at.watermark)) {
    for (const [md5, { dueTime }] of state.series)
      if (dueTime < at.watermark && !pointsBySeries.has(md5)) pointsBySeries.set(md5, []);
  }
  for (const [md5, points] of pointsBySeries) {
    const before = state.series.get(md5) ?? null;
    const after = stepSeries({ md5, before, points, untilTime: at.watermark, group }, detection.output);
    if (before !== null || after !== null) detection.series.push([md5, after]);
  }
  return { ...detection, lastCheckpoints: lastCheckpointsOf(pointsBySeries, group) };
}

/** Looking at all series is paid once per interval of data: what is due without a point is due on a tick. */
function hasPassedTick(state: GroupState, group: StrategyGroup, watermark: number): boolean {
  const { newestTime, flushedUntil } = state.head;
  if (newestTime === null) return true;
  const tickBefore = (time: number): number => Math.ceil(time / group.intervalSeconds);
  return tickBefore(watermark) > tickBefore(watermarkOf(newestTime, flushedUntil, group.intervalSeconds));
}

/** The records to forget: once per interval of data, and by the newest time only, so batches leave the same state. */
function forgottenBefore(state: GroupState, group: StrategyGroup, newestTime: number | null): number | null {
  if (newestTime === null) return null;
  const before = state.head.newestTime ?? Number.NEGATIVE_INFINITY;
  const tickOf = (time: number): number => Math.floor(time / group.intervalSeconds);
  if (tickOf(newestTime) === tickOf(before)) return null;
  return (tickOf(newestTime) - DUPLICATE_INTERVAL_COUNT) * group.intervalSeconds;
}

function addCounters(
  before: DetectionCounters,
  intake: Intake,
  more: { detected: number; gaps: number },
): DetectionCounters {
  return {
    received: before.received + intake.eventCount,
    accepted: before.accepted + intake.accepted.length,
    duplicates: before.duplicates + intake.duplicates.length,
    late: before.late + intake.late.length,
    rejected: before.rejected + intake.rejections.length,
    withoutValue: before.withoutValue + intake.withoutValueCount,
    detected: before.detected + more.detected,
    gaps: before.gaps + more.gaps,
  };
}

const TICK_REASONS: ReadonlySet<string> = new Set(["no_data", "resent", "series_retired"]);

/**
 * Series were stepped one after the other; this is the order in which things happened. The sort is stable: within a
 * series nothing moves.
 */
function inOrder(alerts: readonly DetectedAlert[], group: StrategyGroup): DetectedAlert[] {
  if (alerts.length < 2) return [...alerts];
  const strategyIndex = new Map(group.strategies.map(({ name }, index) => [name, index]));
  const phase = ({ reason }: DetectedAlert): number => (TICK_REASONS.has(reason) ? 1 : 0);
  const place = ({ strategy }: DetectedAlert): number => strategyIndex.get(strategy) ?? -1;
  return [...alerts].sort(
    (a, b) =>
      a.time - b.time ||
      phase(a) - phase(b) ||
      (a.dimensionsMd5 < b.dimensionsMd5 ? -1 : a.dimensionsMd5 > b.dimensionsMd5 ? 1 : 0) ||
      place(a) - place(b),
  );
}

/** By time, and a gap before what it led to. */
function auditInOrder(gaps: readonly DetectionAudit[], { retired }: SeriesOutput): DetectionAudit[] {
  const timeOf = (one: DetectionAudit): number => (one.kind === "gap" ? one.toTime : one.time);
  const textOf = (one: DetectionAudit): string => (one.kind === "gap" ? "" : one.dimensionsMd5);
  const events = [...gaps, ...retired.map((one) => ({ kind: "series_retired" as const, ...one }))];
  return events.sort((a, b) => timeOf(a) - timeOf(b) || (textOf(a) < textOf(b) ? -1 : 1));
}

/** One for every level of every series that had points; a series' points are in time order. */
function lastCheckpointsOf(
  pointsBySeries: ReadonlyMap<string, readonly PendingPoint[]>,
  group: StrategyGroup,
): LastCheckpoint[] {
  const checkpoints: LastCheckpoint[] = [];
  for (const [dimensionsMd5, points] of pointsBySeries) {
    const time = points.at(-1)?.time;
    if (time === undefined) continue;
    for (const { name, levels } of group.strategies) {
      for (const { severity } of levels) checkpoints.push({ strategy: name, dimensionsMd5, severity, time });
    }
  }
  return checkpoints;
}

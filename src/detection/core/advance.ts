/**
 * One batch of state events through a strategy group: duplicates, order, detection.
 *
 * An advance takes events one by one and ends in what they change: it reads the state and never writes it. Commit the
 * changes together with the alerts, then give them to `applyChanges`; a commit that fails needs no undoing. It decides
 * as if each event had been a batch of its own, so how records are cut into batches changes nothing.
 */
import type { StateEvent } from "../records/record-types.ts";
import type { DetectedAlert } from "./detected-alert.ts";
import { backfillSecondsMax, DUPLICATE_INTERVAL_COUNT } from "./detection-limits.ts";
import { GroupClock } from "./group-clock.ts";
import type { DetectionCounters, GroupChanges, GroupState, SeriesState } from "./group-state.ts";
import { type Arrivals, Intake, type RefusedEvent } from "./intake.ts";
import { stepSeries, type TickCourse } from "./series.ts";
import { type CheckResults, type PlacedAlert, SeriesOutput, type SpacingFound } from "./series-work.ts";
import type { StrategyGroup } from "./strategy-group.ts";

/** What people should know of although it is not an alert. Times are epoch seconds of the data. */
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
    }
  | {
      /** Points come more rarely or more often than the interval says; reported once a group. */
      readonly kind: "spacing";
      readonly dimensionsMd5: string;
      readonly spacingSeconds: number;
      readonly intervalSeconds: number;
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
  /**
   * In the order in which they happened: by the event that brought them about, then by time, series, strategy and
   * level.
   */
  readonly alerts: readonly DetectedAlert[];
  /** For each alert the place of that event, counted from 0; infinite: the end of the input. */
  readonly alertRows: readonly number[];
  /** A list for each level of each series that had points. */
  readonly checkResults: readonly CheckResults[];
  readonly lastCheckpoints: readonly LastCheckpoint[];
  readonly auditEvents: readonly DetectionAudit[];
  /** `index` is the place of the event. */
  readonly rejections: readonly RefusedEvent[];
  /** Places of events that had come before, and of those that came late and were put in their place. */
  readonly duplicates: readonly number[];
  readonly late: readonly number[];
};

export type AdvanceOptions = {
  /** At the end of an input: detect what still waits. */
  readonly flush?: boolean;
  /** The time that a live input has reached without records. */
  readonly clockTime?: number | null;
};

/** All events of a batch at once. */
export function advance(
  state: GroupState,
  group: StrategyGroup,
  { events, ...options }: { readonly events: readonly StateEvent[] } & AdvanceOptions,
): Advance {
  const batch = new AdvancingGroup(state, group);
  for (const event of events) batch.take(event);
  return batch.end(options);
}

/** A batch while it is taken in. An event is not held longer than its call: what is needed of it is copied. */
export class AdvancingGroup {
  readonly group: StrategyGroup;
  readonly state: GroupState;
  readonly #clock: GroupClock;
  readonly #intake: Intake;
  readonly #tickBefore: number;
  /** The group's tick behind each event. */
  readonly #ticks: number[] = [];

  constructor(state: GroupState, group: StrategyGroup) {
    this.state = state;
    this.group = group;
    this.#clock = new GroupClock(state, group, backfillSecondsMax(group.intervalSeconds));
    this.#intake = new Intake(state, group, this.#clock);
    this.#tickBefore = state.head.tickTime ?? Number.NEGATIVE_INFINITY;
  }

  get eventCount(): number {
    return this.#ticks.length;
  }

  take(event: StateEvent): void {
    this.#intake.take(event, this.#ticks.length);
    this.#ticks.push(this.#clock.tickTime ?? Number.NEGATIVE_INFINITY);
  }

  /** Whether the end of the input would change something. */
  canFlush(): boolean {
    return this.eventCount > 0 || this.state.pendingCount > 0 || !this.#clock.isFinished;
  }

  /** Only once, behind all events. */
  end({ clockTime = null, flush = false }: AdvanceOptions): Advance {
    const { state, group } = this;
    const [clock, intake] = [this.#clock, this.#intake];
    if (clockTime !== null) clock.passTo(clockTime);
    if (flush) clock.finish(this.eventCount);
    const output = new SeriesOutput();
    const atEnd = clock.tickTime ?? Number.NEGATIVE_INFINITY;
    const course = courseOf(this.#ticks, { tickBefore: this.#tickBefore, atEnd });
    const series = stepAll(state, { group, intake, startTime: clock.startTime, course, flush }, output);
    return result({ state, group, intake, clock, output, series });
  }
}

function courseOf(ticks: readonly number[], { tickBefore, atEnd }: { tickBefore: number; atEnd: number }): TickCourse {
  return {
    before: (row) => (row === 0 ? tickBefore : (ticks[row - 1] as number)),
    atEnd,
    rowOf: (tick) => {
      if (tick <= tickBefore) return 0;
      let [low, high] = [0, ticks.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((ticks[middle] as number) >= tick) high = middle;
        else low = middle + 1;
      }
      return low < ticks.length ? low : Number.POSITIVE_INFINITY;
    },
  };
}

type Stepping = {
  readonly group: StrategyGroup;
  readonly intake: Intake;
  readonly startTime: number | null;
  readonly course: TickCourse;
  readonly flush: boolean;
};

/** Steps every series that has points, and those for which something is due without one. */
function stepAll(
  state: GroupState,
  { group, intake, startTime, course, flush }: Stepping,
  output: SeriesOutput,
): [string, SeriesState | null][] {
  const changed: [string, SeriesState | null][] = [];
  const step = (md5: string, before: SeriesState | null, arrivals: Arrivals | null): void => {
    const { skipUntil } = state;
    const points = arrivals?.points ?? [];
    const facts = arrivals?.facts ?? before;
    const after = stepSeries({ md5, before, points, facts, ticks: course, group, skipUntil, flush }, output);
    if (before !== null || after !== null) changed.push([md5, after]);
  };
  const { earliestTime } = intake;
  const expected = expectedSeries(state, group, { startTime, earliestTime });
  for (const [md5, arrivals] of intake.series) step(md5, expected.get(md5) ?? arrivals.before, arrivals);
  // Looking at all series is paid once per interval of data: what is due without a point is due on a tick.
  const hasTicked = course.atEnd > (state.head.tickTime ?? Number.NEGATIVE_INFINITY);
  for (const [md5, series] of hasTicked || flush ? state.series : []) {
    if (intake.series.has(md5) || expected.has(md5)) continue;
    if (series.dueTime <= course.atEnd || (flush && series.pending !== "")) step(md5, series, null);
  }
  for (const [md5, series] of expected) if (!intake.series.has(md5)) step(md5, series, null);
  return changed;
}

/**
 * Series that must be there and had no point yet: from the group's first time on their silence counts, whichever of its
 * first records comes first. Here are those that are new, and those whose beginning moves.
 */
function expectedSeries(
  state: GroupState,
  group: StrategyGroup,
  { startTime, earliestTime }: { startTime: number | null; earliestTime: number },
): Map<string, SeriesState> {
  const missing = new Map<string, SeriesState>();
  if (group.expected.size === 0 || startTime === null) return missing;
  const heardAt = Math.min(startTime, earliestTime);
  for (const [md5, dimensions] of group.expected) {
    const known = state.series.get(md5);
    if (known !== undefined) {
      const earlier = missedEarlier(known, earliestTime);
      if (earlier !== null) missing.set(md5, earlier);
      continue;
    }
    missing.set(md5, {
      dimensions,
      dimensionFields: Object.keys(dimensions),
      pointCount: 0,
      tick: 0,
      lastTime: null,
      lastValue: 0,
      newestTime: null,
      heardAt,
      pending: "",
      recent: "",
      dueTime: heardAt,
      strategies: {},
    });
  }
  return missing;
}

/** null: it had a point, or was missed since then already. */
function missedEarlier(known: SeriesState, time: number): SeriesState | null {
  if (known.lastTime !== null) return null;
  if (known.newestTime === null) return time < known.heardAt ? { ...known, heardAt: time } : null;
  return known.missedSince !== undefined && time < known.missedSince ? { ...known, missedSince: time } : null;
}

type Decided = {
  readonly state: GroupState;
  readonly group: StrategyGroup;
  readonly intake: Intake;
  readonly clock: GroupClock;
  readonly output: SeriesOutput;
  readonly series: readonly [string, SeriesState | null][];
};

function result({ state, group, intake, clock, output, series }: Decided): Advance {
  const spacing = state.head.isSpacingKnown ? undefined : output.spacings.sort((a, b) => a.row - b.row)[0];
  const head = {
    newestTime: intake.newestTime,
    ...clock.changes(),
    isSpacingKnown: state.head.isSpacingKnown || spacing !== undefined,
    counters: addCounters(state.head.counters, { intake, output, gapCount: clock.settledGaps.length }),
  };
  const alerts = inOrder(output.alerts, group);
  return {
    changes: {
      head,
      seenAdded: intake.seenAdded,
      seenForgottenBefore: forgottenBefore(state, group, clock.time),
      pendingAdded: output.pendingAdded,
      series,
    },
    alerts: alerts.map(({ alert }) => alert),
    alertRows: alerts.map(({ row }) => row),
    checkResults: output.checkResults,
    lastCheckpoints: lastCheckpointsOf(output.lastTimes, group),
    auditEvents: auditEventsOf(clock, { output, spacing, group }),
    rejections: intake.rejections,
    duplicates: [...intake.duplicates, ...output.duplicates].sort((a, b) => a - b),
    late: output.late,
  };
}

/** The records to forget: once per interval of data, and by the group's clock only, so batches leave the same state. */
function forgottenBefore(state: GroupState, group: StrategyGroup, clockTime: number | null): number | null {
  if (clockTime === null) return null;
  const before = state.head.clockTime ?? Number.NEGATIVE_INFINITY;
  const tickOf = (time: number): number => Math.floor(time / group.intervalSeconds);
  if (tickOf(clockTime) === tickOf(before)) return null;
  return (tickOf(clockTime) - DUPLICATE_INTERVAL_COUNT) * group.intervalSeconds;
}

function addCounters(
  before: DetectionCounters,
  { intake, output, gapCount }: { intake: Intake; output: SeriesOutput; gapCount: number },
): DetectionCounters {
  return {
    received: before.received + intake.eventCount,
    accepted: before.accepted + intake.pointCount - output.duplicates.length,
    duplicates: before.duplicates + intake.duplicates.length + output.duplicates.length,
    late: before.late + output.late.length,
    rejected: before.rejected + intake.rejections.length,
    withoutValue: before.withoutValue + intake.withoutValueCount,
    detected: before.detected + output.detectedCount,
    gaps: before.gaps + gapCount,
  };
}

const TICK_REASONS: ReadonlySet<string> = new Set(["no_data", "resent", "series_silent", "series_retired"]);

/**
 * Series were stepped one after the other; this is the order in which things happened. The sort is stable: within a
 * series nothing moves.
 */
function inOrder(alerts: readonly PlacedAlert[], group: StrategyGroup): readonly PlacedAlert[] {
  if (alerts.length < 2) return alerts;
  const strategyIndex = new Map(group.strategies.map(({ name }, index) => [name, index]));
  const phase = ({ reason }: DetectedAlert): number => (TICK_REASONS.has(reason) ? 1 : 0);
  const place = ({ strategy }: DetectedAlert): number => strategyIndex.get(strategy) ?? -1;
  const byRow = (a: PlacedAlert, b: PlacedAlert): number => (a.row === b.row ? 0 : a.row - b.row);
  const byAlert = (a: DetectedAlert, b: DetectedAlert): number =>
    a.time - b.time ||
    phase(a) - phase(b) ||
    (a.dimensionsMd5 < b.dimensionsMd5 ? -1 : a.dimensionsMd5 > b.dimensionsMd5 ? 1 : 0) ||
    place(a) - place(b);
  return [...alerts].sort((a, b) => byRow(a, b) || byAlert(a.alert, b.alert));
}

type PlacedAudit = { readonly row: number; readonly event: DetectionAudit };

/** By the event that brought them about, then by time, and a gap before what it led to. */
function auditEventsOf(
  clock: GroupClock,
  { output, spacing, group }: { output: SeriesOutput; spacing: SpacingFound | undefined; group: StrategyGroup },
): DetectionAudit[] {
  const limitSeconds = backfillSecondsMax(group.intervalSeconds);
  const gaps = clock.settledGaps.map(({ row, fromTime, toTime }): PlacedAudit => {
    return { row, event: { kind: "gap", fromTime, toTime, limitSeconds } };
  });
  const retired = output.retired.map(({ row, ...one }): PlacedAudit => {
    return { row, event: { kind: "series_retired", ...one } };
  });
  const placed = [...gaps, ...retired].sort(inAuditOrder).map(({ event }) => event);
  if (spacing === undefined) return placed;
  const { dimensionsMd5, seconds: spacingSeconds } = spacing;
  return [...placed, { kind: "spacing", dimensionsMd5, spacingSeconds, intervalSeconds: group.intervalSeconds }];
}

function inAuditOrder(a: PlacedAudit, b: PlacedAudit): number {
  const timeOf = ({ event }: PlacedAudit): number =>
    event.kind === "gap" ? event.toTime : event.kind === "series_retired" ? event.time : 0;
  const textOf = ({ event }: PlacedAudit): string => (event.kind === "gap" ? "" : event.dimensionsMd5);
  const byRow = a.row === b.row ? 0 : a.row - b.row;
  return byRow || timeOf(a) - timeOf(b) || (textOf(a) < textOf(b) ? -1 : 1);
}

/** One for every level of every series that had points. */
function lastCheckpointsOf(lastTimes: ReadonlyMap<string, number>, group: StrategyGroup): LastCheckpoint[] {
  const checkpoints: LastCheckpoint[] = [];
  for (const [dimensionsMd5, time] of lastTimes) {
    for (const { name, levels } of group.strategies) {
      for (const { severity } of levels) checkpoints.push({ strategy: name, dimensionsMd5, severity, time });
    }
  }
  return checkpoints;
}

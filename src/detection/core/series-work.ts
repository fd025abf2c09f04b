/** A series while it is worked on: its state opened for writing, and what its steps give. */
import type { EarlierPoint } from "./condition.ts";
import type { DetectedAlert, DetectionReason, SeriesFacts } from "./detected-alert.ts";
import { resolvedAlert } from "./detected-alert.ts";
import type { LevelState, OpenAlert, SeriesState, StrategyState } from "./group-state.ts";
import { addPoint, type Point, pointsOf } from "./point-list.ts";
import type { Level, Strategy } from "./strategy.ts";
import type { StrategyGroup } from "./strategy-group.ts";

/** What a level of a series made of its points, in the order in which it looked at them. */
export type CheckResults = {
  readonly strategy: string;
  readonly dimensionsMd5: string;
  readonly severity: string;
  readonly rows: { readonly time: number; readonly value: number; readonly isAnomalous: boolean }[];
};

/** A series that was forgotten. */
export type RetiredSeries = {
  readonly row: number;
  readonly dimensionsMd5: string;
  readonly time: number;
  readonly lastTime: number;
  readonly openCount: number;
};

/** An alert at the event of the batch that brought it about. */
export type PlacedAlert = { readonly row: number; readonly alert: DetectedAlert };

/** A series whose points do not come at the interval. */
export type SpacingFound = { readonly row: number; readonly dimensionsMd5: string; readonly seconds: number };

/** What the steps of one batch write to; alerts get their order afterwards. */
export class SeriesOutput {
  readonly alerts: PlacedAlert[] = [];
  readonly checkResults: CheckResults[] = [];
  readonly retired: RetiredSeries[] = [];
  readonly spacings: SpacingFound[] = [];
  /** Events that turned out to be a repetition of a point that was detected, and those put in place late. */
  readonly duplicates: number[] = [];
  readonly late: number[] = [];
  readonly lastTimes = new Map<string, number>();
  /**
   * A series that was forgotten and came again in one step goes on in its list. The lists of one series are the last
   * ones.
   */
  resultsOf(dimensionsMd5: string, strategy: string, severity: string): CheckResults {
    for (let at = this.checkResults.length - 1; at >= 0; at -= 1) {
      const one = this.checkResults[at] as CheckResults;
      if (one.dimensionsMd5 !== dimensionsMd5) break;
      if (one.strategy === strategy && one.severity === severity) return one;
    }
    const results: CheckResults = { strategy, dimensionsMd5, severity, rows: [] };
    this.checkResults.push(results);
    return results;
  }

  detectedCount = 0;
  pendingAdded = 0;
  /** The event that is worked on. */
  row = 0;
}

export type LevelWork = {
  hits: (readonly [number, number])[];
  normalCount: number;
  quietCount: number;
  open: OpenAlert | null;
  closedAt: number | null;
};
export type StrategyWork = {
  strategy: Strategy;
  levels: (LevelWork | null)[];
  noData: OpenAlert | null;
  /** Of each level that looked at a point in this step; they are in the output as well. */
  results: (CheckResults | undefined)[];
};
export type SeriesWork = SeriesFacts & {
  readonly md5: string;
  readonly group: StrategyGroup;
  readonly isExpected: boolean;
  pointCount: number;
  tick: number;
  lastTime: number | null;
  lastValue: number;
  newestTime: number | null;
  heardAt: number;
  /** Since when an expected series is missed that had no point yet. */
  missedSince: number | null;
  pending: Point[];
  recent: string;
  /** Points that were detected in this step; they belong behind `recent`. */
  added: string;
  /** The points before the latest one, if a condition of the group looks at them. */
  before: readonly EarlierPoint[];
  strategies: StrategyWork[];
};

export function isExpected(group: StrategyGroup, md5: string): boolean {
  return group.expected.size > 0 && group.expected.has(md5);
}

export function emptyLevel(): LevelWork {
  return { hits: [], normalCount: 0, quietCount: 0, open: null, closedAt: null };
}

export type SeriesOpening = {
  readonly md5: string;
  readonly group: StrategyGroup;
  readonly before: SeriesState;
};

/**
 * Opens stored state. Alerts of strategies and levels that the group no longer has are resolved at the last point's
 * time.
 */
export function openWork({ md5, group, before }: SeriesOpening, output: SeriesOutput): SeriesWork {
  const work: SeriesWork = {
    md5,
    group,
    isExpected: isExpected(group, md5),
    dimensions: before.dimensions,
    dimensionFields: before.dimensionFields,
    pointCount: before.pointCount,
    tick: before.tick,
    lastTime: before.lastTime,
    lastValue: before.lastValue,
    newestTime: before.newestTime,
    heardAt: before.heardAt,
    missedSince: before.missedSince ?? (before.newestTime === null ? before.heardAt : null),
    pending: before.pending === "" ? [] : pointsOf(before.pending),
    recent: before.recent,
    added: "",
    before: [],
    strategies: group.strategies.map((strategy) => strategyWork(strategy, ownOf(before.strategies, strategy.name))),
  };
  for (const name of Object.keys(before.strategies))
    resolveOrphans(work, { name, stored: before.strategies[name] as StrategyState }, output);
  return work;
}

export function strategyWork(strategy: Strategy, stored: StrategyState | undefined): StrategyWork {
  if (stored === undefined) return { strategy, levels: strategy.levels.map(() => null), noData: null, results: [] };
  const levels = strategy.levels.map(({ severity }) => levelWork(ownOf(stored.levels, severity)));
  return { strategy, levels, noData: strategy.noData === null ? null : stored.noData, results: [] };
}

/** Names come from people: one called `constructor` must not be found on the prototype. */
function ownOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function levelWork(stored: LevelState | undefined): LevelWork | null {
  return stored === undefined ? null : { ...stored, hits: [...stored.hits] };
}

function resolveOrphans(work: SeriesWork, from: { name: string; stored: StrategyState }, output: SeriesOutput): void {
  const strategy = work.group.strategies.find(({ name }) => name === from.name);
  const time = work.lastTime ?? work.heardAt;
  for (const [severity, level] of Object.entries(from.stored.levels)) {
    if (level.open === null || strategy?.levels.some((known) => known.severity === severity)) continue;
    resolve(work, { name: from.name, severity, open: level.open, reason: "strategy_changed", time }, output);
  }
  const noData = from.stored.noData;
  if (noData === null || (strategy !== undefined && strategy.noData !== null)) return;
  const severity = noData.labels["severity"] ?? "";
  resolve(work, { name: from.name, severity, open: noData, reason: "strategy_changed", time }, output);
}

/** A series that was forgotten while later points of it wait: they are its first ones. */
export function startAnew(work: SeriesWork): void {
  work.pointCount = 0;
  work.tick = 0;
  work.lastTime = null;
  work.lastValue = 0;
  work.missedSince = null;
  work.recent = "";
  work.added = "";
  work.before = [];
  for (const one of work.strategies) {
    one.levels = one.levels.map(() => null);
    one.noData = null;
  }
}

/** The remembered points with those of this step: put together once, for a text that grows point by point is costly. */
export function takeRecent(work: SeriesWork): string {
  if (work.added !== "") work.recent = work.recent === "" ? work.added : `${work.recent} ${work.added}`;
  work.added = "";
  return work.recent;
}

/** Back to what is stored: only levels and strategies that have something to remember. */
export function closeWork(work: SeriesWork, dueTime: number): SeriesState {
  let pending = "";
  for (const point of work.pending) pending = addPoint(pending, point);
  // Normally it has points, or `heardAt` says it.
  const isAwaited = work.missedSince !== null && work.lastTime === null && work.newestTime !== null;
  return {
    dimensions: work.dimensions,
    dimensionFields: work.dimensionFields,
    pointCount: work.pointCount,
    tick: work.tick,
    lastTime: work.lastTime,
    lastValue: work.lastValue,
    newestTime: work.newestTime,
    heardAt: work.heardAt,
    ...(isAwaited ? { missedSince: work.missedSince as number } : {}),
    pending,
    recent: takeRecent(work),
    dueTime,
    strategies: Object.fromEntries(
      work.strategies.filter(hasMemory).map((one) => [one.strategy.name, strategyState(one)]),
    ),
  };
}

function hasMemory({ levels, noData }: StrategyWork): boolean {
  return noData !== null || levels.some((level) => level !== null);
}

function strategyState({ strategy, levels, noData }: StrategyWork): StrategyState {
  const named = strategy.levels.map(({ severity }, index) => [severity, levels[index] ?? null] as const);
  return { levels: Object.fromEntries(named.filter((pair): pair is [string, LevelWork] => pair[1] !== null)), noData };
}

export type Resolution = { name: string; severity: string; open: OpenAlert; reason: DetectionReason; time: number };

/** An alert never ends before it began: what ends it may be a point from before. */
export function resolve(
  work: SeriesWork,
  { name, severity, open, reason, time }: Resolution,
  output: SeriesOutput,
): void {
  const strategy = work.group.strategies.find((one) => one.name === name);
  const endsAt = Math.max(time, open.startsAt);
  const alert = resolvedAlert(strategy, open, { time: endsAt, value: work.lastValue });
  send(work, { name, severity, reason, time: endsAt, alert }, output);
}

export type Sending = Pick<DetectedAlert, "severity" | "reason" | "time" | "alert"> & { readonly name: string };

/**
 * Field by field: an object that is spread before it gets more fields costs a hidden class each, which only a full
 * collection frees.
 */
export function send(
  work: SeriesWork,
  { name, severity, reason, time, alert }: Sending,
  { alerts, row }: SeriesOutput,
): void {
  alerts.push({ row, alert: { severity, reason, time, alert, strategy: name, dimensionsMd5: work.md5 } });
}

export type LevelAt = { readonly one: StrategyWork; readonly level: Level; readonly state: LevelWork };

export function closeLevel(
  work: SeriesWork,
  { one, level, state }: LevelAt,
  how: { reason: DetectionReason; time: number; output: SeriesOutput },
): void {
  const open = state.open as OpenAlert;
  const { reason, time } = how;
  resolve(work, { name: one.strategy.name, severity: level.severity, open, reason, time }, how.output);
  state.open = null;
  state.normalCount = 0;
  state.quietCount = 0;
  // A superseded level keeps its count: it fires anew when the higher one is over.
  if (reason === "superseded") return;
  // A silence ends behind the points: those that come later, wherever they lie in it, are of the next episode.
  state.closedAt = reason === "series_silent" ? (work.lastTime as number) : Math.max(time, open.startsAt);
  // The next episode needs its own full count.
  state.hits = [];
}

/**
 * One series of one strategy group: its points in time order become alerts.
 *
 * Owns the rules of levels, recovery, no-data, re-sending and retirement. Knows no other series, so that the result
 * does not depend on how records were batched. Does not own identity, order or lateness (advance.ts).
 *
 * R1. Time is data time. What is due without a point happens on ticks, the multiples of the interval, after the points
 *     of the same second.
 * R2. At most one level of a strategy is open: a higher one that fires resolves the lower one, and holds it back while
 *     it is open.
 * R3. An alert opens only on an anomalous point, at that point's time, so a later episode never has the start of an
 *     earlier one.
 */

import { conditionHolds } from "./condition.ts";
import type { DetectedAlert, DetectionReason, SeriesFacts } from "./detected-alert.ts";
import { alertLabels, firingAlert, resolvedAlert } from "./detected-alert.ts";
import type { LevelState, OpenAlert, PendingPoint, SeriesState, StrategyState } from "./group-state.ts";
import type { Level, NoData, Strategy, StrategyGroup } from "./strategy.ts";

/** One row of the check results: what a level made of a point. */
export type CheckResult = {
  readonly strategy: string;
  readonly dimensionsMd5: string;
  readonly severity: string;
  readonly time: number;
  readonly value: number;
  readonly isAnomalous: boolean;
};

/** A series that was forgotten. */
export type RetiredSeries = {
  readonly dimensionsMd5: string;
  readonly time: number;
  readonly lastTime: number;
  readonly openCount: number;
};

/** What the steps of one batch write to; alerts get their order afterwards. */
export type SeriesOutput = {
  readonly alerts: DetectedAlert[];
  readonly checkResults: CheckResult[];
  readonly retired: RetiredSeries[];
};

export type SeriesStep = {
  readonly md5: string;
  readonly before: SeriesState | null;
  /** In time order, all before `untilTime`. */
  readonly points: readonly PendingPoint[];
  /** The watermark: ticks before it have happened. */
  readonly untilTime: number;
  readonly group: StrategyGroup;
};

type LevelWork = { hits: (readonly [number, number])[]; normalCount: number; open: OpenAlert | null };
type StrategyWork = { strategy: Strategy; levels: (LevelWork | null)[]; noData: OpenAlert | null };
type SeriesWork = SeriesFacts & {
  md5: string;
  group: StrategyGroup;
  pointCount: number;
  lastTime: number;
  lastValue: number;
  strategies: StrategyWork[];
};

/** The series after its points and ticks; null when it was retired. */
export function stepSeries(step: SeriesStep, output: SeriesOutput): SeriesState | null {
  let work = step.before === null ? null : openWork(step, step.before, output);
  let dueTime = step.before?.dueTime ?? Number.POSITIVE_INFINITY;
  for (const point of step.points) {
    if (work !== null && dueTime < point.time) work = runTicks(work, point.time, output);
    work ??= newWork(step, point);
    detectPoint(work, point, output);
    dueTime = dueTimeOf(work);
  }
  if (work !== null && dueTime < step.untilTime) work = runTicks(work, step.untilTime, output);
  return work === null ? null : closeWork(work);
}

function newWork(step: SeriesStep, point: PendingPoint): SeriesWork {
  return {
    md5: step.md5,
    group: step.group,
    // A copy: a field of a parsed line may keep the whole chunk of input alive that it was cut from.
    dimensions: JSON.parse(JSON.stringify(point.dimensions)),
    dimensionFields: JSON.parse(JSON.stringify(point.dimensionFields)),
    pointCount: 0,
    lastTime: point.time,
    lastValue: point.value,
    strategies: step.group.strategies.map((strategy) => strategyWork(strategy, undefined)),
  };
}

/**
 * Opens the stored state for work. Alerts of strategies and levels that the group no longer has are resolved at the
 * last point's time.
 */
function openWork(step: SeriesStep, before: SeriesState, output: SeriesOutput): SeriesWork {
  const work: SeriesWork = {
    md5: step.md5,
    group: step.group,
    dimensions: before.dimensions,
    dimensionFields: before.dimensionFields,
    pointCount: before.pointCount,
    lastTime: before.lastTime,
    lastValue: before.lastValue,
    strategies: step.group.strategies.map((strategy) =>
      strategyWork(strategy, ownOf(before.strategies, strategy.name)),
    ),
  };
  for (const name of Object.keys(before.strategies)) {
    resolveOrphans(work, { name, stored: before.strategies[name] as StrategyState }, output);
  }
  return work;
}

function strategyWork(strategy: Strategy, stored: StrategyState | undefined): StrategyWork {
  if (stored === undefined) return { strategy, levels: strategy.levels.map(() => null), noData: null };
  const levels = strategy.levels.map(({ severity }) => levelWork(ownOf(stored.levels, severity)));
  return { strategy, levels, noData: strategy.noData === null ? null : stored.noData };
}

/** Names come from people: one called `constructor` must not be found on the prototype. */
function ownOf<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

function levelWork(stored: LevelState | undefined): LevelWork | null {
  return stored === undefined ? null : { hits: [...stored.hits], normalCount: stored.normalCount, open: stored.open };
}

function resolveOrphans(work: SeriesWork, from: { name: string; stored: StrategyState }, output: SeriesOutput): void {
  const strategy = work.group.strategies.find(({ name }) => name === from.name);
  for (const [severity, level] of Object.entries(from.stored.levels)) {
    if (level.open === null || strategy?.levels.some((known) => known.severity === severity)) continue;
    resolve(
      work,
      { name: from.name, severity, open: level.open, reason: "strategy_changed", time: work.lastTime },
      output,
    );
  }
  const noData = from.stored.noData;
  if (noData === null || (strategy !== undefined && strategy.noData !== null)) return;
  const severity = noData.labels["severity"] ?? "";
  resolve(work, { name: from.name, severity, open: noData, reason: "strategy_changed", time: work.lastTime }, output);
}

/** Back to what is stored: only levels and strategies that have something to remember. */
function closeWork(work: SeriesWork): SeriesState {
  return {
    dimensions: work.dimensions,
    dimensionFields: work.dimensionFields,
    pointCount: work.pointCount,
    lastTime: work.lastTime,
    lastValue: work.lastValue,
    dueTime: dueTimeOf(work),
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

function detectPoint(work: SeriesWork, point: PendingPoint, output: SeriesOutput): void {
  work.pointCount += 1;
  work.lastTime = point.time;
  work.lastValue = point.value;
  for (const one of work.strategies) {
    if (one.noData !== null) {
      const severity = (one.strategy.noData as NoData).severity;
      resolve(
        work,
        { name: one.strategy.name, severity, open: one.noData, reason: "data_returned", time: point.time },
        output,
      );
      one.noData = null;
    }
    let isHigherOpen = false;
    for (let index = 0; index < one.levels.length; index += 1) {
      isHigherOpen = detectLevel(work, { one, index, isHigherOpen }, output) || isHigherOpen;
    }
  }
}

type LevelTurn = { readonly one: StrategyWork; readonly index: number; readonly isHigherOpen: boolean };

/** One level's turn at the series' latest point; true when it is open afterwards. */
function detectLevel(work: SeriesWork, turn: LevelTurn, output: SeriesOutput): boolean {
  const { one, index } = turn;
  const level = one.strategy.levels[index] as Level;
  const isAnomalous = conditionHolds(level.when, work.lastValue);
  output.checkResults.push({
    strategy: one.strategy.name,
    dimensionsMd5: work.md5,
    severity: level.severity,
    time: work.lastTime,
    value: work.lastValue,
    isAnomalous,
  });
  let state = one.levels[index] ?? null;
  if (state === null && !isAnomalous) return false;
  state ??= { hits: [], normalCount: 0, open: null };
  if (isAnomalous) anomalousPoint(work, { turn, level, state }, output);
  else normalPoint(work, { turn, level, state }, output);
  // R2: the higher level had its turn before.
  if (turn.isHigherOpen && state.open !== null)
    closeLevel(work, { turn, level, state }, { reason: "superseded", output });
  one.levels[index] = state.open === null && state.hits.length === 0 ? null : state;
  return state.open !== null;
}

type LevelPoint = { readonly turn: LevelTurn; readonly level: Level; readonly state: LevelWork };

function anomalousPoint(work: SeriesWork, { turn, level, state }: LevelPoint, output: SeriesOutput): void {
  state.normalCount = 0;
  state.hits.push([work.pointCount, work.lastTime]);
  forgetOldHits(work, level, state);
  if (state.open !== null || turn.isHigherOpen || state.hits.length < level.trigger.count) return;
  const strategy = turn.one.strategy;
  state.open = { startsAt: work.lastTime, sentAt: work.lastTime, labels: alertLabels(strategy, work, level) };
  const alert = firingAlert({ strategy, open: state.open, source: level, value: work.lastValue });
  output.alerts.push(
    detected(work, { name: strategy.name, severity: level.severity, reason: "triggered", time: work.lastTime, alert }),
  );
}

function normalPoint(work: SeriesWork, point: LevelPoint, output: SeriesOutput): void {
  const { level, state } = point;
  forgetOldHits(work, level, state);
  if (state.open === null) return;
  state.normalCount += 1;
  if (state.normalCount < level.recovery.count) return;
  closeLevel(work, point, { reason: "recovered", output });
  // The next episode needs its own full count.
  state.hits = [];
}

function closeLevel(
  work: SeriesWork,
  { turn, level, state }: LevelPoint,
  how: { reason: DetectionReason; output: SeriesOutput },
): void {
  const open = state.open as OpenAlert;
  const name = turn.one.strategy.name;
  resolve(work, { name, severity: level.severity, open, reason: how.reason, time: work.lastTime }, how.output);
  state.open = null;
  state.normalCount = 0;
}

/** Hits leave the window by number and by age, so a hole in the data does not join what lies on its two sides. */
function forgetOldHits(work: SeriesWork, level: Level, state: LevelWork): void {
  const { window } = level.trigger;
  const oldestTime = work.lastTime - window * work.group.intervalSeconds;
  const isOld = ([number, time]: readonly [number, number]): boolean =>
    number <= work.pointCount - window || time <= oldestTime;
  const keepFrom = state.hits.findIndex((hit) => !isOld(hit));
  if (keepFrom !== 0) state.hits = keepFrom === -1 ? [] : state.hits.slice(keepFrom);
}

/** All ticks before `untilTime` at which something is due; null when the series is retired on the way. */
function runTicks(work: SeriesWork, untilTime: number, output: SeriesOutput): SeriesWork | null {
  for (let tick = dueTimeOf(work); tick < untilTime; tick = dueTimeOf(work)) {
    if (tick >= retirementTime(work)) {
      retire(work, tick, output);
      return null;
    }
    for (const one of work.strategies) tickStrategy(work, { one, tick }, output);
  }
  return work;
}

function tickStrategy(work: SeriesWork, at: { one: StrategyWork; tick: number }, output: SeriesOutput): void {
  const { one, tick } = at;
  const { strategy } = one;
  for (const [index, level] of one.levels.entries()) {
    const source = strategy.levels[index] as Level;
    if (level?.open != null && resendTime(work, one, level.open) <= tick)
      level.open = resend(work, { one, tick, open: level.open, source }, output);
  }
  if (strategy.noData === null) return;
  if (one.noData !== null) {
    if (resendTime(work, one, one.noData) <= tick)
      one.noData = resend(work, { one, tick, open: one.noData, source: strategy.noData }, output);
  } else if (noDataTime(work, strategy.noData) <= tick) {
    one.noData = { startsAt: tick, sentAt: tick, labels: alertLabels(strategy, work, strategy.noData) };
    const alert = firingAlert({ strategy, open: one.noData, source: strategy.noData, value: work.lastValue });
    output.alerts.push(
      detected(work, { name: strategy.name, severity: strategy.noData.severity, reason: "no_data", time: tick, alert }),
    );
  }
}

type Resend = {
  readonly one: StrategyWork;
  readonly tick: number;
  readonly open: OpenAlert;
  readonly source: Level | NoData;
};

function resend(work: SeriesWork, { one, tick, open, source }: Resend, output: SeriesOutput): OpenAlert {
  const sent = { ...open, sentAt: tick };
  const alert = firingAlert({ strategy: one.strategy, open: sent, source, value: work.lastValue });
  output.alerts.push(
    detected(work, { name: one.strategy.name, severity: source.severity, reason: "resent", time: tick, alert }),
  );
  return sent;
}

function retire(work: SeriesWork, tick: number, output: SeriesOutput): void {
  let openCount = 0;
  const close = (name: string, severity: string, open: OpenAlert | null | undefined): void => {
    if (open == null) return;
    openCount += 1;
    resolve(work, { name, severity, open, reason: "series_retired", time: tick }, output);
  };
  for (const { strategy, levels, noData } of work.strategies) {
    for (const [index, level] of levels.entries())
      close(strategy.name, (strategy.levels[index] as Level).severity, level?.open);
    close(strategy.name, strategy.noData?.severity ?? "", noData);
  }
  output.retired.push({ dimensionsMd5: work.md5, time: tick, lastTime: work.lastTime, openCount });
}

type Resolution = { name: string; severity: string; open: OpenAlert; reason: DetectionReason; time: number };

function resolve(work: SeriesWork, { name, severity, open, reason, time }: Resolution, output: SeriesOutput): void {
  const strategy = work.group.strategies.find((one) => one.name === name);
  const alert = resolvedAlert(strategy, open, { time, value: work.lastValue });
  output.alerts.push(detected(work, { name, severity, reason, time, alert }));
}

type Sending = Pick<DetectedAlert, "severity" | "reason" | "time" | "alert"> & { readonly name: string };

/** Field by field: an object that is spread before it gets more fields costs a hidden class each, which only a full collection frees. */
function detected(work: SeriesWork, { name, severity, reason, time, alert }: Sending): DetectedAlert {
  return { severity, reason, time, alert, strategy: name, dimensionsMd5: work.md5 };
}

/** The next tick at which something is due without a point. */
function dueTimeOf(work: SeriesWork): number {
  let dueTime = retirementTime(work);
  for (const one of work.strategies) {
    const { noData } = one.strategy;
    if (one.noData !== null) dueTime = Math.min(dueTime, resendTime(work, one, one.noData));
    else if (noData !== null) dueTime = Math.min(dueTime, noDataTime(work, noData));
    for (const level of one.levels)
      if (level?.open != null) dueTime = Math.min(dueTime, resendTime(work, one, level.open));
  }
  return dueTime;
}

function retirementTime(work: SeriesWork): number {
  return tickAtOrAfter(work.lastTime + work.group.keepSeconds, work);
}

function noDataTime(work: SeriesWork, noData: NoData): number {
  return tickAtOrAfter(work.lastTime + noData.intervals * work.group.intervalSeconds, work);
}

function resendTime(work: SeriesWork, one: StrategyWork, open: OpenAlert): number {
  return tickAtOrAfter(open.sentAt + one.strategy.resendSeconds, work);
}

function tickAtOrAfter(time: number, work: SeriesWork): number {
  return Math.ceil(time / work.group.intervalSeconds) * work.group.intervalSeconds;
}

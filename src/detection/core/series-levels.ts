/** The levels of a series at its latest point: anomalous points open alerts, normal ones end them. */
import { conditionHolds, type EarlierPoint } from "./condition.ts";
import { firingAlert } from "./detected-alert.ts";
import { type GroupState, levelName } from "./group-state.ts";
import { addPoint, newestPoints, type Point, pointsBefore, pointsOf, ticksBetween } from "./point-list.ts";
import {
  type CheckResults,
  closeLevel,
  emptyLevel,
  type LevelAt,
  resolve,
  type SeriesOutput,
  type SeriesWork,
  type StrategyWork,
  send,
  takeRecent,
} from "./series-work.ts";
import type { Level, NoData } from "./strategy.ts";

/** Points after which the spacing of the data is looked at, once a series. */
const SPACING_POINT_COUNT = 11;
/** Data that come this much more rarely or more often than the interval do not fit it. */
const SPACING_FACTOR = 1.5;

export type Detecting = { readonly output: SeriesOutput; readonly skipUntil: GroupState["skipUntil"] };

/** The next point of the series, later than all before. */
export function detectPoint(work: SeriesWork, point: Point, detecting: Detecting): void {
  const { intervalSeconds } = work.group;
  const { output } = detecting;
  if (work.lastTime !== null) work.tick += ticksBetween(work.lastTime, point.time, intervalSeconds);
  work.pointCount += 1;
  work.lastTime = point.time;
  work.lastValue = point.value;
  remember(work, point);
  if (work.group.changeCount > 0) work.before = latestBefore(work);
  output.detectedCount += 1;
  if (work.pointCount === SPACING_POINT_COUNT) lookAtSpacing(work, output);
  for (const one of work.strategies) {
    if (one.noData !== null) {
      const { name, noData } = one.strategy;
      const { severity } = noData as NoData;
      resolve(work, { name, severity, open: one.noData, reason: "data_returned", time: point.time }, output);
      one.noData = null;
    }
    let isHigherOpen = false;
    for (let index = 0; index < one.levels.length; index += 1)
      isHigherOpen = detectLevel(work, { one, index, isHigherOpen }, detecting) || isHigherOpen;
  }
}

function remember(work: SeriesWork, point: Point): void {
  const count = work.group.recentCount;
  work.added = addPoint(work.added, point);
  if (work.pointCount % count === 0) work.recent = newestPoints(takeRecent(work), count);
}

/** The points before the latest one. */
function latestBefore(work: SeriesWork): readonly EarlierPoint[] {
  const { changeCount: count, intervalSeconds } = work.group;
  const points = pointsOf(newestPoints(takeRecent(work), count + 1));
  return pointsBefore(points, points.length - 1, { count, intervalSeconds });
}

function lookAtSpacing(work: SeriesWork, output: SeriesOutput): void {
  const times = pointsOf(takeRecent(work)).map(({ time }) => time);
  const steps = times.slice(1).map((time, index) => time - (times[index] as number));
  const seconds = steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  const factor = seconds / work.group.intervalSeconds;
  if (seconds > 0 && (factor >= SPACING_FACTOR || factor <= 1 / SPACING_FACTOR))
    output.spacings.push({ row: output.row, dimensionsMd5: work.md5, seconds });
}

type LevelTurn = { readonly one: StrategyWork; readonly index: number; readonly isHigherOpen: boolean };

/** One level's turn at the series' latest point; true when it is open afterwards. */
function detectLevel(work: SeriesWork, turn: LevelTurn, { output, skipUntil }: Detecting): boolean {
  const { one, index } = turn;
  const level = one.strategy.levels[index] as Level;
  const time = work.lastTime as number;
  if (skipUntil.size > 0 && isSkipped(work, { strategy: one.strategy.name, level, time, skipUntil }))
    return one.levels[index]?.open != null;
  const isAnomalous = conditionHolds(level.when, work.lastValue, work.before);
  resultsOf(work, { one, index }, output).rows.push({ time, value: work.lastValue, isAnomalous });
  let state = one.levels[index] ?? null;
  if (state === null && !isAnomalous) return false;
  state ??= emptyLevel();
  const at = { one, level, state };
  if (isAnomalous) state.hits.push([work.pointCount, work.tick]);
  forgetOldHits(work, at);
  if (state.open !== null) recoverIfQuiet(work, { at, isAnomalous }, output);
  else if (isAnomalous && !turn.isHigherOpen && state.hits.length >= level.trigger.count) {
    openLevel(work, at, { time, value: work.lastValue, output });
  }
  // R2: the higher level had its turn before.
  if (turn.isHigherOpen && state.open !== null) closeLevel(work, at, { reason: "superseded", time, output });
  if (state.closedAt !== null && isSettled(work, at)) state.closedAt = null;
  one.levels[index] = state.open === null && state.hits.length === 0 && state.closedAt === null ? null : state;
  return state.open !== null;
}

/** Where a level's results of this step go. */
export function resultsOf(
  { md5 }: SeriesWork,
  { one, index }: { one: StrategyWork; index: number },
  output: SeriesOutput,
): CheckResults {
  const known = one.results[index];
  if (known !== undefined) return known;
  const { severity } = one.strategy.levels[index] as Level;
  const { name } = one.strategy;
  const results = output.resultsOf(md5, name, severity);
  one.results[index] = results;
  return results;
}

export function isSkipped(
  { md5 }: SeriesWork,
  of: { strategy: string; level: Level; time: number; skipUntil: GroupState["skipUntil"] },
): boolean {
  const name = levelName({ strategy: of.strategy, dimensionsMd5: md5, severity: of.level.severity });
  return of.time <= (of.skipUntil.get(name) ?? Number.NEGATIVE_INFINITY);
}

export function openLevel(
  work: SeriesWork,
  { one, level, state }: LevelAt,
  at: { time: number; value: number; output: SeriesOutput },
): void {
  const { strategy } = one;
  const { time, value, output } = at;
  // An alert that comes late is sent now.
  state.open = {
    startsAt: time,
    sentAt: Math.max(time, work.lastTime ?? time),
    labels: work.group.labelsOf(strategy, work, level),
  };
  state.normalCount = 0;
  state.quietCount = 0;
  const alert = firingAlert({ strategy, open: state.open, source: level, value });
  send(work, { name: strategy.name, severity: level.severity, reason: "triggered", time, alert }, output);
}

function recoverIfQuiet(
  work: SeriesWork,
  { at, isAnomalous }: { at: LevelAt; isAnomalous: boolean },
  output: SeriesOutput,
): void {
  const { level, state } = at;
  const { lastValue: value, before } = work;
  if (!countRecovery(level, { state, isAnomalous, value, before, hitCount: state.hits.length })) return;
  closeLevel(work, at, { reason: "recovered", time: work.lastTime as number, output });
}

type RecoveryPoint = {
  readonly state: { normalCount: number; quietCount: number };
  readonly isAnomalous: boolean;
  readonly value: number;
  readonly before: readonly EarlierPoint[];
  /** Anomalous points in the window that ends here. */
  readonly hitCount: number;
};

/** Counts a point of an open alert; true when it ends the alert. */
export function countRecovery({ trigger, recovery }: Level, at: RecoveryPoint): boolean {
  const { state, isAnomalous, value, before, hitCount } = at;
  if (recovery.when === undefined) {
    state.normalCount = isAnomalous ? 0 : state.normalCount + 1;
    state.quietCount = hitCount >= trigger.count ? 0 : state.quietCount + 1;
  } else state.normalCount = !isAnomalous && conditionHolds(recovery.when, value, before) ? state.normalCount + 1 : 0;
  return state.normalCount >= recovery.count || state.quietCount >= recovery.count;
}

/** Hits leave the window by number and by ticks, so a hole in the data does not join what lies on its two sides. */
function forgetOldHits(work: SeriesWork, { level, state }: LevelAt): void {
  const { window } = level.trigger;
  const { hits } = state;
  let oldCount = 0;
  for (const [number, tick] of hits) {
    if (number > work.pointCount - window && tick > work.tick - window) break;
    oldCount += 1;
  }
  if (oldCount > 0) hits.splice(0, oldCount);
}

/** No late point can come before the end of the latest episode any longer. */
function isSettled(work: SeriesWork, { level, state }: LevelAt): boolean {
  const windowSeconds = 2 * level.trigger.window * work.group.intervalSeconds;
  const span = Math.max(work.group.lateSecondsMax, windowSeconds);
  return (work.lastTime as number) - (state.closedAt as number) > span;
}

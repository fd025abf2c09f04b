/**
 * A point that comes after a later one of its series was detected is put in its place: it counts in the window that
 * ends at it and in those of the later points that are remembered. An episode that it completes is sent, with its end
 * if it is over already. What was sent before stays: no alert is taken back.
 */
import { type Condition, conditionHolds, type EarlierPoint } from "./condition.ts";
import type { GroupState } from "./group-state.ts";
import { newestPoints, type Point, pointsBefore, pointsOf, textOfPoints, ticksBetween } from "./point-list.ts";
import { countRecovery, isSkipped, openLevel, resultsOf } from "./series-levels.ts";
import {
  closeLevel,
  emptyLevel,
  type LevelAt,
  type LevelWork,
  type SeriesOutput,
  type SeriesWork,
  takeRecent,
} from "./series-work.ts";
import type { Level } from "./strategy.ts";

type Placing = { readonly step: { readonly skipUntil: GroupState["skipUntil"] }; readonly output: SeriesOutput };

/** False: the point is there already. */
export function placeLatePoint(work: SeriesWork, late: Point, { step, output }: Placing): boolean {
  const points = pointsOf(takeRecent(work));
  if (points.some(({ time }) => time === late.time)) return false;
  const found = points.findIndex(({ time }) => time > late.time);
  const place = found === -1 ? points.length : found;
  points.splice(place, 0, late);
  work.pointCount += 1;
  const count = work.group.recentCount;
  work.recent = textOfPoints(points);
  if (work.pointCount % count === 0) work.recent = newestPoints(work.recent, count);
  output.detectedCount += 1;
  for (const one of work.strategies) {
    let isHigherOpen = false;
    for (const [index, level] of one.strategy.levels.entries()) {
      const { name } = one.strategy;
      if (!isSkipped(work, { strategy: name, level, time: late.time, skipUntil: step.skipUntil })) {
        const state = one.levels[index] ?? emptyLevel();
        detectLate(work, { at: { one, level, state }, index, points, place, isHigherOpen }, output);
        const isEmpty = state.open === null && state.hits.length === 0 && state.closedAt === null;
        one.levels[index] = isEmpty ? null : state;
      }
      isHigherOpen = one.levels[index]?.open != null || isHigherOpen;
    }
  }
  return true;
}

type LateLevel = {
  readonly at: LevelAt;
  readonly index: number;
  readonly points: readonly Point[];
  /** Where the late point is among them. */
  readonly place: number;
  readonly isHigherOpen: boolean;
};

function detectLate(
  work: SeriesWork,
  { at, index, points, place, isHigherOpen }: LateLevel,
  output: SeriesOutput,
): void {
  const { one, level, state } = at;
  const { time, value } = points[place] as Point;
  const isAnomalous = holdsAt(work, level.when, { points, at: place });
  resultsOf(work, { one, index }, output).rows.push({ time, value, isAnomalous });
  const wasOpen = state.open !== null;
  const mayOpen = !wasOpen && !isHigherOpen && isAnomalous && (state.closedAt === null || time > state.closedAt);
  const opened = mayOpen ? openingOf(work, { level, state, points, place }) : null;
  if (opened !== null) {
    const { time: startsAt, value: startValue } = points[opened] as Point;
    openLevel(work, at, { time: startsAt, value: startValue, output });
    const end = endOf(work, { level, state, points, from: opened + 1 });
    if (end !== null) closeLevel(work, at, { reason: "recovered", time: (points[end] as Point).time, output });
    else supersedeLower(work, at, output);
  }
  state.hits = hitsAt(work, { level, state, points, end: points.length - 1 });
}

function holdsAt(
  work: SeriesWork,
  condition: Condition,
  { points, at }: { points: readonly Point[]; at: number },
): boolean {
  return conditionHolds(condition, (points[at] as Point).value, earlierPoints(work, points, at));
}

function earlierPoints({ group }: SeriesWork, points: readonly Point[], at: number): readonly EarlierPoint[] {
  const { changeCount: count, intervalSeconds } = group;
  return count === 0 ? NONE : pointsBefore(points, at, { count, intervalSeconds });
}

const NONE: readonly EarlierPoint[] = [];

type Windowed = { readonly level: Level; readonly state: LevelWork; readonly points: readonly Point[] };

/** The first point from the late one on at which the trigger is met; null: none. */
function openingOf(work: SeriesWork, { level, state, points, place }: Windowed & { place: number }): number | null {
  const end = Math.min(points.length, place + level.trigger.window);
  for (let at = place; at < end; at += 1) {
    if (!holdsAt(work, level.when, { points, at })) continue;
    if (hitsAt(work, { level, state, points, end: at }).length >= level.trigger.count) return at;
  }
  return null;
}

/** The remembered point that ended the episode; null: it is open still, with what counts towards its end. */
function endOf(work: SeriesWork, { level, state, points, from }: Windowed & { from: number }): number | null {
  for (let at = from; at < points.length; at += 1) {
    const { value } = points[at] as Point;
    const before = earlierPoints(work, points, at);
    const isAnomalous = conditionHolds(level.when, value, before);
    const hitCount = hitsAt(work, { level, state, points, end: at }).length;
    if (countRecovery(level, { state, isAnomalous, value, before, hitCount })) return at;
  }
  return null;
}

/** The anomalous points of the window that ends at `end`, after the latest episode, as a level remembers them. */
function hitsAt(work: SeriesWork, { level, state, points, end }: Windowed & { end: number }): [number, number][] {
  const { trigger, when } = level;
  const { intervalSeconds } = work.group;
  const hits: [number, number][] = [];
  const lastNumber = work.pointCount - (points.length - 1 - end);
  let ticks = 0;
  for (let at = end; at > end - trigger.window && at >= 0; at -= 1) {
    const { time } = points[at] as Point;
    if (at < end) ticks += ticksBetween(time, (points[at + 1] as Point).time, intervalSeconds);
    if (ticks >= trigger.window || (state.closedAt !== null && time <= state.closedAt)) break;
    // Ticks are counted from the series' latest point: only those of the last window are kept.
    if (holdsAt(work, when, { points, at })) hits.unshift([lastNumber - (end - at), work.tick - ticks]);
  }
  return hits;
}

/** R2, for a level that fired late and still fires. */
function supersedeLower(work: SeriesWork, { one, level }: LevelAt, output: SeriesOutput): void {
  const index = one.strategy.levels.indexOf(level);
  for (let lower = index + 1; lower < one.levels.length; lower += 1) {
    const state = one.levels[lower];
    const of = one.strategy.levels[lower] as Level;
    if (state?.open != null)
      closeLevel(work, { one, level: of, state }, { reason: "superseded", time: work.lastTime as number, output });
  }
}

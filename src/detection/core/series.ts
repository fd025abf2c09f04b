/**
 * One series of one strategy group: its points in time order become alerts.
 *
 * Owns the order of a series' points and what happens to it in time. Knows no other series but through the group's
 * clock, so that the result does not depend on how records were batched. The rules of levels are in series-levels.ts,
 * what is due without a point in series-ticks.ts, late points in series-late.ts.
 *
 * R1. Time is data time. A point is detected when no earlier one of its series can come within the lateness: by the
 *     series' own newest record, or when the group's clock shows that the series is silent.
 * R2. At most one level of a strategy is open: a higher one that fires resolves the lower one, and holds it back while
 *     it is open.
 * R3. An alert opens only on an anomalous point, at that point's time, so a later episode never has the start of an
 *     earlier one.
 * R4. Between two points of a series its own times decide what was due without a point, behind its newest one the
 *     group's clock does. So it does not matter whether a silence was known before the point that ended it came.
 */
import type { SeriesFacts } from "./detected-alert.ts";
import type { GroupState, SeriesState } from "./group-state.ts";
import type { Point } from "./point-list.ts";
import { heardAtAfter } from "./series-heard.ts";
import { placeLatePoint } from "./series-late.ts";
import { detectPoint } from "./series-levels.ts";
import { clockDueTime, runOwnTicks, runTick } from "./series-ticks.ts";
import { closeWork, isExpected, openWork, type SeriesOutput, type SeriesWork, strategyWork } from "./series-work.ts";
import type { StrategyGroup } from "./strategy-group.ts";

/** A point of the batch. `row` is the place of its event, `clockTime` the group's clock when it came. */
export type ArrivedPoint = Point & {
  readonly row: number;
  readonly clockTime: number;
};

/** How the group's ticks went on during the batch. */
export type TickCourse = {
  /** The tick up to which the group had come before the event of that place. */
  before(row: number): number;
  readonly atEnd: number;
  /** The event that brought the group to this tick. */
  rowOf(tick: number): number;
};

export type SeriesStep = {
  readonly md5: string;
  readonly before: SeriesState | null;
  /** In the order of their arrival. */
  readonly points: readonly ArrivedPoint[];
  /** What the series is; null only for one that has neither been there nor has points. */
  readonly facts: SeriesFacts | null;
  readonly ticks: TickCourse;
  readonly group: StrategyGroup;
  readonly skipUntil: GroupState["skipUntil"];
  /** At the end of an input: detect all that waits. */
  readonly flush: boolean;
};

/** The series after its points and ticks; null when it was retired. */
export function stepSeries(step: SeriesStep, output: SeriesOutput): SeriesState | null {
  output.row = 0;
  const waited = step.before === null || step.before.pending === "" ? 0 : countOf(step.before.pending);
  let work = step.before === null ? null : openWork({ ...step, before: step.before }, output);
  for (const point of step.points) {
    work = work === null ? null : runClock(work, { until: step.ticks.before(point.row), step }, output);
    output.row = point.row;
    work ??= newWork(step, point);
    takePoint(work, point, { step, output });
  }
  if (work !== null) work = runClock(work, { until: step.ticks.atEnd, step }, output);
  if (work !== null && step.flush) {
    output.row = Number.POSITIVE_INFINITY;
    release(work, Number.POSITIVE_INFINITY, { step, output });
  }
  output.pendingAdded += (work?.pending.length ?? 0) - waited;
  if (work?.lastTime != null && step.before?.lastTime !== work.lastTime) output.lastTimes.set(step.md5, work.lastTime);
  return work === null ? null : closeWork(work, clockDueTime(work));
}

function countOf(pending: string): number {
  let count = 1;
  for (let at = pending.indexOf(" "); at !== -1; at = pending.indexOf(" ", at + 1)) count += 1;
  return count / 2;
}

function newWork(step: SeriesStep, point: ArrivedPoint): SeriesWork {
  const { dimensions, dimensionFields } = step.facts as SeriesFacts;
  return {
    md5: step.md5,
    group: step.group,
    isExpected: isExpected(step.group, step.md5),
    // A copy: a field of a parsed line may keep the whole chunk of input alive that it was cut from.
    dimensions: JSON.parse(JSON.stringify(dimensions)),
    dimensionFields: JSON.parse(JSON.stringify(dimensionFields)),
    pointCount: 0,
    tick: 0,
    lastTime: null,
    lastValue: 0,
    newestTime: null,
    heardAt: point.time,
    missedSince: null,
    pending: [],
    recent: "",
    added: "",
    before: [],
    strategies: step.group.strategies.map((strategy) => strategyWork(strategy, undefined)),
  };
}

/** Points that wait in a series whose records come in order, at most. */
const SHORT_COUNT = 8;

type Taking = { readonly step: Pick<SeriesStep, "skipUntil">; readonly output: SeriesOutput };

/**
 * The next point that came, in its place: behind the others, among those that wait, or late among the detected ones.
 */
function takePoint(work: SeriesWork, point: ArrivedPoint, taking: Taking): void {
  const { time, value } = point;
  const { output } = taking;
  if (work.newestTime === null || time > work.newestTime) {
    work.newestTime = time;
    work.heardAt = heardAtAfter(work.heardAt, point, work.group);
  }
  if (work.lastTime !== null && time <= work.lastTime) {
    const isPlaced = time < work.lastTime && placeLatePoint(work, { time, value }, taking);
    (isPlaced ? output.late : output.duplicates).push(point.row);
    return;
  }
  if (!wait(work, point)) {
    output.duplicates.push(point.row);
    return;
  }
  release(work, work.newestTime - work.group.latenessSeconds, taking);
}

/** False: a point of that time waits already. */
function wait({ pending }: SeriesWork, point: Point): boolean {
  let at = pending.length;
  while (at > 0 && (pending[at - 1] as Point).time > point.time) at -= 1;
  if (pending[at - 1]?.time === point.time) return false;
  if (at === pending.length) pending.push(point);
  else pending.splice(at, 0, point);
  return true;
}

/** Detects the points that wait up to a time, and before each of them what was due without a point. */
function release(work: SeriesWork, untilTime: number, { step, output }: Taking): void {
  const { pending } = work;
  const { skipUntil } = step;
  let count = 0;
  for (; count < pending.length; count += 1) {
    const point = pending[count] as Point;
    if (point.time > untilTime) break;
    runOwnTicks(work, { until: point.time, nextTime: point.time }, output);
    detectPoint(work, point, { output, skipUntil });
  }
  // Normally one of two: taking off the first moves nothing far.
  if (count === 1 && pending.length <= SHORT_COUNT) pending.shift();
  else if (count > 0) pending.splice(0, count);
  // What waits shows that the series was silent up to here.
  if (pending.length > 0) runOwnTicks(work, { until: untilTime, nextTime: Number.POSITIVE_INFINITY }, output);
}

/** What the group's clock brings up to tick `until`; null when the series is retired by it. */
function runClock(
  work: SeriesWork,
  { until, step }: { until: number; step: SeriesStep },
  output: SeriesOutput,
): SeriesWork | null {
  for (let tick = clockDueTime(work); tick <= until; tick = clockDueTime(work)) {
    output.row = Math.max(output.row, step.ticks.rowOf(tick));
    // A silent series waits for nothing.
    if (work.pending.length > 0) release(work, Number.POSITIVE_INFINITY, { step, output });
    else if (runTick(work, { tick, stretch: { since: work.heardAt, nextTime: Number.POSITIVE_INFINITY } }, output))
      return null;
  }
  return work;
}

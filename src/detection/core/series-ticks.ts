/**
 * What happens to a series without a point: no data, re-sending, silence, retirement. It happens on ticks, the
 * multiples of the interval.
 *
 * Behind the newest point of a series the group's clock brings no data, silence and retirement; between two points their
 * own times do, in the same way. A level's alert is sent again only between points that it outlasts: of a silent series
 * nothing is known.
 */
import { firingAlert } from "./detected-alert.ts";
import { silenceSecondsOf } from "./detection-limits.ts";
import type { OpenAlert } from "./group-state.ts";
import { forgottenAt } from "./series-heard.ts";
import {
  closeLevel,
  resolve,
  type SeriesOutput,
  type SeriesWork,
  type StrategyWork,
  send,
  startAnew,
} from "./series-work.ts";
import type { Level, NoData } from "./strategy.ts";

/** A stretch of time without a point of the series. */
export type Stretch = {
  /** When the series was last heard of. */
  readonly since: number;
  /** The point that ends it; infinite: none is known. */
  readonly nextTime: number;
};

/** The group's time at which something is due: a waiting point, or the next tick with something to do. */
export function clockDueTime(work: SeriesWork): number {
  if (work.pending.length > 0) return work.heardAt;
  return dueTime(work, { since: work.heardAt, nextTime: Number.POSITIVE_INFINITY });
}

/** The next tick of a stretch with something to do. */
function dueTime(work: SeriesWork, stretch: Stretch): number {
  let due = retirementTime(work, stretch);
  const isForgotten = due < stretch.nextTime;
  for (const one of work.strategies) {
    const { noData } = one.strategy;
    if (one.noData !== null) due = Math.min(due, resendTime(work, one, one.noData));
    else if (noData !== null) due = Math.min(due, noDataTime(work, noData, stretch));
    for (let index = 0; index < one.levels.length; index += 1) {
      const open = one.levels[index]?.open;
      if (open == null) continue;
      const silentAt = silenceTime(work, one.strategy.levels[index] as Level, stretch);
      due = Math.min(due, isForgotten || silentAt < stretch.nextTime ? silentAt : resendTime(work, one, open));
    }
  }
  return due;
}

/** One tick of a stretch; true: it forgets the series. */
export function runTick(
  work: SeriesWork,
  { tick, stretch }: { tick: number; stretch: Stretch },
  output: SeriesOutput,
): boolean {
  const forgottenTime = retirementTime(work, stretch);
  if (tick >= forgottenTime) {
    retire(work, tick, output);
    return true;
  }
  const isForgotten = forgottenTime < stretch.nextTime;
  for (const one of work.strategies) {
    for (const [index, state] of one.levels.entries()) {
      if (state?.open == null) continue;
      const level = one.strategy.levels[index] as Level;
      const silentAt = silenceTime(work, level, stretch);
      if (silentAt <= tick) closeLevel(work, { one, level, state }, { reason: "series_silent", time: tick, output });
      else if (!isForgotten && silentAt >= stretch.nextTime && resendTime(work, one, state.open) <= tick)
        state.open = resend(work, { one, tick, open: state.open, source: level }, output);
    }
    tickNoData(work, { one, tick, stretch }, output);
  }
  return false;
}

/**
 * What was due before `until`, an own time of the series, since its latest point; `nextTime` is its next one. Of a
 * series that was forgotten meanwhile only what waits is left.
 */
export function runOwnTicks(
  work: SeriesWork,
  { until, nextTime }: { until: number; nextTime: number },
  output: SeriesOutput,
): void {
  const since = work.lastTime ?? work.missedSince;
  // Normally the point before is all that is known.
  if (since === null || until <= since) return;
  const stretch = { since, nextTime };
  for (let tick = dueTime(work, stretch); tick < until; tick = dueTime(work, stretch)) {
    if (!runTick(work, { tick, stretch }, output)) continue;
    startAnew(work);
    return;
  }
}

type NoDataTick = { readonly one: StrategyWork; readonly tick: number; readonly stretch: Stretch };

function tickNoData(work: SeriesWork, { one, tick, stretch }: NoDataTick, output: SeriesOutput): void {
  const { strategy } = one;
  const { noData } = strategy;
  if (noData === null) return;
  if (one.noData !== null) {
    if (resendTime(work, one, one.noData) <= tick)
      one.noData = resend(work, { one, tick, open: one.noData, source: noData }, output);
    return;
  }
  if (noDataTime(work, noData, stretch) > tick) return;
  one.noData = noDataAlert(work, { one, tick, noData });
  const alert = firingAlert({ strategy, open: one.noData, source: noData, value: knownValue(work) });
  send(work, { name: strategy.name, severity: noData.severity, reason: "no_data", time: tick, alert }, output);
}

function noDataAlert(work: SeriesWork, at: { one: StrategyWork; tick: number; noData: NoData }): OpenAlert {
  return { startsAt: at.tick, sentAt: at.tick, labels: work.group.labelsOf(at.one.strategy, work, at.noData) };
}

/** null: the series never had a point. */
function knownValue(work: SeriesWork): number | null {
  return work.lastTime === null ? null : work.lastValue;
}

type Resend = {
  readonly one: StrategyWork;
  readonly tick: number;
  readonly open: OpenAlert;
  readonly source: Level | NoData;
};

function resend(work: SeriesWork, { one, tick, open, source }: Resend, output: SeriesOutput): OpenAlert {
  const sent = { ...open, sentAt: tick };
  const alert = firingAlert({ strategy: one.strategy, open: sent, source, value: knownValue(work) });
  send(work, { name: one.strategy.name, severity: source.severity, reason: "resent", time: tick, alert }, output);
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
  const lastTime = work.lastTime ?? work.heardAt;
  output.retired.push({ row: output.row, dimensionsMd5: work.md5, time: tick, lastTime, openCount });
}

/** A series that is expected is never forgotten. */
function retirementTime(work: SeriesWork, { since, nextTime }: Stretch): number {
  // Normally the next point is near.
  if (work.isExpected || nextTime - since <= work.group.keepSeconds) return Number.MAX_SAFE_INTEGER;
  return forgottenAt(since, work.group);
}

function noDataTime(work: SeriesWork, noData: NoData, { since }: Stretch): number {
  return tickAtOrAfter(since + noData.intervals * work.group.intervalSeconds, work);
}

function silenceTime(work: SeriesWork, level: Level, { since }: Stretch): number {
  return tickAtOrAfter(since + silenceSecondsOf(level, work.group.intervalSeconds), work);
}

function resendTime(work: SeriesWork, one: StrategyWork, open: OpenAlert): number {
  return tickAtOrAfter(open.sentAt + one.strategy.resendSeconds, work);
}

function tickAtOrAfter(time: number, work: SeriesWork): number {
  return Math.ceil(time / work.group.intervalSeconds) * work.group.intervalSeconds;
}

/**
 * What happens to a series without a point: no data, re-sending, silence, retirement. It happens on ticks, the
 * multiples of the interval.
 *
 * The group's clock brings no data, silence and retirement. A level's alert is sent again along the series' own time
 * only: of a silent series nothing is known.
 */
import { firingAlert } from "./detected-alert.ts";
import { silenceSecondsOf } from "./detection-limits.ts";
import type { OpenAlert } from "./group-state.ts";
import { forgottenAt } from "./series-heard.ts";
import { closeLevel, resolve, type SeriesOutput, type SeriesWork, type StrategyWork, send } from "./series-work.ts";
import type { Level, NoData } from "./strategy.ts";

/** The group's time at which something is due: a waiting point, or the next tick with something to do. */
export function clockDueTime(work: SeriesWork): number {
  let dueTime = work.pending.length > 0 ? Math.min(work.heardAt, retirementTime(work)) : retirementTime(work);
  for (const one of work.strategies) {
    const { noData } = one.strategy;
    if (noData !== null) {
      const next = one.noData === null ? noDataTime(work, noData) : resendTime(work, one, one.noData);
      dueTime = Math.min(dueTime, next);
    }
    for (let index = 0; index < one.levels.length; index += 1)
      if (one.levels[index]?.open != null)
        dueTime = Math.min(dueTime, silenceTime(work, one.strategy.levels[index] as Level));
  }
  return dueTime;
}

/** One tick of the group's clock. */
export function runTick(work: SeriesWork, tick: number, output: SeriesOutput): void {
  for (const one of work.strategies) {
    for (const [index, state] of one.levels.entries()) {
      const level = one.strategy.levels[index] as Level;
      if (state?.open != null && silenceTime(work, level) <= tick)
        closeLevel(work, { one, level, state }, { reason: "series_silent", time: tick, output });
    }
    tickNoData(work, { one, tick, missingAt: (noData) => noDataTime(work, noData) }, output);
  }
}

/** The ticks of the series' own time before its next point at `time`, and at that of a level's alert. */
export function runTicksBefore(work: SeriesWork, time: number, output: SeriesOutput): void {
  if (work.lastTime === null) return;
  for (let tick = ownDueTime(work); tick < time; tick = ownDueTime(work)) {
    for (const one of work.strategies) {
      for (const [index, state] of one.levels.entries())
        if (state?.open != null && resendTime(work, one, state.open) <= tick)
          state.open = resend(
            work,
            { one, tick, open: state.open, source: one.strategy.levels[index] as Level },
            output,
          );
      tickNoData(work, { one, tick, missingAt: (noData) => ownNoDataTime(work, noData) }, output);
    }
  }
}

function ownDueTime(work: SeriesWork): number {
  let dueTime = Number.POSITIVE_INFINITY;
  for (const one of work.strategies) {
    const { noData } = one.strategy;
    if (one.noData !== null) dueTime = Math.min(dueTime, resendTime(work, one, one.noData));
    else if (noData !== null) dueTime = Math.min(dueTime, ownNoDataTime(work, noData));
    for (const level of one.levels)
      if (level?.open != null) dueTime = Math.min(dueTime, resendTime(work, one, level.open));
  }
  return dueTime;
}

type NoDataTick = {
  readonly one: StrategyWork;
  readonly tick: number;
  readonly missingAt: (noData: NoData) => number;
};

function tickNoData(work: SeriesWork, { one, tick, missingAt }: NoDataTick, output: SeriesOutput): void {
  const { strategy } = one;
  const { noData } = strategy;
  if (noData === null) return;
  if (one.noData !== null) {
    if (resendTime(work, one, one.noData) <= tick)
      one.noData = resend(work, { one, tick, open: one.noData, source: noData }, output);
    return;
  }
  if (missingAt(noData) > tick) return;
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

export function retire(work: SeriesWork, tick: number, output: SeriesOutput): void {
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
export function retirementTime(work: SeriesWork): number {
  return work.isExpected ? Number.MAX_SAFE_INTEGER : forgottenAt(work.heardAt, work.group);
}

function noDataTime(work: SeriesWork, noData: NoData): number {
  return tickAtOrAfter(work.heardAt + noData.intervals * work.group.intervalSeconds, work);
}

function ownNoDataTime(work: SeriesWork, noData: NoData): number {
  return tickAtOrAfter((work.lastTime as number) + noData.intervals * work.group.intervalSeconds, work);
}

function silenceTime(work: SeriesWork, level: Level): number {
  return tickAtOrAfter(work.heardAt + silenceSecondsOf(level, work.group.intervalSeconds), work);
}

function resendTime(work: SeriesWork, one: StrategyWork, open: OpenAlert): number {
  return tickAtOrAfter(open.sentAt + one.strategy.resendSeconds, work);
}

function tickAtOrAfter(time: number, work: SeriesWork): number {
  return Math.ceil(time / work.group.intervalSeconds) * work.group.intervalSeconds;
}

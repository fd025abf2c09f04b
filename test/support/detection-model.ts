import { conditionHolds } from "../../src/detection/core/condition.ts";
import type { Strategy, StrategyGroup } from "../../src/detection/core/strategy.ts";
import type { StateEvent } from "../../src/detection/records/record-types.ts";

/** One alert as the model tells it. */
export type ModelAlert = {
  time: number;
  phase: number;
  series: string;
  strategy: string;
  severity: string;
  reason: string;
  startsAt: number;
};

export type ModelResult = {
  alerts: ModelAlert[];
  duplicates: number;
  late: number;
  tooOld: number;
  withoutValue: number;
};

type Point = { time: number; value: number };
type Open = { startsAt: number; sentAt: number };

/** Detection as one would explain it: every record is kept for ever, every second is looked at, every window is counted anew. */
export function modelDetection(group: StrategyGroup, events: readonly StateEvent[], isFlushed: boolean): ModelResult {
  const interval = group.intervalSeconds;
  const result: ModelResult = { alerts: [], duplicates: 0, late: 0, tooOld: 0, withoutValue: 0 };
  const seen = new Set<string>();
  const points = new Map<string, Point[]>();
  let newest = Number.NEGATIVE_INFINITY;
  for (const event of events) {
    const age = newest - event.time;
    if (age > Math.max(10 * interval, 1_800)) result.tooOld += 1;
    else if (age <= 10 * interval && seen.has(event.recordId)) result.duplicates += 1;
    else {
      seen.add(event.recordId);
      if (age > interval) result.late += 1;
      else if (event.value === null) result.withoutValue += 1;
      else {
        const series = event.recordId.slice(0, 32);
        points.set(series, [...(points.get(series) ?? []), { time: event.time, value: event.value }]);
      }
      newest = Math.max(newest, event.time);
    }
  }
  const end = isFlushed ? newest + 1 : newest - interval;
  for (const [series, all] of points) {
    const due = all.filter(({ time }) => time < end).sort((a, b) => a.time - b.time);
    if (due.length > 0) result.alerts.push(...modelSeries(group, { series, points: due, end }));
  }
  const place = ({ strategy }: ModelAlert) => group.strategies.findIndex(({ name }) => name === strategy);
  result.alerts.sort(
    (a, b) =>
      a.time - b.time ||
      a.phase - b.phase ||
      (a.series < b.series ? -1 : a.series > b.series ? 1 : 0) ||
      place(a) - place(b),
  );
  return result;
}

function modelSeries(group: StrategyGroup, of: { series: string; points: Point[]; end: number }): ModelAlert[] {
  const alerts: ModelAlert[] = [];
  /** Points since the series began, or began again after it was forgotten. */
  let history: Point[] = [];
  let models = group.strategies.map((strategy) => new StrategyModel(strategy, group.intervalSeconds));
  const first = (of.points[0] as Point).time;
  for (let time = first; time < of.end; time += 1) {
    const send =
      (phase: number) =>
      ({ strategy, severity, reason, open }: Sending) =>
        alerts.push({
          time,
          phase,
          series: of.series,
          strategy: strategy.name,
          severity,
          reason,
          startsAt: open.startsAt,
        });
    const point = of.points.find((one) => one.time === time);
    if (point !== undefined) {
      history = [...history, point];
      for (const model of models) model.point(history, send(0));
    }
    const last = history.at(-1);
    if (time % group.intervalSeconds !== 0 || last === undefined) continue;
    if (time >= last.time + group.keepSeconds) {
      for (const model of models) model.retire(send(1));
      models = group.strategies.map((strategy) => new StrategyModel(strategy, group.intervalSeconds));
      history = [];
    } else for (const model of models) model.tick(time, last, send(1));
  }
  return alerts;
}

type Sending = { strategy: Strategy; severity: string; reason: string; open: Open };
type Send = (sending: Sending) => void;

class StrategyModel {
  readonly strategy: Strategy;
  readonly interval: number;
  /** Per level: the open alert, and how many points of the history its last recovery used up. */
  readonly open: (Open | null)[];
  readonly used: number[];
  noData: Open | null = null;

  constructor(strategy: Strategy, interval: number) {
    this.strategy = strategy;
    this.interval = interval;
    this.open = strategy.levels.map(() => null);
    this.used = strategy.levels.map(() => 0);
  }

  point(history: readonly Point[], send: Send): void {
    const { time } = history.at(-1) as Point;
    if (this.noData !== null)
      send({
        strategy: this.strategy,
        severity: this.strategy.noData?.severity ?? "",
        reason: "data_returned",
        open: this.noData,
      });
    this.noData = null;
    for (const [i, level] of this.strategy.levels.entries()) {
      const isAnomalous = ({ value }: Point) => conditionHolds(level.when, value);
      const isHigherOpen = this.open.slice(0, i).some((open) => open !== null);
      const hits = history
        .slice(this.used[i])
        .slice(-level.trigger.window)
        .filter((one) => one.time > time - level.trigger.window * this.interval)
        .filter(isAnomalous);
      if (isAnomalous(history.at(-1) as Point)) {
        if (this.open[i] === null && !isHigherOpen && hits.length >= level.trigger.count) {
          this.open[i] = { startsAt: time, sentAt: time };
          send({ strategy: this.strategy, severity: level.severity, reason: "triggered", open: this.open[i] });
        }
      } else {
        const open = this.open[i] ?? null;
        const latest = history.slice(-level.recovery.count);
        const isRecovered = latest.length === level.recovery.count && !latest.some(isAnomalous);
        if (open !== null && isRecovered) {
          send({ strategy: this.strategy, severity: level.severity, reason: "recovered", open: open });
          this.open[i] = null;
          this.used[i] = history.length;
        }
      }
      const open = this.open[i] ?? null;
      if (isHigherOpen && open !== null) {
        send({ strategy: this.strategy, severity: level.severity, reason: "superseded", open: open });
        this.open[i] = null;
      }
    }
  }

  tick(time: number, last: Point, send: Send): void {
    const resendIfDue = (open: Open | null, severity: string) => {
      if (open === null || time < open.sentAt + this.strategy.resendSeconds) return;
      open.sentAt = time;
      send({ strategy: this.strategy, severity: severity, reason: "resent", open: open });
    };
    for (const [i, level] of this.strategy.levels.entries()) resendIfDue(this.open[i] ?? null, level.severity);
    const { noData } = this.strategy;
    if (noData === null) return;
    if (this.noData !== null) resendIfDue(this.noData, noData.severity);
    else if (time >= last.time + noData.intervals * this.interval) {
      this.noData = { startsAt: time, sentAt: time };
      send({ strategy: this.strategy, severity: noData.severity, reason: "no_data", open: this.noData });
    }
  }

  retire(send: Send): void {
    for (const [i, level] of this.strategy.levels.entries()) {
      const open = this.open[i] ?? null;
      if (open !== null)
        send({ strategy: this.strategy, severity: level.severity, reason: "series_retired", open: open });
    }
    if (this.noData !== null)
      send({
        strategy: this.strategy,
        severity: this.strategy.noData?.severity ?? "",
        reason: "series_retired",
        open: this.noData,
      });
  }
}

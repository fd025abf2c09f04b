import { conditionHolds } from "../../src/detection/core/condition.ts";
import type { Level, Strategy } from "../../src/detection/core/strategy.ts";
import type { StrategyGroup } from "../../src/detection/core/strategy-group.ts";
import type { StateEvent } from "../../src/detection/records/record-types.ts";

/** One alert as the model reports it. */
export type ModelAlert = {
  row: number;
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
/** Since when there was no point, and when the next one is. */
type Stretch = { since: number; next: number };
type Open = { startsAt: number; sentAt: number };

const END = Number.POSITIVE_INFINITY;

/** Detection as one would explain it: one record at a time, every tick looked at, every window counted anew from all points. */
export function modelDetection(group: StrategyGroup, events: readonly StateEvent[], isFlushed: boolean): ModelResult {
  const model = new GroupModel(group);
  for (const [row, event] of events.entries()) model.take(event, row);
  if (isFlushed) model.flush();
  const { result } = model;
  const place = ({ strategy }: ModelAlert) => group.strategies.findIndex(({ name }) => name === strategy);
  const byRow = (a: ModelAlert, b: ModelAlert) => (a.row === b.row ? 0 : a.row - b.row);
  result.alerts.sort(
    (a, b) =>
      byRow(a, b) ||
      a.time - b.time ||
      a.phase - b.phase ||
      (a.series < b.series ? -1 : a.series > b.series ? 1 : 0) ||
      place(a) - place(b),
  );
  return result;
}

class GroupModel {
  readonly group: StrategyGroup;
  readonly result: ModelResult = { alerts: [], duplicates: 0, late: 0, tooOld: 0, withoutValue: 0 };
  readonly seen = new Map<string, number>();
  readonly series = new Map<string, SeriesModel>();
  clock: number | null = null;
  tick = Number.NEGATIVE_INFINITY;
  jump: { series: string; from: number; to: number; count: number } | null = null;
  /** The furthest record without a value that is ahead of the clock as a jump is. */
  ahead: number | null = null;

  constructor(group: StrategyGroup) {
    this.group = group;
  }

  take({ recordId, dimensionsMd5: md5, time, value }: StateEvent, row: number): void {
    const { group, result } = this;
    const lateMax = Math.max(10 * group.intervalSeconds, 1_800);
    if (value === null) {
      result.withoutValue += 1;
      this.hear(time, md5, null);
      this.runTicks(row);
      return;
    }
    const known = this.series.get(md5);
    const isNewest = known === undefined || time > known.newest;
    if (!isNewest && known.newest - time > lateMax) {
      result.tooOld += 1;
      return;
    }
    const isRemembered = (this.clock ?? time) - time <= 10 * group.intervalSeconds;
    if (!isNewest && isRemembered && this.seen.has(recordId)) {
      result.duplicates += 1;
      return;
    }
    this.hear(time, md5, isNewest);
    if ((this.clock ?? time) - time <= 10 * group.intervalSeconds) this.seen.set(recordId, time);
    const series = this.series.get(md5) ?? new SeriesModel(group, md5, { heardAt: time, isMissed: false });
    this.series.set(md5, series);
    const outcome = series.take({ time, value }, { clock: this.clock as number, send: this.sender(row) });
    if (outcome !== "taken") result[outcome] += 1;
    this.runTicks(row);
  }

  sender(row: number): Send {
    return (alert) => this.result.alerts.push({ ...alert, row });
  }

  /** Series that must be there are missed since the group's first record, whichever of the first ones comes first. */
  expect(time: number): void {
    const { clock, group } = this;
    if (clock === null) return;
    const reached = Math.max(clock, ...[...this.series.values()].map(({ newest }) => newest));
    for (const md5 of group.expected.keys()) {
      const known = this.series.get(md5);
      if (known === undefined) this.series.set(md5, new SeriesModel(group, md5, { heardAt: clock, isMissed: true }));
      else if (reached - time <= group.latenessSeconds) known.missSince(time);
    }
  }

  /** Held: a record far ahead of all others, until somebody confirms it. */
  hear(time: number, series: string, isNewest: boolean | null): void {
    this.hearOne(time, series, isNewest);
    this.expect(time);
    const limit = Math.max(10 * this.group.intervalSeconds, 1_800);
    const { ahead } = this;
    if (ahead === null || ahead > (this.clock as number) + limit) return;
    this.ahead = null;
    this.hearOne(ahead, series, null);
  }

  hearOne(time: number, series: string, isNewest: boolean | null): void {
    const limit = Math.max(10 * this.group.intervalSeconds, 1_800);
    if (this.clock === null) this.clock = time;
    else if (time <= this.clock + limit) {
      if (this.jump !== null && this.jump.series !== series && isNewest === true) this.jump.count = 0;
      this.clock = Math.max(this.clock, time);
      if (this.jump !== null && this.jump.to <= this.clock + limit) {
        this.clock = Math.max(this.clock, this.jump.to);
        this.jump = null;
      }
    } else if (isNewest !== null) this.hearAhead(time, series, limit);
    else if (this.ahead === null || Math.abs(time - this.ahead) > limit) this.ahead = time;
    else this.ahead = Math.max(this.ahead, time);
  }

  hearAhead(time: number, series: string, limit: number): void {
    const before = this.jump;
    const own =
      before?.series === series
        ? { ...before, to: Math.max(before.to, time), count: before.count + 1 }
        : { series, from: time, to: time, count: 1 };
    const isAlone = [...this.series].every(([key, { newest }]) => key === series || newest === -END);
    const isNear = before !== null && before.series !== series && Math.abs(time - before.to) <= limit;
    this.jump = isAlone || own.count >= 3 || isNear ? null : own;
    if (this.jump === null) this.clock = Math.max(own.to, before?.to ?? own.to);
  }

  runTicks(row: number): void {
    if (this.clock === null) return;
    const { intervalSeconds: interval, latenessSeconds } = this.group;
    this.runTicksTo(Math.floor((this.clock - latenessSeconds) / interval) * interval, row);
  }

  runTicksTo(until: number, row: number): void {
    const { intervalSeconds: interval } = this.group;
    const oldest = Math.min(...[...this.series.values()].map(({ heardAt }) => heardAt));
    // Looking at a tick again changes nothing, and a series may have come behind the group's time.
    const end = Math.max(this.tick, until);
    const from = Math.min(Math.floor(oldest / interval) * interval, Math.max(this.tick, 0));
    for (let tick = from; tick <= end; tick += interval) {
      for (const [md5, series] of this.series) if (series.tick(tick, this.sender(row))) this.series.delete(md5);
    }
    this.tick = end;
  }

  flush(): void {
    if (this.clock === null) return;
    const interval = this.group.intervalSeconds;
    this.runTicksTo(Math.floor(this.clock / interval) * interval, END);
    for (const series of this.series.values()) series.release(END, this.sender(END));
  }
}

type Sending = Omit<ModelAlert, "row">;
type Send = (alert: Sending) => void;

class SeriesModel {
  readonly group: StrategyGroup;
  readonly md5: string;
  history: Point[] = [];
  waiting: Point[] = [];
  newest = Number.NEGATIVE_INFINITY;
  heardAt: number;
  /** An expected one that had no point yet. */
  missedSince: number | null;
  models: StrategyModel[];

  constructor(group: StrategyGroup, md5: string, since: { heardAt: number; isMissed: boolean }) {
    this.group = group;
    this.md5 = md5;
    this.heardAt = since.heardAt;
    this.missedSince = since.isMissed ? since.heardAt : null;
    this.models = this.freshModels();
  }

  freshModels(): StrategyModel[] {
    return this.group.strategies.map((strategy) => new StrategyModel(strategy, this.group, this.md5));
  }

  missSince(time: number): void {
    if (this.missedSince === null || time > this.missedSince) return;
    this.missedSince = time;
    if (this.newest === -END) this.heardAt = time;
  }

  take(point: Point, { clock, send }: { clock: number; send: Send }): "taken" | "duplicates" | "late" {
    const { latenessSeconds } = this.group;
    if (point.time > this.newest) {
      const isFirst = this.newest === -END;
      this.newest = point.time;
      const heardAt = clock - point.time > latenessSeconds ? clock : point.time;
      this.heardAt = isFirst && this.missedSince === null ? heardAt : Math.max(this.heardAt, heardAt);
    }
    if ([...this.history, ...this.waiting].some(({ time }) => time === point.time)) return "duplicates";
    if (point.time < (this.history.at(-1)?.time ?? Number.NEGATIVE_INFINITY)) {
      this.history.push(point);
      this.history.sort((a, b) => a.time - b.time);
      const place = this.history.indexOf(point);
      for (const model of this.models) model.late(this.history, place, send);
      return "late";
    }
    this.waiting.push(point);
    this.waiting.sort((a, b) => a.time - b.time);
    this.release(this.newest - latenessSeconds, send);
    // No earlier point than those that wait can come: it was silent until here.
    if (this.waiting.length > 0) this.passTo(this.newest - latenessSeconds, END, send);
    return "taken";
  }

  release(until: number, send: Send): void {
    for (const point of this.waiting.filter(({ time }) => time <= until)) {
      this.passTo(point.time, point.time, send);
      this.history.push(point);
      for (const model of this.models) model.point(this.history, send);
    }
    this.waiting = this.waiting.filter(({ time }) => time > until);
  }

  /** The ticks since its latest point and before `until`; at `next` is its next point, END: nobody knows. */
  passTo(until: number, next: number, send: Send): void {
    const { intervalSeconds: interval } = this.group;
    const since = this.history.at(-1)?.time ?? this.missedSince;
    if (since === null) return;
    for (let tick = Math.ceil(since / interval) * interval; tick < until; tick += interval) {
      const isForgotten = this.pass(tick, { since, next }, send);
      if (!isForgotten) continue;
      // What waits are the first points of a new one.
      this.history = [];
      this.models = this.freshModels();
      return;
    }
  }

  /** True: it is forgotten. */
  pass(tick: number, stretch: Stretch, send: Send): boolean {
    const { keepSeconds, expected, intervalSeconds: interval } = this.group;
    const isKept = expected.has(this.md5);
    const isOver = !isKept && tick >= stretch.since + keepSeconds;
    // The tick that forgets it, if its next point is not there before.
    const forgottenAt = Math.ceil((stretch.since + keepSeconds) / interval) * interval;
    const isGoingOn = stretch.next < END && (isKept || forgottenAt >= stretch.next);
    for (const model of this.models) {
      if (isOver) model.retire(tick, send);
      else model.tick(tick, { ...stretch, isGoingOn }, send);
    }
    return isOver;
  }

  /** A tick of the group's time. True: it is forgotten. */
  tick(tick: number, send: Send): boolean {
    if (this.waiting.length > 0 && this.heardAt <= tick) this.release(END, send);
    if (this.waiting.length > 0) return false;
    return this.pass(tick, { since: this.heardAt, next: END }, send);
  }
}

class LevelModel {
  readonly level: Level;
  open: Open | null = null;
  normal = 0;
  quiet = 0;
  closedAt = Number.NEGATIVE_INFINITY;

  constructor(level: Level) {
    this.level = level;
  }

  /** Changes are computed anew from the whole history. */
  isAnomalous(history: readonly Point[], at: number, interval: number): boolean {
    const { time, value } = history[at] as Point;
    const before = history
      .slice(0, at)
      .toReversed()
      .map((one) => ({ value: one.value, ticks: ticks(time - one.time, interval) }));
    return conditionHolds(this.level.when, value, before);
  }

  /** Anomalous points of the window that ends at `end`, by number and by intervals, after the latest episode. */
  hits(history: readonly Point[], end: number, interval: number): number {
    const { window } = this.level.trigger;
    const inWindow = history.slice(0, end + 1).slice(-window);
    const ticksTo = (from: number) =>
      inWindow
        .slice(from + 1)
        .reduce((sum, { time }, i) => sum + ticks(time - (inWindow[from + i] as Point).time, interval), 0);
    const first = end + 1 - inWindow.length;
    const isHit = (i: number) => this.isAnomalous(history, first + i, interval);
    return inWindow.filter((one, i) => isHit(i) && ticksTo(i) < window && one.time > this.closedAt).length;
  }

  /** True: the alert is over. */
  count(isAnomalous: boolean, hits: number): boolean {
    this.normal = isAnomalous ? 0 : this.normal + 1;
    this.quiet = hits >= this.level.trigger.count ? 0 : this.quiet + 1;
    return Math.max(this.normal, this.quiet) >= this.level.recovery.count;
  }

  start(time: number): Open {
    this.open = { startsAt: time, sentAt: time };
    this.normal = 0;
    this.quiet = 0;
    return this.open;
  }
}

function ticks(seconds: number, interval: number): number {
  return Math.round(seconds / interval);
}

class StrategyModel {
  readonly strategy: Strategy;
  readonly interval: number;
  readonly series: string;
  readonly levels: LevelModel[];
  noData: Open | null = null;
  lastTime = Number.NEGATIVE_INFINITY;

  constructor(strategy: Strategy, { intervalSeconds }: StrategyGroup, series: string) {
    this.strategy = strategy;
    this.interval = intervalSeconds;
    this.series = series;
    this.levels = strategy.levels.map((level) => new LevelModel(level));
  }

  say(send: Send, of: { severity: string; reason: string; time: number; open: Open; phase?: number }): void {
    const { severity, reason, time, open, phase = 0 } = of;
    const { startsAt } = open;
    send({ time, phase, series: this.series, strategy: this.strategy.name, severity, reason, startsAt });
  }

  close(level: LevelModel, how: { reason: string; time: number; phase?: number }, send: Send): void {
    const open = level.open as Open;
    const time = Math.max(how.time, open.startsAt);
    this.say(send, { ...how, severity: level.level.severity, time, open });
    level.open = null;
    // Points that come after a silence are of the next episode, wherever they lie in it.
    if (how.reason !== "superseded") level.closedAt = how.reason === "series_silent" ? this.lastTime : time;
  }

  point(history: readonly Point[], send: Send): void {
    const last = history.at(-1) as Point;
    const { time } = last;
    this.lastTime = time;
    if (this.noData !== null) {
      const severity = this.strategy.noData?.severity ?? "";
      this.say(send, {
        severity,
        reason: "data_returned",
        time: Math.max(time, this.noData.startsAt),
        open: this.noData,
      });
    }
    this.noData = null;
    for (const [i, level] of this.levels.entries()) {
      const isHigherOpen = this.levels.slice(0, i).some(({ open }) => open !== null);
      const hits = level.hits(history, history.length - 1, this.interval);
      const isAnomalous = level.isAnomalous(history, history.length - 1, this.interval);
      if (level.open !== null) {
        if (level.count(isAnomalous, hits)) this.close(level, { reason: "recovered", time }, send);
      } else if (isAnomalous && !isHigherOpen && hits >= level.level.trigger.count) {
        this.say(send, { severity: level.level.severity, reason: "triggered", time, open: level.start(time) });
      }
      if (isHigherOpen && level.open !== null) this.close(level, { reason: "superseded", time }, send);
    }
  }

  late(history: readonly Point[], place: number, send: Send): void {
    const late = history[place] as Point;
    const { interval } = this;
    for (const [i, level] of this.levels.entries()) {
      const isHigherOpen = this.levels.slice(0, i).some(({ open }) => open !== null);
      if (level.open !== null || isHigherOpen || late.time <= level.closedAt) continue;
      if (!level.isAnomalous(history, place, interval)) continue;
      const { count, window } = level.level.trigger;
      const start = history.findIndex(
        (_one, at) =>
          at >= place &&
          at < place + window &&
          level.isAnomalous(history, at, interval) &&
          level.hits(history, at, interval) >= count,
      );
      if (start === -1) continue;
      const { time } = history[start] as Point;
      const open = level.start(time);
      open.sentAt = (history.at(-1) as Point).time;
      this.say(send, { severity: level.level.severity, reason: "triggered", time, open });
      const end = history.findIndex(
        (_one, at) =>
          at > start && level.count(level.isAnomalous(history, at, interval), level.hits(history, at, interval)),
      );
      const at = (history[end] ?? history.at(-1)) as Point;
      if (end !== -1) this.close(level, { reason: "recovered", time: at.time }, send);
      else {
        for (const lower of this.levels.slice(i + 1))
          if (lower.open !== null) this.close(lower, { reason: "superseded", time: at.time }, send);
      }
    }
  }

  resendIfDue(open: Open | null, severity: string, { tick, send }: { tick: number; send: Send }): void {
    if (open === null || tick < open.sentAt + this.strategy.resendSeconds) return;
    open.sentAt = tick;
    this.say(send, { severity, reason: "resent", time: tick, open, phase: 1 });
  }

  /** A tick of a time without points. What goes on afterwards is sent again; of what is silent nothing is known. */
  tick(tick: number, { since, next, isGoingOn }: Stretch & { isGoingOn: boolean }, send: Send): void {
    for (const level of this.levels) {
      if (level.open === null) continue;
      const silence = level.level.recovery.silenceSeconds ?? Math.max(10 * this.interval, 1_800);
      const silentAt = Math.ceil((since + silence) / this.interval) * this.interval;
      if (tick >= silentAt) this.close(level, { reason: "series_silent", time: tick, phase: 1 }, send);
      else if (isGoingOn && silentAt >= next) this.resendIfDue(level.open, level.level.severity, { tick, send });
    }
    this.tickNoData(tick, since, send);
  }

  tickNoData(tick: number, from: number, send: Send): void {
    const { noData } = this.strategy;
    if (noData === null) return;
    if (this.noData !== null) this.resendIfDue(this.noData, noData.severity, { tick, send });
    else if (tick >= from + noData.intervals * this.interval) {
      this.noData = { startsAt: tick, sentAt: tick };
      this.say(send, { severity: noData.severity, reason: "no_data", time: tick, open: this.noData, phase: 1 });
    }
  }

  retire(tick: number, send: Send): void {
    for (const { open, level } of this.levels) {
      if (open !== null)
        this.say(send, { ...level, reason: "series_retired", time: Math.max(tick, open.startsAt), open, phase: 1 });
    }
    if (this.noData === null) return;
    const severity = this.strategy.noData?.severity ?? "";
    this.say(send, {
      severity,
      reason: "series_retired",
      time: Math.max(tick, this.noData.startsAt),
      open: this.noData,
      phase: 1,
    });
  }
}

/**
 * The events of a batch, sorted into points of their series, duplicates and refused ones, each by what was known when
 * it came.
 */
import type { Rejection, StateEvent } from "../records/record-types.ts";
import { reject } from "../records/record-value.ts";
import type { SeriesFacts } from "./detected-alert.ts";
import { DUPLICATE_INTERVAL_COUNT, PENDING_COUNT_MAX, SEEN_COUNT_MAX, SERIES_COUNT_MAX } from "./detection-limits.ts";
import type { GroupClock, HeardRecord, OtherSeries } from "./group-clock.ts";
import type { GroupState, SeriesState } from "./group-state.ts";
import type { ArrivedPoint } from "./series.ts";
import { forgottenAt, heardAtAfter } from "./series-heard.ts";
import type { StrategyGroup } from "./strategy-group.ts";

/** What the batch brings of one series. */
export type Arrivals = {
  readonly before: SeriesState | null;
  /** What the series is. */
  readonly facts: SeriesFacts;
  newestTime: number | null;
  /** As `SeriesState.heardAt`. */
  heardAt: number;
  readonly points: ArrivedPoint[];
};

/** `series`: of a point that came too late. */
export type RefusedEvent = {
  readonly index: number;
  readonly rejection: Rejection;
  readonly series?: SeriesFacts;
};

/** Sorts events into points, duplicates and refused ones, each by what was known when it came. */
export class Intake implements OtherSeries {
  readonly #state: GroupState;
  readonly #group: StrategyGroup;
  readonly #clock: GroupClock;
  readonly series = new Map<string, Arrivals>();
  readonly seenAdded: (readonly [number, string])[] = [];
  readonly duplicates: number[] = [];
  readonly rejections: RefusedEvent[] = [];
  /** Time -> md5s, as in the state. */
  readonly #seenHere = new Map<number, Set<string>>();
  #newSeriesCount = 0;
  newestTime: number | null;
  /** Of the records that are in the order that the lateness allows: what may be the group's first. */
  earliestTime = Number.POSITIVE_INFINITY;
  withoutValueCount = 0;
  pointCount = 0;
  eventCount = 0;

  constructor(state: GroupState, group: StrategyGroup, clock: GroupClock) {
    this.#state = state;
    this.#group = group;
    this.#clock = clock;
    this.newestTime = state.head.newestTime;
  }

  take(event: StateEvent, row: number): void {
    this.eventCount += 1;
    const { time, value, dimensionsMd5: md5 } = event;
    // A record without a value is not a record: only the time goes on.
    if (value === null) {
      this.withoutValueCount += 1;
      this.#hear(time, { md5, row, isPoint: false, isNewest: false });
      return;
    }
    this.#takePoint(event, value, row);
  }

  #takePoint(event: StateEvent, value: number, row: number): void {
    const { time, dimensionsMd5: md5 } = event;
    const known = this.series.get(md5);
    const before = known?.before ?? this.#state.series.get(md5) ?? null;
    const newestTime = this.#newestTimeOf(known ?? before, md5);
    const isNewest = newestTime === null || time > newestTime;
    if (!isNewest && this.#isOfThePast(event, { row, newestTime })) return;
    const isNew = before === null && known === undefined;
    if (this.#isRefused(isNew, row)) return;
    if (isNew) this.#newSeriesCount += 1;
    this.#hear(time, { md5, row, isPoint: true, isNewest });
    if (this.newestTime === null || time > this.newestTime) this.newestTime = time;
    this.#remember(event);
    this.pointCount += 1;
    const arrivals = known ?? {
      before,
      facts: factsOf(event),
      newestTime,
      heardAt: before?.heardAt ?? time,
      points: [],
    };
    const point: ArrivedPoint = { time, value, row, clockTime: this.#clock.time as number };
    arrivals.points.push(point);
    if (isNewest) {
      arrivals.newestTime = time;
      arrivals.heardAt = heardAtAfter(newestTime === null ? time : arrivals.heardAt, point, this.#group);
    }
    if (known === undefined) this.series.set(md5, arrivals);
  }

  /** null: of a series that is new, or forgotten by the time of the group. */
  #newestTimeOf(series: Arrivals | SeriesState | null, md5: string): number | null {
    if (series === null || series.newestTime === null) return null;
    const tick = this.#clock.tickTime ?? Number.NEGATIVE_INFINITY;
    return this.#isForgotten(series, md5, tick) ? null : series.newestTime;
  }

  /** The series is stepped, and forgotten, only behind the batch. */
  #isForgotten({ heardAt }: { heardAt: number }, md5: string, tick: number): boolean {
    // Normally it was heard of a moment ago.
    if (tick < heardAt + this.#group.keepSeconds) return false;
    return tick >= forgottenAt(heardAt, this.#group) && !this.#group.expected.has(md5);
  }

  /** Whether the group remembers a series other than this one that it has heard of. */
  hasOther(md5: string): boolean {
    const tick = this.#clock.tickTime ?? Number.NEGATIVE_INFINITY;
    const isHeard = (other: string, series: { newestTime: number | null; heardAt: number }): boolean =>
      other !== md5 && series.newestTime !== null && !this.#isForgotten(series, other, tick);
    for (const [other, series] of this.series) if (isHeard(other, series)) return true;
    for (const [other, series] of this.#state.series)
      if (!this.series.has(other) && isHeard(other, series)) return true;
    return false;
  }

  /** Not newer than its series: too late to be put in its place, or here already. */
  #isOfThePast(event: StateEvent, { row, newestTime }: { row: number; newestTime: number }): boolean {
    const { time } = event;
    if (newestTime - time > this.#group.lateSecondsMax) {
      const rejection = reject("too_old", this.#group.query.time, time);
      this.rejections.push({ index: row, rejection, series: factsOf(event) });
      return true;
    }
    if (!this.#isSeen(event)) return false;
    this.duplicates.push(row);
    return true;
  }

  #hear(time: number, record: HeardRecord): void {
    // Normally the clock stands where it stood: nothing is to be weighed.
    if (this.#clock.isAt(time)) return;
    this.#clock.hear(time, record, this);
    const reached = Math.max(this.#clock.time as number, this.newestTime ?? time);
    const isInOrder = time >= reached - this.#group.latenessSeconds;
    if (isInOrder && time < this.earliestTime) this.earliestTime = time;
  }

  #isSeen({ time, dimensionsMd5 }: StateEvent): boolean {
    if (!this.#isRemembered(time)) return false;
    return (
      this.#seenHere.get(time)?.has(dimensionsMd5) === true || this.#state.seen.get(time)?.has(dimensionsMd5) === true
    );
  }

  #remember({ time, dimensionsMd5 }: StateEvent): void {
    if (!this.#isRemembered(time) || this.#state.seen.get(time)?.has(dimensionsMd5)) return;
    let here = this.#seenHere.get(time);
    if (here === undefined) {
      here = new Set();
      this.#seenHere.set(time, here);
    } else if (here.has(dimensionsMd5)) return;
    here.add(dimensionsMd5);
    this.seenAdded.push([time, dimensionsMd5]);
  }

  /** Beyond this age nothing is remembered, in this batch as in earlier ones: how batches are cut must not matter. */
  #isRemembered(time: number): boolean {
    const clockTime = this.#clock.time ?? time;
    return clockTime - time <= DUPLICATE_INTERVAL_COUNT * this.#group.intervalSeconds;
  }

  #isRefused(isNew: boolean, row: number): boolean {
    const rejection = this.#refusal(isNew);
    if (rejection !== null) this.rejections.push({ index: row, rejection });
    return rejection !== null;
  }

  #refusal(isNew: boolean): Rejection | null {
    const isFull =
      this.#state.pendingCount + this.pointCount >= PENDING_COUNT_MAX ||
      this.#state.seenCount + this.seenAdded.length >= SEEN_COUNT_MAX;
    if (isFull) return reject("buffer_full", null);
    return isNew && this.#state.series.size + this.#newSeriesCount >= SERIES_COUNT_MAX
      ? reject("series_limit", null)
      : null;
  }
}

function factsOf({ dimensions, dimensionFields }: StateEvent): SeriesFacts {
  return { dimensions, dimensionFields };
}

/**
 * The time of a strategy group: what tells that a series is silent.
 *
 * Normally it is the newest time of all series. A record that is further ahead than a back-fill may be late is held
 * until another series comes near it, or its own series goes on while all others are silent: so one host whose clock is
 * ahead does not silence the others. A record without a value moves the clock as well, but confirms nothing: one that
 * is so far ahead is remembered, and counts once the clock has come near it. The clock depends on the records, not on
 * their order within the lateness.
 */
import type { ClockJump, GroupHead, GroupState, OpenGap } from "./group-state.ts";
import type { StrategyGroup } from "./strategy-group.ts";

/** Records of one series that confirm its own jump, when nobody else has a word. */
const JUMP_CONFIRMING_COUNT = 3;

export type HeardRecord = {
  readonly md5: string;
  readonly row: number;
  readonly isPoint: boolean;
  readonly isNewest: boolean;
};

/** Whether the group remembers a series other than this one. */
export type OtherSeries = { hasOther(md5: string): boolean };

/** What is settled about gaps in the data. */
export type SettledGap = OpenGap & { readonly row: number };

export class GroupClock {
  readonly #intervalSeconds: number;
  readonly #latenessSeconds: number;
  readonly #jumpSeconds: number;
  readonly #gapSeconds: number;
  /** Where it stood before the batch, or began in it; null: it has not begun. */
  startTime: number | null;
  time: number | null;
  tickTime: number | null;
  jump: ClockJump | null;
  gap: OpenGap | null;
  aheadTime: number | null;
  readonly settledGaps: SettledGap[] = [];

  constructor({ head }: GroupState, group: StrategyGroup, gapSeconds: number) {
    this.#intervalSeconds = group.intervalSeconds;
    this.#latenessSeconds = group.latenessSeconds;
    this.#jumpSeconds = group.lateSecondsMax;
    this.#gapSeconds = gapSeconds;
    this.startTime = head.clockTime;
    this.time = head.clockTime;
    this.tickTime = head.tickTime;
    this.jump = head.jump;
    this.gap = head.gap;
    this.aheadTime = head.aheadTime;
  }

  /**
   * `md5`: the series of the record; `isPoint`: it has a value; `isNewest`: it is newer than all points of its series.
   */
  hear(time: number, record: HeardRecord, series: OtherSeries): void {
    this.#hearOne(time, record, series);
    const { time: now, aheadTime } = this;
    if (aheadTime === null || now === null || aheadTime > now + this.#jumpSeconds) return;
    this.aheadTime = null;
    this.#hearOne(aheadTime, { ...record, isPoint: false, isNewest: false }, series);
  }

  #hearOne(time: number, record: HeardRecord, series: OtherSeries): void {
    const { md5, row } = record;
    if (this.time === null) this.#moveTo(time);
    else if (time > this.time && this.gap !== null && time - this.#latenessSeconds >= this.gap.toTime) {
      // Nothing can come into the hole any longer: it is settled before the next one begins.
      this.settledGaps.push({ ...this.gap, row });
      this.gap = null;
      this.#hearOne(time, record, series);
      return;
    } else if (time <= this.time + this.#jumpSeconds) {
      if (this.jump !== null && this.jump.md5 !== md5 && record.isNewest) this.jump = { ...this.jump, count: 0 };
      if (this.gap !== null && time > this.gap.fromTime && time < this.gap.toTime)
        this.#narrowGap(time, record.isPoint);
      if (time > this.time) this.#moveTo(time);
      this.#joinJump();
    } else if (record.isPoint) this.#hearAhead(time, record.md5, series);
    else this.#holdAhead(time);
    this.#settleGap(row);
  }

  /** Of records near each other the furthest is held; another far off takes its place, so a wrong time never keeps it. */
  #holdAhead(time: number): void {
    const { aheadTime } = this;
    const isNear = aheadTime !== null && Math.abs(time - aheadTime) <= this.#jumpSeconds;
    this.aheadTime = isNear ? Math.max(time, aheadTime) : time;
  }

  /** What was far ahead is so no longer. */
  #joinJump(): void {
    if (this.jump === null || this.time === null || this.jump.toTime > this.time + this.#jumpSeconds) return;
    if (this.jump.toTime > this.time) this.#moveTo(this.jump.toTime);
    this.jump = null;
  }

  #hearAhead(time: number, md5: string, series: OtherSeries): void {
    const { jump } = this;
    const isSame = jump?.md5 === md5;
    // The hole ends at the earliest record behind it, whichever series it is of.
    const fromTime = Math.min(jump?.fromTime ?? time, time);
    const toTime = isSame ? Math.max(jump.toTime, time) : time;
    const count = isSame ? jump.count + 1 : 1;
    const isConfirmed =
      count >= JUMP_CONFIRMING_COUNT ||
      (jump !== null && !isSame && Math.abs(time - jump.toTime) <= this.#jumpSeconds) ||
      !series.hasOther(md5);
    if (!isConfirmed) {
      this.jump = { md5, fromTime, toTime, count };
      return;
    }
    this.jump = null;
    if (this.time !== null && fromTime - this.time > this.#gapSeconds)
      this.gap = { fromTime: this.time, toTime: fromTime };
    this.#moveTo(Math.max(toTime, jump?.toTime ?? toTime));
  }

  /** Whether a record of that time says nothing new; what is remembered ahead is beyond the clock's reach. */
  isAt(time: number): boolean {
    return time === this.time && this.jump === null && this.gap === null;
  }

  /** The clock of a live input goes on without records. */
  passTo(time: number): void {
    if (this.time !== null && time > this.time) this.#moveTo(time);
  }

  /** The end of an input: nothing earlier will come. */
  finish(row: number): void {
    if (this.time === null) return;
    this.tickTime = Math.max(this.tickTime ?? Number.NEGATIVE_INFINITY, this.#tickAt(this.time));
    if (this.gap !== null) this.settledGaps.push({ ...this.gap, row });
    this.gap = null;
  }

  get isFinished(): boolean {
    return this.time === null || (this.gap === null && (this.tickTime ?? 0) >= this.#tickAt(this.time));
  }

  changes(): Pick<GroupHead, "clockTime" | "tickTime" | "jump" | "gap" | "aheadTime"> {
    const { time: clockTime, tickTime, jump, gap, aheadTime } = this;
    return { clockTime, tickTime, jump, gap, aheadTime };
  }

  #moveTo(time: number): void {
    const before = this.time;
    this.time = time;
    this.startTime ??= time;
    if (before !== null && time - before > this.#gapSeconds && this.gap === null)
      this.gap = { fromTime: before, toTime: time };
    const tick = this.#tickAt(time - this.#latenessSeconds);
    if (this.tickTime === null || tick > this.tickTime) this.tickTime = tick;
  }

  /** A record without a value counts only where it would have been heard in order. */
  #narrowGap(time: number, isPoint: boolean): void {
    const { fromTime } = this.gap as OpenGap;
    if (!isPoint && time > fromTime + this.#jumpSeconds) return;
    this.gap = time - fromTime > this.#gapSeconds ? { fromTime, toTime: time } : null;
  }

  #settleGap(row: number): void {
    if (this.gap === null || this.time === null || this.time - this.#latenessSeconds < this.gap.toTime) return;
    this.settledGaps.push({ ...this.gap, row });
    this.gap = null;
  }

  #tickAt(time: number): number {
    return Math.floor(time / this.#intervalSeconds) * this.#intervalSeconds;
  }
}

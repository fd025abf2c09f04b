/**
 * Fires the timers that are due: each partition is polled for itself, so one that cannot be read or written keeps no
 * other waiting.
 *
 * Owns: which timers wait after a failure, and for how long. Does not own: when the pump runs (live-driver.ts),
 * decisions (commit/run-batch.ts).
 * T1 a timer fires by its commit: firing it twice is harmless. T2 what fails waits twice as long each time, up to
 * `RETRY_MS_MAX`; those behind it are looked at meanwhile. T3 what cannot be read waits until somebody may have
 * repaired it. T4 a partition's timers are fired by its owner; what that one leaves undone for long, by everybody.
 * T5 what is due together is given on in the order in which it became due, as in virtual time.
 */
import { errorCode, messageOf } from "../../model/errors.ts";
import { SWEEP_INTERVAL_MS } from "../../model/limits.ts";
import type { TimerLane, TimerRow } from "../../stores/store.ts";
import type { Envelope } from "../commit/batch.ts";
import type { Runtime } from "../runtime.ts";
import type { RepeatedFaults } from "./repeated-faults.ts";
import { compareRows, envelopeOf, type Firing, ownersOf } from "./timers.ts";
import { Turns } from "./turns.ts";

/** Timers of one partition and lane that are read at once. */
export const PAGE_COUNT = 256;
/**
 * Of larger pages so many are fired at once, by one partition after the other: alerts that come while very many timers
 * are due get in between.
 */
const TURN_COUNT = 64;
/** What takes longer, as timers of a partition that cannot be written, keeps no other waiting. */
const TURN_MS_MAX = 250;
/** What waits after a failure is passed over as it is read; so many of a partition at most are known at once. */
const WAITING_COUNT_MAX = 8_192;
/**
 * What an owner has not fired so long after its time is fired by whoever looks: it may be at fault without knowing it.
 */
const LEFT_AFTER_MS = 10_000;
const LEFT_LOOKED_AT_EVERY_MS = 5_000;
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;
/** What could not be read is tried again this often: somebody may have repaired it. */
const UNREADABLE_RETRY_MS = SWEEP_INTERVAL_MS;

type Waiting = { untilMs: number; failures: number };

/** `lookedAtMs`: for what its owner has left. */
type Part = { readonly wait: Waiting; readonly timers: Map<string, Waiting>; isUnderway: boolean; lookedAtMs: number };

export type TimerPumpOptions = {
  readonly submit: (envelope: Envelope) => Promise<unknown>;
  /** Those of other partitions are fired by their owners. */
  readonly isOwn: (partition: number) => boolean;
  readonly faults: RepeatedFaults;
};

export class TimerPump {
  readonly #runtime: Runtime;
  readonly #options: TimerPumpOptions;
  readonly #parts: readonly Part[];
  readonly #turns: Turns;

  constructor(runtime: Runtime, options: TimerPumpOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#turns = new Turns(runtime.realTime, TURN_MS_MAX);
    this.#parts = Array.from({ length: runtime.partitions }, () => ({
      wait: { untilMs: 0, failures: 0 },
      timers: new Map(),
      isUnderway: false,
      lookedAtMs: 0,
    }));
  }

  /** Fires what is due in the partitions that are not still at it. True: there is more. */
  async fire(): Promise<boolean> {
    const fired = await Promise.all(this.#parts.map((part, partition) => this.#firePart(part, partition)));
    return fired.some((isMore) => isMore);
  }

  async #firePart(part: Part, partition: number): Promise<boolean> {
    const nowMs = this.#runtime.clock.now();
    if (part.isUnderway || part.wait.untilMs > nowMs) return false;
    const isOwn = this.#options.isOwn(partition);
    if (!isOwn && nowMs - part.lookedAtMs < LEFT_LOOKED_AT_EVERY_MS) return false;
    part.isUnderway = true;
    part.lookedAtMs = nowMs;
    try {
      const untilMs = isOwn ? nowMs : nowMs - LEFT_AFTER_MS;
      const isMore = await this.#fireDue(part, { partition, nowMs, untilMs });
      part.wait.failures = 0;
      return isMore;
    } catch (error) {
      putOff(part.wait, this.#runtime.clock.now());
      const what = `timers of partition ${partition} wait: ${messageOf(error)}`;
      this.#options.faults.report(`timers ${errorCode(error)}`, what, error);
      return false;
    } finally {
      part.isUnderway = false;
    }
  }

  async #fireDue(
    part: Part,
    { partition, nowMs, untilMs }: { partition: number; nowMs: number; untilMs: number },
  ): Promise<boolean> {
    const limit = PAGE_COUNT + part.timers.size;
    const isWaiting = (row: TimerRow) => nowMs < (part.timers.get(keyOf(row))?.untilMs ?? 0);
    const page = async (lane: TimerLane) => {
      const rows = await this.#runtime.store.timers({ lane, untilMs, limit, partition });
      return rows.filter((row) => !isWaiting(row)).slice(0, PAGE_COUNT);
    };
    const pages = await Promise.all([page("work"), page("approval")]);
    const due = pages.flat().sort(compareRows);
    if (due.length === 0) return false;
    let isAnyFired = false;
    for (let from = 0; from < due.length; from += TURN_COUNT) {
      const endTurn = due.length < TURN_COUNT ? null : await this.#turns.take();
      try {
        const fired = await this.#fireRows(part, due.slice(from, from + TURN_COUNT), { partition, atMs: nowMs });
        isAnyFired ||= fired;
      } finally {
        endTurn?.();
      }
    }
    return pages.some(({ length }) => length >= PAGE_COUNT) && isAnyFired;
  }

  /**
   * Whether any of them could be committed. What they need of the world is read for all of them before the first one is
   * given on: otherwise those that need nothing would overtake others that were due before them.
   */
  async #fireRows(
    part: Part,
    rows: readonly TimerRow[],
    { partition, atMs }: { partition: number; atMs: number },
  ): Promise<boolean> {
    const firing = { atMs, owners: await ownersOf(this.#runtime, partition, rows) };
    const envelopes = await Promise.all(rows.map((row) => this.#envelopeOf(part, row, firing)));
    const outcomes = await Promise.all(rows.map((row, index) => this.#fireRow(part, row, envelopes[index] ?? null)));
    return outcomes.includes(true);
  }

  /** null: it could not be read, and the row waits. */
  async #envelopeOf(part: Part, row: TimerRow, firing: Firing): Promise<Envelope | null> {
    try {
      const envelope = await envelopeOf(this.#runtime, row, firing);
      if (envelope === null) part.timers.set(keyOf(row), { untilMs: firing.atMs + UNREADABLE_RETRY_MS, failures: 0 });
      return envelope;
    } catch (error) {
      this.#putOffRow(part, row, error);
      return null;
    }
  }

  /** Whether it could be committed. */
  async #fireRow(part: Part, row: TimerRow, envelope: Envelope | null): Promise<boolean> {
    if (envelope === null) return false;
    try {
      await this.#options.submit(envelope);
      part.timers.delete(keyOf(row));
      return true;
    } catch (error) {
      this.#putOffRow(part, row, error);
      return false;
    }
  }

  /** The row stays due, and the other rows of the page are not its business. */
  #putOffRow(part: Part, row: TimerRow, error: unknown): void {
    const nowMs = this.#runtime.clock.now();
    const waiting = part.timers.get(keyOf(row)) ?? { untilMs: 0, failures: 0 };
    putOff(waiting, nowMs);
    if (errorCode(error) === "BECALM_GROUP_UNREADABLE") waiting.untilMs = nowMs + UNREADABLE_RETRY_MS;
    // Beyond that the partition as a whole waits.
    if (part.timers.size >= WAITING_COUNT_MAX && !part.timers.has(keyOf(row))) putOff(part.wait, nowMs);
    else part.timers.set(keyOf(row), waiting);
    const what = `timer ${row.name} of ${row.owner} waits: ${messageOf(error)}`;
    this.#options.faults.report(`timer ${row.partition} ${errorCode(error)}`, what, error);
  }
}

function keyOf({ lane, owner, name, arm }: TimerRow): string {
  return `${lane} ${owner} ${name} ${arm}`;
}

function putOff(waiting: Waiting, nowMs: number): void {
  waiting.untilMs = nowMs + Math.min(RETRY_MS_MIN * 2 ** waiting.failures, RETRY_MS_MAX);
  waiting.failures += 1;
}

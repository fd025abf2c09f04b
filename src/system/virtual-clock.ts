/**
 * A clock for tests: it stands still until it is moved, and while it is moved everything that is due happens at its own
 * time.
 *
 * V1 time stops at every durable timer of an engine that works by it, and at whatever a program has scheduled. An
 * engine's own looks at its store are no reason to stop: they are made up for at the next one.
 * V2 before time goes on, everything that follows has happened: batches, commits, attempts.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { parseDuration } from "../model/duration.ts";
import { BecalmError } from "../model/errors.ts";
import { parseAlertTime } from "../model/timestamp.ts";
import type { Clock, ClockWorker } from "./clock.ts";

/** A new year: 2026-01-01T00:00:00Z. */
const START_MS = 1_767_225_600_000;
const SETTLE_TIMEOUT_MS = 5_000;
/** Turns of the event loop in a row in which nothing was under way. */
const QUIET_TURN_COUNT = 4;
/** What fires may arm a timer that is due at once. What is still due after so many looks waits for its engine's own. */
const STOPS_AT_ONE_TIME_MAX = 8;

/** Epoch milliseconds, a time such as `2026-11-23T06:00:00Z`, or a date. */
export type Time = number | string | Date;
/** Milliseconds, or a text such as `10m`. */
export type Duration = number | string;

export type SettleOptions = {
  /**
   * `wait` (the default): attempts must end. `leave`: running attempts are left alone, for a test that ends them
   * itself.
   */
  readonly attempts?: "wait" | "leave";
  /** In real time. Default 5 s. */
  readonly timeoutMs?: number;
};

type Scheduled = { readonly dueAtMs: number; readonly order: number; readonly fn: () => void };

export class VirtualClock implements Clock {
  #nowMs: number;
  #order = 0;
  /** What programs have scheduled, and the looks of engines at their stores. */
  readonly #scheduled = new Set<Scheduled>();
  readonly #looks = new Set<Scheduled>();
  readonly #workers = new Set<ClockWorker>();

  /** @throws BECALM_ARGUMENT_INVALID */
  constructor(start: Time = START_MS) {
    this.#nowMs = timeMs(start);
  }

  now(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, fn: () => void): () => void {
    return this.#schedule(this.#scheduled, delayMs, fn);
  }

  /** An engine does this when it opens its namespace. */
  attach(worker: ClockWorker): { clock: Clock; detach: () => void } {
    this.#workers.add(worker);
    const clock: Clock = {
      now: () => this.#nowMs,
      schedule: (delayMs, fn) => this.#schedule(this.#looks, delayMs, fn),
    };
    return { clock, detach: () => void this.#workers.delete(worker) };
  }

  /**
   * Lets everything happen that is due now and that follows from it, and resolves when nothing is under way any longer.
   * Rejects with BECALM_WAIT_TIMEOUT if that takes too long: an attempt that nobody ends, mostly.
   */
  async settle({ attempts = "wait", timeoutMs = SETTLE_TIMEOUT_MS }: SettleOptions = {}): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs;
    const isWaiting = attempts === "wait";
    for (let quiet = 0; quiet < QUIET_TURN_COUNT; quiet += 1) {
      await nextTurn();
      const hasFired = this.#fireDue();
      const wasBusy = await this.#whenIdle(isWaiting, deadlineMs);
      if (hasFired || wasBusy) quiet = -1;
    }
  }

  /** Moves time on: everything that is due until then, and at it, happens at its own time. Gives the time. */
  async advance(by: Duration, options: SettleOptions = {}): Promise<number> {
    const untilMs = this.#nowMs + durationMs(by);
    await this.settle(options);
    let stopCount = 0;
    for (;;) {
      const nextMs = await this.#nextStopMs(stopCount < STOPS_AT_ONE_TIME_MAX);
      if (nextMs === null || nextMs > untilMs) break;
      stopCount = nextMs > this.#nowMs ? 0 : stopCount + 1;
      this.#nowMs = Math.max(this.#nowMs, nextMs);
      for (const worker of this.#workers) worker.fireTimers();
      await this.settle(options);
    }
    this.#nowMs = untilMs;
    await this.settle(options);
    return untilMs;
  }

  async #nextStopMs(mayStopAgain: boolean): Promise<number | null> {
    const timers = await Promise.all([...this.#workers].map((worker) => worker.nextDueAtMs()));
    const own = earliest(this.#scheduled)?.dueAtMs ?? null;
    const stops = [...timers, own].filter((dueAtMs) => dueAtMs !== null);
    if (stops.length === 0) return null;
    const nextMs = Math.min(...stops);
    if (nextMs > this.#nowMs) return nextMs;
    return mayStopAgain ? this.#nowMs : (earliest(this.#looks)?.dueAtMs ?? null);
  }

  /** Whether anything was due. */
  #fireDue(): boolean {
    let hasFired = false;
    for (;;) {
      const due = [this.#scheduled, this.#looks].flatMap((all) => earliest(all) ?? []);
      const [next] = due.filter(({ dueAtMs }) => dueAtMs <= this.#nowMs).sort(compareScheduled);
      if (next === undefined) return hasFired;
      this.#scheduled.delete(next);
      this.#looks.delete(next);
      next.fn();
      hasFired = true;
    }
  }

  async #whenIdle(attempts: boolean, deadlineMs: number): Promise<boolean> {
    const idle = Promise.all([...this.#workers].map((worker) => worker.idle({ attempts })));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(stillBusy()), Math.max(deadlineMs - performance.now(), 0));
    });
    try {
      return (await Promise.race([idle, late])).includes(true);
    } finally {
      clearTimeout(timer);
    }
  }

  #schedule(all: Set<Scheduled>, delayMs: number, fn: () => void): () => void {
    this.#order += 1;
    const scheduled = { dueAtMs: this.#nowMs + Math.max(delayMs, 0), order: this.#order, fn };
    all.add(scheduled);
    return () => void all.delete(scheduled);
  }
}

function earliest(all: ReadonlySet<Scheduled>): Scheduled | null {
  let first: Scheduled | null = null;
  for (const one of all) if (first === null || compareScheduled(one, first) < 0) first = one;
  return first;
}

function compareScheduled(a: Scheduled, b: Scheduled): number {
  return a.dueAtMs - b.dueAtMs || a.order - b.order;
}

function stillBusy(): BecalmError {
  return new BecalmError(
    "BECALM_WAIT_TIMEOUT",
    "The engine did not come to rest: an attempt is still under way, or the store does not answer. " +
      'End the attempt, or call settle({ attempts: "leave" }).',
  );
}

/** @throws BECALM_ARGUMENT_INVALID */
export function timeMs(time: Time): number {
  const atMs = typeof time === "string" ? parseAlertTime(time) : Number(time);
  if (atMs !== null && Number.isSafeInteger(atMs) && atMs >= 0) return atMs;
  throw new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `${JSON.stringify(time)} is not a time. Give epoch milliseconds, a Date, or a text such as 2026-11-23T06:00:00Z.`,
  );
}

/** @throws BECALM_ARGUMENT_INVALID */
export function durationMs(by: Duration): number {
  const ms = typeof by === "string" ? parseDuration(by) : by;
  if (Number.isSafeInteger(ms) && ms >= 0) return ms;
  throw new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `${JSON.stringify(by)} is not a duration. Give milliseconds, or a text such as 10m.`,
  );
}

import type { Clock } from "../../src/system/clock.ts";

type Scheduled = { readonly dueAtMs: number; readonly order: number; readonly fn: () => void };

/**
 * A clock that stands still until it is told otherwise. What is scheduled fires while it is moved on, in order of the due times (ties:
 * in order of scheduling), each at its own due time; what a firing schedules within the same stretch fires too.
 */
export class ManualClock implements Clock {
  #nowMs: number;
  #order = 0;
  readonly #scheduled = new Set<Scheduled>();

  constructor(startMs = 0) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, fn: () => void): () => void {
    this.#order += 1;
    const scheduled = { dueAtMs: this.#nowMs + Math.max(delayMs, 0), order: this.#order, fn };
    this.#scheduled.add(scheduled);
    return () => void this.#scheduled.delete(scheduled);
  }

  /** How many are still to fire. */
  get pendingCount(): number {
    return this.#scheduled.size;
  }

  /** When the next one fires; null when there is none. */
  get nextDueAtMs(): number | null {
    return this.#next()?.dueAtMs ?? null;
  }

  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#next(); next !== null && next.dueAtMs <= untilMs; next = this.#next()) {
      this.#scheduled.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueAtMs);
      next.fn();
    }
    this.#nowMs = untilMs;
  }

  /** Jumps, also back, and fires nothing: a system clock that was corrected. */
  set(atMs: number): void {
    this.#nowMs = atMs;
  }

  #next(): Scheduled | null {
    const order = [...this.#scheduled].sort((a, b) => a.dueAtMs - b.dueAtMs || a.order - b.order);
    return order[0] ?? null;
  }
}

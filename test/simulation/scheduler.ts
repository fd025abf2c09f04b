/**
 * The scheduler of a simulation: everything that happens is a step, and the seed says which step comes next.
 *
 * Between two steps all promises that can settle have settled, so a step is what a process does between two awaits of the outside world. Time
 * stands still while a step can be taken and jumps to the next one otherwise.
 *
 * S1 whatever a process schedules while one of its steps runs belongs to that process; when it dies, its steps are never taken.
 * S2 timers of one process fire in the order of their due times, as in Node; everything else comes in any order.
 */
import type { SeededRandom } from "./seeded-random.ts";

export class SimulatedProcess {
  readonly name: string;
  /** How far its clock is ahead. */
  skewMs: number;
  isDead = false;
  /** Stopped (SIGSTOP) until then. */
  stoppedUntilMs = 0;

  constructor(name: string, skewMs = 0) {
    this.name = name;
    this.skewMs = skewMs;
  }
}

export type Step = {
  /** null: the network, the store, or whoever sends alerts. */
  readonly process: SimulatedProcess | null;
  readonly readyAtMs: number;
  readonly isTimer: boolean;
  readonly order: number;
  readonly run: () => void;
  isOver: boolean;
};

type Wanted = { readonly process: SimulatedProcess | null; readonly delayMs: number; readonly isTimer?: boolean };

const nextTurn = setImmediate;

export class Scheduler {
  readonly #random: SeededRandom;
  #steps: Step[] = [];
  #order = 0;
  nowMs: number;
  /** Whose step runs. */
  current: SimulatedProcess | null = null;
  stepCount = 0;

  constructor(random: SeededRandom, startMs: number) {
    this.#random = random;
    this.nowMs = startMs;
  }

  add({ process, delayMs, isTimer = false }: Wanted, run: () => void): Step {
    this.#order += 1;
    const readyAtMs = this.nowMs + Math.max(delayMs, 0);
    const step: Step = { process, readyAtMs, isTimer, order: this.#order, run, isOver: false };
    this.#steps.push(step);
    return step;
  }

  /** Takes steps until the time is `untilMs` and nothing can be done before it. */
  async runUntil(untilMs: number): Promise<void> {
    for (;;) {
      const step = this.#next(untilMs);
      if (step === null) break;
      await this.take(step);
    }
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /** Jumps ahead at once: whatever was due meanwhile comes late, as after a stop of the whole machine. */
  leap(ms: number): void {
    this.nowMs += ms;
  }

  async take(step: Step): Promise<void> {
    step.isOver = true;
    this.stepCount += 1;
    this.current = step.process;
    step.run();
    await new Promise<void>((resolve) => void nextTurn(resolve));
    this.current = null;
  }

  /** The seed's choice among those that can be taken; time goes on if there is none. */
  #next(untilMs: number): Step | null {
    this.#steps = this.#steps.filter((step) => !step.isOver && step.process?.isDead !== true);
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const step of this.#steps) earliestMs = Math.min(earliestMs, startMsOf(step));
    if (earliestMs > untilMs) return null;
    this.nowMs = Math.max(this.nowMs, earliestMs);
    const ready: Step[] = [];
    const timers = new Map<SimulatedProcess | null, Step>();
    for (const step of this.#steps) {
      if (startMsOf(step) > this.nowMs) continue;
      if (!step.isTimer) ready.push(step);
      else if (isBefore(step, timers.get(step.process))) timers.set(step.process, step);
    }
    return this.#random.pick([...ready, ...timers.values()]);
  }
}

function startMsOf({ readyAtMs, process }: Step): number {
  return process === null ? readyAtMs : Math.max(readyAtMs, process.stoppedUntilMs);
}

function isBefore(step: Step, other: Step | undefined): boolean {
  if (other === undefined) return true;
  return step.readyAtMs < other.readyAtMs || (step.readyAtMs === other.readyAtMs && step.order < other.order);
}

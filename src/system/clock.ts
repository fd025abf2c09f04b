/** Where the time of decisions and timers comes from. Tests and virtual runs bring their own. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls `fn` once, `delayMs` from now; the returned function cancels it. */
  schedule(delayMs: number, fn: () => void): () => void;
  /** Only a clock that somebody moves: an engine says what it is at, and gets the clock that it works by. */
  attach?(worker: ClockWorker): { readonly clock: Clock; readonly detach: () => void };
}

/** What a clock that somebody moves must know of an engine. */
export interface ClockWorker {
  /** Resolves when nothing is under way; false: nothing was. `attempts`: those of actions count too. */
  idle(options: { readonly attempts: boolean }): Promise<boolean>;
  /** When the next durable timer is due; null: none is armed. */
  nextDueAtMs(): Promise<number | null>;
  /** Time has come to a durable timer: the engine looks for it now, not when it would look anyway. */
  fireTimers(): void;
}

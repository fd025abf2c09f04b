/** Where the time of decisions and timers comes from. Tests and virtual runs bring their own. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls `fn` once, `delayMs` from now; the returned function cancels it. */
  schedule(delayMs: number, fn: () => void): () => void;
}

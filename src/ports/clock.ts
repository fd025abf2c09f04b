/** Where time comes from. Tests and virtual runs bring their own; nothing else in Becalm reads the system's clock. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls `fn` once, `delayMs` from now; the returned function cancels it. */
  schedule(delayMs: number, fn: () => void): () => void;
}

/** Delay before retry number `retry` (1 is the first): delay, delay * backoff, delay * backoff^2 ... in whole milliseconds, at most 30 days. */
export function retryDelayMs(retry: number, delayMs: number, backoff: number): number {
  return Math.min(Math.round(delayMs * backoff ** (retry - 1)), RETRY_DELAY_MS_MAX);
}

const RETRY_DELAY_MS_MAX = 30 * 24 * 3_600_000;

import { RETRY_DELAY_MS_MAX } from "./limits.ts";

/** How often a failed attempt is repeated, and after which delays. */
export type Retry = { readonly limit: number; readonly delayMs: number; readonly backoff: number };

/**
 * How long to wait before a retry. `retryNumber` is 1 for the first retry of a round: delay, delay * backoff, ...,
 * whole milliseconds, never more than a day.
 */
export function retryDelayMs(retry: Retry, retryNumber: number): number {
  return Math.min(Math.round(retry.delayMs * retry.backoff ** (retryNumber - 1)), RETRY_DELAY_MS_MAX);
}

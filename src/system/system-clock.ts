import type { Clock } from "./clock.ts";

/** The longest delay that the system's timers take; a longer one would fire at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The system's time. What is scheduled keeps the process alive until it has fired or is cancelled. */
export function systemClock(): Clock {
  return { now: () => Date.now(), schedule };
}

/** Real time. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** A delay longer than the system can is made of several. A negative one is over already. */
function schedule(delayMs: number, fn: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    const stepMs = Math.min(leftMs, TIMER_MS_MAX);
    timer = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : fn()), stepMs);
  };
  arm(Math.max(delayMs, 0));
  return () => clearTimeout(timer);
}

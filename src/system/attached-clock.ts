import type { Clock, ClockWorker } from "./clock.ts";

/**
 * The clock that an engine works by. One that somebody moves is told what the engine is at, as soon as there is
 * something to tell.
 */
export function attachedClock(given: Clock): {
  readonly clock: Clock;
  readonly setWorker: (worker: ClockWorker) => void;
  readonly detach: () => void;
} {
  let worker: ClockWorker | null = null;
  const attached = given.attach?.({
    idle: async (options) => (await worker?.idle(options)) ?? false,
    nextDueAtMs: async () => (await worker?.nextDueAtMs()) ?? null,
    fireTimers: () => worker?.fireTimers(),
  });
  return {
    clock: attached?.clock ?? given,
    setWorker: (own) => {
      worker = own;
    },
    detach: () => attached?.detach(),
  };
}

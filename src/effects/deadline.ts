import { formatDuration } from "../model/duration.ts";

/**
 * What ends an attempt early: its timeout or its cancellation, whichever comes first. `release` takes both away.
 * Not AbortSignal.any: the cancellation's signal may outlive thousands of attempts, and nothing of them may stay on it.
 */
export type Deadline = {
  readonly signal: AbortSignal;
  /** What fired, as the end of a sentence ("did not end within 10s"); null as long as nothing did. */
  readonly fired: () => string | null;
  /** Calls `act` when something fires, at once when it has. One listener. */
  readonly whenFired: (act: () => void) => void;
  readonly release: () => void;
};

/**
 * `timeoutMs` is real time, whatever clock the engine has: it bounds work, as the patience of an engine that stops
 * does.
 */
export function startDeadline(cancelled: AbortSignal, timeoutMs: number): Deadline {
  const controller = new AbortController();
  let fired: string | null = null;
  let onFired = () => {};
  const fire = (what: string) => {
    if (fired !== null) return;
    fired = what;
    controller.abort();
    onFired();
  };
  const cancel = () => fire("was cancelled");
  const timer = setTimeout(() => fire(`did not end within ${formatDuration(timeoutMs)}`), timeoutMs);
  cancelled.addEventListener("abort", cancel, { once: true });
  if (cancelled.aborted) cancel();
  return {
    // Node makes a signal when it is asked for, which costs more than the rest of an attempt that does not ask.
    get signal() {
      return controller.signal;
    },
    fired: () => fired,
    whenFired: (act) => {
      onFired = act;
      if (fired !== null) act();
    },
    release: () => {
      clearTimeout(timer);
      cancelled.removeEventListener("abort", cancel);
    },
  };
}

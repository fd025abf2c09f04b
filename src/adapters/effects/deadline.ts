import { formatDuration } from "../../core/duration.ts";

/**
 * What ends an attempt early: its timeout or its cancellation, whichever comes first. `release` takes both away.
 * Not AbortSignal.any: the cancellation's signal may outlive thousands of attempts, and nothing of them may stay on it.
 */
export type Deadline = {
  readonly signal: AbortSignal;
  /** What fired, as the end of a sentence ("did not end within 10s"); null as long as nothing did. */
  readonly fired: () => string | null;
  readonly release: () => void;
};

export function startDeadline(cancelled: AbortSignal, timeoutMs: number): Deadline {
  const controller = new AbortController();
  let fired: string | null = null;
  const fire = (what: string) => {
    if (controller.signal.aborted) return;
    fired = what;
    controller.abort();
  };
  const cancel = () => fire("was cancelled");
  const timer = setTimeout(() => fire(`did not end within ${formatDuration(timeoutMs)}`), timeoutMs);
  cancelled.addEventListener("abort", cancel, { once: true });
  if (cancelled.aborted) cancel();
  return {
    signal: controller.signal,
    fired: () => fired,
    release: () => {
      clearTimeout(timer);
      cancelled.removeEventListener("abort", cancel);
    },
  };
}

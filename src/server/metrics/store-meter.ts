import type { StoreMeter } from "./metered-store.ts";
import type { Metrics } from "./metrics.ts";

/**
 * Effects that are followed at once. Those that another process runs never end here: the ones that are followed longest
 * make room for new ones.
 */
const FOLLOWED_COUNT_MAX = 100_000;

/** Numbers about the store's calls, and about effects between their commit and that of their result. */
export function storeMeter(metrics: Metrics, now: () => number): StoreMeter {
  const emittedAtMs = new Map<string, number>();
  return {
    committed: (outcome, seconds) => {
      metrics.commits.inc({ outcome });
      metrics.commitSeconds.observe(seconds);
    },
    failed: (call, code) => metrics.storeErrors.inc({ call, code }),
    emitted: (ids) => {
      for (const id of ids) emittedAtMs.set(id, now());
      for (const id of emittedAtMs.keys()) {
        if (emittedAtMs.size <= FOLLOWED_COUNT_MAX) break;
        emittedAtMs.delete(id);
      }
    },
    settled: (ids) => {
      for (const id of ids) {
        const atMs = emittedAtMs.get(id);
        if (atMs !== undefined) metrics.effectSeconds.observe((now() - atMs) / 1_000);
        emittedAtMs.delete(id);
      }
    },
    timersFound: (dueAtMs) => {
      for (const due of dueAtMs) metrics.timerLateness.observe(Math.max(now() - due, 0) / 1_000);
    },
  };
}

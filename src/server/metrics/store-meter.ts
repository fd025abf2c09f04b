import { Gauge } from "prom-client";
import type { StoreMeter } from "./metered-store.ts";
import type { Metrics } from "./metrics.ts";

/** Effects that are followed at once; further ones run all the same, but are not timed. */
const FOLLOWED_COUNT_MAX = 100_000;

/** Numbers about the store's calls, and about effects between their commit and that of their result. */
export function storeMeter(metrics: Metrics, now: () => number): StoreMeter {
  const emittedAtMs = new Map<string, number>();
  new Gauge({
    name: "becalm_outbox_effects",
    help: "Effects of this process whose results are not durable yet.",
    registers: [metrics.registry],
    collect() {
      this.set(emittedAtMs.size);
    },
  });
  new Gauge({
    name: "becalm_outbox_oldest_age_seconds",
    help: "Age of the oldest of them; 0: there is none.",
    registers: [metrics.registry],
    collect() {
      // In the order in which they were emitted: the first is the oldest.
      const [oldest] = emittedAtMs.values();
      this.set(oldest === undefined ? 0 : (now() - oldest) / 1_000);
    },
  });
  return {
    committed: (outcome, seconds) => {
      metrics.commits.inc({ outcome });
      metrics.commitSeconds.observe(seconds);
    },
    failed: (call, code) => metrics.storeErrors.inc({ call, code }),
    emitted: (ids) => {
      for (const id of ids) if (emittedAtMs.size < FOLLOWED_COUNT_MAX) emittedAtMs.set(id, now());
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

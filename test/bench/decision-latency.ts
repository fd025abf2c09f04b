/** Decision latency, open loop: alerts are due at a fixed rate whatever the engine does, and each is timed from when it was due. */
import { setTimeout as pause } from "node:timers/promises";
import { redisStore } from "../../src/index.ts";
import { stormAlerts } from "./alerts.ts";
import { openStorm } from "./arms/becalm.ts";
import { type Percentiles, percentiles } from "./stats.ts";
import { WORKS } from "./works.ts";

export type LatencyRequest = {
  readonly url: string;
  readonly logPath: string;
  readonly count: number;
  readonly perSecond: number;
};

/** A request carries what became due since the one before, at most a millisecond's alerts. Milliseconds from due to durable. */
export async function decisionLatency({ url, logPath, count, perSecond }: LatencyRequest): Promise<Percentiles> {
  const storm = await openStorm(redisStore(url, { namespace: "bench" }), { work: "storm", count, logPath });
  const alerts = stormAlerts({ count, groups: WORKS.storm.groups });
  const latencies: number[] = [];
  const underway = new Set<Promise<void>>();
  const startedAtMs = performance.now();
  for (let sent = 0; sent < count; ) {
    const due = Math.min(count, Math.floor(((performance.now() - startedAtMs) * perSecond) / 1_000));
    if (due > sent) {
      const request = Array.from(
        { length: due - sent },
        () => alerts.next().value as Exclude<ReturnType<typeof alerts.next>["value"], void>,
      );
      const dueAtMs = request.map((_, index) => startedAtMs + ((sent + index + 1) * 1_000) / perSecond);
      sent = due;
      const answered = storm.engine.ingest(request).then(() => {
        const nowMs = performance.now();
        for (const atMs of dueAtMs) latencies.push(nowMs - atMs);
        underway.delete(answered);
      });
      underway.add(answered);
    }
    await pause(1);
  }
  await Promise.all(underway);
  await storm.close();
  // The first fifth warms the process up.
  return percentiles(latencies.slice(Math.floor(latencies.length / 5)));
}

/** Very many alerts at once by a program that waits for no answer: what they take of memory and time, and what is refused. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createEngine } from "../../src/engine.ts";
import { errorCode } from "../../src/model/errors.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { startRedis } from "../support/redis-server.ts";

const REQUEST_ALERTS = 100;
const MIB = 1_048_576;
const LOOKED_EVERY_MS = 20;

export type UnwaitedReport = {
  readonly alerts: number;
  readonly taken: number;
  /** As BECALM_BUSY: nothing of them was decided, and they may be sent again. */
  readonly busy: number;
  readonly failed: number;
  readonly tookMs: number;
  readonly rssBeforeMib: number;
  readonly rssMaxMib: number;
  /** For how long the event loop stood still at most, after the loop of the program itself. */
  readonly loopMaxMs: number;
};

export async function runUnwaited(count: number): Promise<UnwaitedReport> {
  const server = await startRedis();
  const store = redisStore(server.url);
  const policies = [{ name: "act", match: [], action: { log: {} } }] as never;
  const engine = createEngine({ policies, store, leaveEffects: true });
  let rssMax = 0;
  try {
    await engine.start();
    const rssBefore = process.memoryUsage.rss();
    const look = setInterval(() => {
      rssMax = Math.max(rssMax, process.memoryUsage.rss());
    }, LOOKED_EVERY_MS);
    const ended = { taken: 0, busy: 0, failed: 0 };
    const began = performance.now();
    const calls = Array.from({ length: Math.ceil(count / REQUEST_ALERTS) }, async (_, request) => {
      const alerts = Array.from({ length: REQUEST_ALERTS }, (__, index) => alertOf(request * REQUEST_ALERTS + index));
      try {
        const { instances } = await engine.ingest(alerts);
        ended.taken += instances.length;
      } catch (error) {
        ended[errorCode(error) === "BECALM_BUSY" ? "busy" : "failed"] += REQUEST_ALERTS;
      }
    });
    const delay = monitorEventLoopDelay({ resolution: 5 });
    await new Promise((resolve) => setImmediate(resolve));
    delay.enable();
    await Promise.all(calls);
    const tookMs = Math.round(performance.now() - began);
    clearInterval(look);
    return {
      alerts: count,
      ...ended,
      tookMs,
      rssBeforeMib: Math.round(rssBefore / MIB),
      rssMaxMib: Math.round(rssMax / MIB),
      loopMaxMs: Math.round(delay.max / 1e6),
    };
  } finally {
    await engine.stop();
    await store.close();
    await server.stop();
  }
}

function alertOf(number: number) {
  return { status: "firing" as const, labels: { alertname: "Full", host: `h${number % 100}`, name: `a${number}` } };
}

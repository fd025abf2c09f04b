/** Becalm through its public surface: an engine with one policy, a no-op handler, and a log file. */

import {
  createEngine,
  type Engine,
  type Logger,
  lmdbStore,
  memoryStore,
  redisStore,
  type Store,
} from "../../../src/index.ts";
import { fileLogger } from "../../../src/system/pino-logger.ts";
import { chunksOf, stormAlerts } from "../alerts.ts";
import { executedOf, policiesOf, WORKS, type WorkName } from "../works.ts";
import { type Arm, inParallel, measured, type SampleRequest } from "./arm.ts";

/**
 * As requests arrive: this many alerts each, this many requests at once. Of five ways (500 alerts four and eight at once, 1,000 two and four
 * at once, 2,000 alone) they differ by a twentieth; of two that are level this one has fewer alerts in one request.
 */
const REQUEST_ALERTS = 1_000;
const REQUESTS_AT_ONCE = 2;

export const becalm: Arm = (request) => runOn(redisStore(request.url as string, { namespace: "bench" }), request);

export const becalmMemory: Arm = (request) => runOn(memoryStore(), request);

export const becalmLmdb: Arm = (request) => runOn(lmdbStore(request.url as string), request);

async function runOn(store: Store, request: SampleRequest): ReturnType<Arm> {
  const storm = await openStorm(store, request);
  const sample = await measured(request.count, () => storm.run({ count: request.count }));
  await storm.close();
  return sample;
}

export type Storm = {
  readonly engine: Engine;
  /** Sends the alerts; resolves when every decision and every result of a handler is durable and all log lines are written. */
  run(range: { count: number; from?: number }): Promise<void>;
  /** Sends the alerts; resolves when every decision is durable. */
  ingest(range: { count: number; from?: number }): Promise<void>;
  /** Resolves when the results of the executed ones are durable. */
  settled(executed: number): Promise<void>;
  close(): Promise<void>;
};

/** An engine that is ready for a work of `count` alerts. */
export async function openStorm(store: Store, { work, count, logPath }: Omit<SampleRequest, "url">): Promise<Storm> {
  const file = fileLogger(logPath);
  const { logger, settled } = countingResults(file);
  const engine = createEngine({ policies: policiesOf(work, count), store, logger, handlers: { noop: () => {} } });
  await engine.start();
  const ingest: Storm["ingest"] = (range) => ingestAll(engine, work, range);
  const close = async () => {
    await engine.stop();
    await store.close();
    await file.close();
  };
  const run: Storm["run"] = async (range) => {
    await ingest(range);
    await settled(executedOf(work, count));
  };
  return { engine, run, ingest, settled, close };
}

/** An engine logs a step once it is committed, so the log tells when a result is durable. */
function countingResults(file: Logger): { logger: Logger; settled: (count: number) => Promise<void> } {
  let results = 0;
  let wanted = Number.POSITIVE_INFINITY;
  let arrived = () => {};
  const counting = (logger: Pick<Logger, "debug" | "info" | "warn" | "error">): Logger => ({
    ...logger,
    info: (fields, message) => {
      logger.info(fields, message);
      if (!message.startsWith("effect.done")) return;
      results += 1;
      if (results >= wanted) arrived();
    },
  });
  const settled = (count: number) =>
    new Promise<void>((resolve) => {
      wanted = count;
      arrived = resolve;
      if (results >= wanted) resolve();
    });
  const child = (fields: object) => counting(file.child?.(fields) ?? file);
  return { logger: { ...counting(file), child }, settled };
}

async function ingestAll(engine: Engine, work: WorkName, range: { count: number; from?: number }): Promise<void> {
  const requests = chunksOf(stormAlerts({ ...range, groups: WORKS[work].groups }), REQUEST_ALERTS);
  await inParallel(REQUESTS_AT_ONCE, async () => {
    for (const request of requests) {
      const { rejected } = await engine.ingest(request);
      if (rejected.length > 0) throw rejected[0]?.error as Error;
    }
  });
}

/** What a bench process can be asked to do, by name. Every answer is plain JSON: it travels between processes. */
import { Redis } from "ioredis";
import { memoryStore, redisStore } from "../../src/index.ts";
import type { Arm, ArmName, Sample, SampleRequest } from "./arms/arm.ts";
import { measured } from "./arms/arm.ts";
import { becalm, becalmLmdb, becalmMemory, openStorm } from "./arms/becalm.ts";
import { decisionLatency } from "./decision-latency.ts";
import { detection } from "./detection.ts";
import { wakeUp } from "./wake-up.ts";
import { executedOf } from "./works.ts";

/** A process loads no library that its own arm does not use. */
const ARMS: Readonly<Record<ArmName, () => Promise<Arm>>> = {
  becalm: async () => becalm,
  "becalm-memory": async () => becalmMemory,
  "becalm-lmdb": async () => becalmLmdb,
  bullmq: async () => (await import("./arms/bullmq.ts")).bullmq,
  textbook: async () => (await import("./arms/textbook.ts")).textbook,
  ceiling: async () => (await import("./arms/ceiling.ts")).ceiling,
  "ceiling-apart": async () => (await import("./arms/ceiling.ts")).ceilingApart,
};

export type PartRequest = SampleRequest & { readonly from: number; readonly total: number };

export const JOBS = {
  sample,
  redisMemory,
  warmedUp,
  part,
  decisionLatency,
  wakeUp,
  detection,
};

export type Jobs = typeof JOBS;

async function sample({ arm, request }: { arm: ArmName; request: SampleRequest }): Promise<Sample> {
  return (await ARMS[arm]())(request);
}

/** Server memory that one converged alert costs: first the alerts that execute, then the difference that the others make. */
async function redisMemory({ work, count, url, logPath }: SampleRequest): Promise<number> {
  const storm = await openStorm(redisStore(url as string, { namespace: "bench" }), { work, count, logPath });
  const executed = executedOf(work, count);
  await storm.ingest({ count: executed });
  await storm.settled(executed);
  const before = await usedMemory(url as string);
  await storm.ingest({ count: count - executed, from: executed });
  const after = await usedMemory(url as string);
  await storm.close();
  return (after - before) / (count - executed);
}

async function usedMemory(url: string): Promise<number> {
  const redis = new Redis(url);
  const info = await redis.info("memory");
  await redis.quit();
  return Number(/used_memory:(\d+)/.exec(info)?.[1]);
}

/** The storm of each count, one after the other in this process, after a storm of 20,000 that is not measured. No url: on the memory store. */
async function warmedUp({
  counts,
  url,
  logPath,
}: {
  counts: readonly number[];
  url: string | null;
  logPath: string;
}): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (const [index, count] of [20_000, ...counts].entries()) {
    const store = url === null ? memoryStore() : redisStore(url, { namespace: `bench-${index}` });
    const storm = await openStorm(store, { work: "storm", count, logPath });
    samples.push(await measured(count, () => storm.run({ count })));
    await storm.close();
  }
  return samples.slice(1);
}

/** A part of a storm that several processes share. How many of it execute is settled between them. */
async function part({ work, url, logPath, total, from, count }: PartRequest): Promise<Sample> {
  const storm = await openStorm(redisStore(url as string, { namespace: "bench" }), { work, count: total, logPath });
  const sample = await measured(count, () => storm.ingest({ count, from }));
  await storm.close();
  return sample;
}

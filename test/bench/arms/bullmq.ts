/**
 * BullMQ: one job an alert, no state, no audit, a processor that does nothing. Added in the fastest of the ways that were tried (add with
 * 64 and 500 in flight, addBulk of 100 and 500, finished jobs kept or removed): addBulk of 500, two at once, jobs kept.
 */
import { Queue, Worker } from "bullmq";
import { chunksOf, stormAlerts } from "../alerts.ts";
import { WORKS } from "../works.ts";
import { type Arm, inParallel, measured } from "./arm.ts";

const BULK_JOBS = 500;
const BULKS_AT_ONCE = 2;
const CONCURRENCY = 200;

export const bullmq: Arm = async ({ work, count, url }) => {
  const { hostname: host, port } = new URL(url as string);
  const connection = { host, port: Number(port), maxRetriesPerRequest: null };
  const queue = new Queue("bench", { connection });
  const worker = new Worker("bench", async () => {}, { connection, concurrency: CONCURRENCY });
  await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
  const processed = new Promise<void>((resolve) => {
    let done = 0;
    worker.on("completed", () => {
      done += 1;
      if (done === count) resolve();
    });
  });
  const sample = await measured(count, async () => {
    const bulks = chunksOf(stormAlerts({ count, groups: WORKS[work].groups }), BULK_JOBS);
    await inParallel(BULKS_AT_ONCE, async () => {
      for (const bulk of bulks) await queue.addBulk(bulk.map((data) => ({ name: "alert", data })));
    });
    await processed;
  });
  await worker.close();
  await queue.close();
  return sample;
};

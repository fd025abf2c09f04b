/** A worker in a process of its own; its attempts go through BullMQ if there is a queue. It may be killed or stopped at any time. */
import { messageOf } from "../../src/model/errors.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { createWorker } from "../../src/worker.ts";
import type { ContenderOptions, FromContender } from "./contender.ts";

const { storeUrl, namespace, queueUrl } = JSON.parse(process.argv[2] ?? "{}") as ContenderOptions;

const tell = (message: FromContender) => void process.send?.(message, () => {});
const report = (text: string) => tell({ type: "fault", text });
const worker = createWorker({
  store: redisStore(storeUrl, { namespace }),
  logger: { debug: () => {}, info: () => {}, warn: (_, text) => report(text), error: (_, text) => report(text) },
  ...(queueUrl === undefined ? {} : { queue: { bullmq: { url: queueUrl } } }),
});

process.on("disconnect", () => process.exit(0));

for (;;) {
  try {
    await worker.start();
    break;
  } catch (error) {
    report(`start: ${messageOf(error)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
tell({ type: "ready" });

/**
 * The ceiling: exactly the bytes that Becalm writes for the work (checkpoints and audit lines, taken from a dry run on the memory store),
 * under the same keys, by bare pipelined commands. No logic, no log, no indexes, no compare-and-set.
 * Two of them: one packs a new instance as Becalm does, its checkpoint and its first lines in one text; the other writes checkpoints and
 * lines apart, as who has not thought of that.
 */
import { Redis } from "ioredis";
import { memoryStore, type Store } from "../../../src/index.ts";
import { redisKeys } from "../../../src/stores/redis/keys.ts";
import { chunksOf } from "../alerts.ts";
import { type Arm, inParallel, measured, type Sample, type SampleRequest } from "./arm.ts";
import { openStorm } from "./becalm.ts";

const PIPELINE_WRITES = 1_000;
const PIPELINES_AT_ONCE = 2;

type Write = { readonly command: "set" | "append"; readonly key: string; readonly text: string };

/** Recording takes longer than writing, so what the last request wrote is kept. */
let recorded: { readonly what: string; readonly writes: readonly Write[] } | null = null;

export const ceiling: Arm = (request) => writeAgain(request, { isPacked: true });
export const ceilingApart: Arm = (request) => writeAgain(request, { isPacked: false });

async function writeAgain(request: SampleRequest, { isPacked }: { isPacked: boolean }): Promise<Sample> {
  const what = `${request.work} ${request.count}`;
  if (recorded?.what !== what) recorded = { what, writes: await recordWrites(request, isPacked) };
  const { writes } = recorded;
  const redis = new Redis(request.url as string);
  const sample = await measured(request.count, async () => {
    const chunks = chunksOf(writes, PIPELINE_WRITES);
    await inParallel(PIPELINES_AT_ONCE, async () => {
      for (const chunk of chunks) {
        const pipeline = redis.pipeline();
        for (const { command, key, text } of chunk) pipeline[command](key, text);
        await pipeline.exec();
      }
    });
  });
  await redis.quit();
  return sample;
}

async function recordWrites({ work, count, logPath }: SampleRequest, isPacked: boolean): Promise<Write[]> {
  const writes: Write[] = [];
  const store = recording(memoryStore(), { writes, isPacked });
  const storm = await openStorm(store, { work, count, logPath });
  await storm.run({ count });
  await storm.close();
  return writes;
}

function recording(store: Store, { writes, isPacked }: { writes: Write[]; isPacked: boolean }): Store {
  const keysOf = redisKeys({ prefix: "becalm", namespace: "bench" }, 16);
  const commit: Store["commit"] = (given) => {
    for (const { id, expectedVersion, head, body, historyLines } of given.instances) {
      const checkpoint = `${expectedVersion + 1} ${head} ${body}`;
      const lines = historyLines.join("\n");
      const key = keysOf.instance(given.partition, id);
      if (expectedVersion === 0 && isPacked) writes.push({ command: "set", key, text: `${checkpoint}\n${lines}` });
      else {
        // What goes over the wire: the script keeps the first commit's lines in the server.
        writes.push({ command: "set", key, text: checkpoint });
        writes.push({ command: "append", key: keysOf.history(given.partition, id), text: `${lines}\n` });
      }
    }
    return store.commit(given);
  };
  return new Proxy(store, {
    get: (target, name) => {
      if (name === "commit") return commit;
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

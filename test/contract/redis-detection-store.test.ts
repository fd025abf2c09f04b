import { Cluster, Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { KeyConfig } from "../../src/detection/core/checkpoint-keys.ts";
import { redisDetectionStore } from "../../src/stores/redis/redis-detection-store.ts";
import {
  allowOnlyWhatIsDocumented,
  asLimitedUser,
  startRedis,
  useRedis,
  useRedisCluster,
} from "../support/redis-server.ts";
import { type DetectionStoreWorld, detectionStoreContract } from "./detection-store-contract.ts";
import { serverTimePasses } from "./redis-world.ts";

const server = useRedis();
const cluster = useRedisCluster({ masters: 3 });
let clock: Redis;
let clusterClock: Redis;
let client: Cluster;

beforeAll(async () => {
  clock = new Redis(server.url);
  await allowOnlyWhatIsDocumented(clock);
  clusterClock = new Redis(cluster.addresses[0]?.port as number);
  client = new Cluster([...cluster.addresses]);
});
afterAll(async () => {
  client.disconnect();
  await Promise.all([clock.quit(), clusterClock.quit()]);
});

let streamCount = 0;

function world(target: string | Cluster, timer: Redis, keys?: KeyConfig): DetectionStoreWorld {
  streamCount += 1;
  const options = { stream: `s-${streamCount}`, ...(keys === undefined ? {} : { keys }) };
  const open = () => {
    const store = redisDetectionStore(target, options);
    onTestFinished(() => store.close());
    return store;
  };
  return { store: open(), again: open, outlast: (ms) => serverTimePasses(timer, ms) };
}

detectionStoreContract("redis", (keys) => world(asLimitedUser(server.url), clock, keys));
detectionStoreContract("redis cluster", (keys) => world(client, clusterClock, keys));

describe("streams and namespaces on one server", () => {
  test("do not see each other", async () => {
    const level = { strategyId: "s", itemId: 1, dimensionsMd5: "m", level: "l" };
    const stores = [{}, { stream: "other" }, { namespace: "other" }, { keyPrefix: "other" }].map((options) =>
      redisDetectionStore(server.url, options),
    );
    for (const [index, store] of stores.entries()) await store.setCheckpoint(level, index + 1);
    expect(await Promise.all(stores.map((store) => store.getCheckpoint(level)))).toEqual([1, 2, 3, 4]);
    await Promise.all(stores.map((store) => store.close()));
  });

  test.each(["", "a b", "{x}", "a/b", "x".repeat(65)])("refuse %j as a stream's name", (stream) => {
    expect(() => redisDetectionStore(server.url, { stream })).toThrow(/is not a valid name/);
  });

  test("a stream on a server that is out of memory can be read, and says so when it is to be written", async () => {
    const own = await startRedis();
    onTestFinished(() => own.stop());
    const [store, raw] = [redisDetectionStore(own.url), new Redis(own.url)];
    onTestFinished(async () => void (await Promise.all([store.close(), raw.quit()])));
    const level = { strategyId: "s", itemId: 1, dimensionsMd5: "m", level: "l" };
    await store.setCheckpoint(level, 7);
    await raw.config("SET", "maxmemory", "1");
    expect(await store.load(["g"])).toMatchObject({ version: 0, alertCount: 0 });
    expect([await store.getCheckpoint(level), await store.checkResults(level)]).toEqual([7, []]);
    await expect(store.setCheckpoint(level, 8)).rejects.toMatchObject({ code: "BECALM_STORE_FULL" });
  });

  test("a stream that cannot be reached says where it is", async () => {
    const store = redisDetectionStore("redis://127.0.0.1:1");
    await expect(store.load([])).rejects.toMatchObject({ code: "BECALM_STORE_UNAVAILABLE" });
    await store.close();
  });
});

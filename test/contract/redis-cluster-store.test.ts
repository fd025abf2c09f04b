import { Cluster, Redis } from "ioredis";
import { afterAll, beforeAll } from "vitest";
import { useRedisCluster } from "../support/redis-server.ts";
import { redisWorld } from "./redis-world.ts";
import { storeContract } from "./store-contract.ts";

const cluster = useRedisCluster({ masters: 3 });
let client: Cluster;
let clock: Redis;
beforeAll(() => {
  client = new Cluster([...cluster.addresses]);
  clock = new Redis(cluster.addresses[0]?.port as number);
});
afterAll(async () => {
  client.disconnect();
  await clock.quit();
});

storeContract("redis cluster", async () => redisWorld(client, clock), { partitions: 7 });

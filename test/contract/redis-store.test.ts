import { Redis } from "ioredis";
import { afterAll, beforeAll } from "vitest";
import { useRedis } from "../support/redis-server.ts";
import { redisWorld } from "./redis-world.ts";
import { storeContract } from "./store-contract.ts";
import { storeProperties } from "./store-properties.ts";

const server = useRedis();
let clock: Redis;
beforeAll(() => {
  clock = new Redis(server.url);
});
afterAll(() => clock.quit());

storeContract("redis", async () => redisWorld(server.url, clock));
storeProperties("redis", async () => redisWorld(server.url, clock), { runs: 15 });

import { Redis } from "ioredis";
import { afterAll, beforeAll } from "vitest";
import { allowOnlyWhatIsDocumented, asLimitedUser, useRedis } from "../support/redis-server.ts";
import { redisWorld } from "./redis-world.ts";
import { storeContract } from "./store-contract.ts";
import { storeProperties } from "./store-properties.ts";

const server = useRedis();
let clock: Redis;
beforeAll(async () => {
  clock = new Redis(server.url);
  await allowOnlyWhatIsDocumented(clock);
});
afterAll(() => clock.quit());

// A user who may do what docs/operating.md lists, and nothing else.
storeContract("redis", async () => redisWorld(asLimitedUser(server.url), clock));
storeProperties("redis", async () => redisWorld(server.url, clock), { runs: 15 });

import { setTimeout as delay } from "node:timers/promises";
import type { Cluster, Redis } from "ioredis";
import { onTestFinished } from "vitest";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import type { StoreWorld } from "./store-contract.ts";

let namespaceCount = 0;

/** A store in a namespace of its own. `target`: a URL or a client; `clock`: a client to ask for the server's time. */
export function redisWorld(target: string | Redis | Cluster, clock: Redis): StoreWorld {
  namespaceCount += 1;
  const store = redisStore(target, { namespace: `ns-${namespaceCount}` });
  onTestFinished(() => store.close());
  return { store, outlast: (ms) => serverTimePasses(clock, ms) };
}

/** Nobody can move a server's clock, so this asks it until it has gone far enough. */
export async function serverTimePasses(clock: Redis, ms: number): Promise<void> {
  const untilMs = (await serverTimeMs(clock)) + ms;
  for (let asked = 0; asked < 1_000; asked += 1) {
    if ((await serverTimeMs(clock)) > untilMs) return;
    await delay(5);
  }
  throw new Error(`the server's clock did not pass ${ms} ms`);
}

async function serverTimeMs(clock: Redis): Promise<number> {
  const [seconds, microseconds] = await clock.time();
  return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
}

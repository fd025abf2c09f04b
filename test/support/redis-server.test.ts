import { access } from "node:fs/promises";
import { Cluster, Redis } from "ioredis";
import { describe, expect, test } from "vitest";
import { startRedis, useRedis, useRedisCluster } from "./redis-server.ts";

async function ask<T>(url: string, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(url, { maxRetriesPerRequest: 1 });
  try {
    return await question(client);
  } finally {
    client.disconnect();
  }
}

describe("a Redis server for tests", () => {
  const redis = useRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });

  test("keeps what an append-only file holds over a crash and a restart, at the same address", async () => {
    await ask(redis.url, (client) => client.set("kept", "yes"));
    const crashedPid = redis.pid;
    await redis.kill9();
    await redis.restart();
    expect(redis.pid).not.toBe(crashedPid);
    expect(await ask(redis.url, (client) => client.get("kept"))).toBe("yes");
  });

  test("is empty after a flush", async () => {
    await ask(redis.url, (client) => client.set("gone", "soon"));
    await redis.flush();
    expect(await ask(redis.url, (client) => client.dbsize())).toBe(0);
  });

  test("leaves neither process nor directory behind when it is stopped, also when stopped twice", async () => {
    const server = await startRedis();
    const dir = await ask(server.url, async (client) => ((await client.config("GET", "dir")) as string[])[1] as string);
    await server.stop();
    await server.stop();
    expect(() => process.kill(server.pid, 0)).toThrow("ESRCH");
    await expect(access(dir)).rejects.toThrow("ENOENT");
  });

  test("says what the server said when it cannot start", async () => {
    await expect(startRedis({ args: ["--maxmemory-policy", "nonsense"] })).rejects.toThrow(/ended before it was ready/);
  });
});

describe("a Redis Cluster for tests", () => {
  const cluster = useRedisCluster();

  test("takes a write to any slot as soon as it is started", async () => {
    const client = new Cluster([...cluster.addresses]);
    const keys = Array.from({ length: 64 }, (_, index) => `key-${index}`);
    await Promise.all(keys.map((key) => client.set(key, key)));
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys);
    client.disconnect();
  });
});

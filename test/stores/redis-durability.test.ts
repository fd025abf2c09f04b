/** How durable a deployment is: what it says of itself, waiting for replicas, and what is known of commits that a server has lost. */
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { CommitLedger } from "../../src/stores/redis/commit-ledger.ts";
import { type RedisStoreOptions, redisStore } from "../../src/stores/redis/redis-store.ts";
import { parseRedisUrl } from "../../src/stores/redis/redis-url.ts";
import type { Store } from "../../src/stores/store.ts";
import { commitOf, newInstance } from "../contract/store-fixtures.ts";
import { type RedisServer, startRedis, useRedisCluster } from "../support/redis-server.ts";

const UNAVAILABLE = { code: "BECALM_STORE_UNAVAILABLE" };

async function server(...args: string[]): Promise<RedisServer> {
  const started = await startRedis({ args });
  onTestFinished(() => started.stop());
  return started;
}

async function opened(url: string, options: RedisStoreOptions = {}): Promise<Store> {
  const store = redisStore(url, options);
  onTestFinished(() => store.close());
  await store.open({ mode: "live", partitions: 4 });
  return store;
}

function clientOf({ url }: RedisServer): Redis {
  const client = new Redis(url);
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

async function replicaOf(master: RedisServer): Promise<RedisServer> {
  const replica = await server("--replicaof", "127.0.0.1", String(master.port));
  const raw = clientOf(replica);
  await expect.poll(async () => String(await raw.info("replication"))).toContain("link_status:up");
  return replica;
}

const one = (id: string, partition = 0) =>
  commitOf({ commitId: id, partition, instances: [newInstance(`0${partition}-${id}`)] });
const stored = (store: Store, id: string) => store.load({ partition: 0, groupId: null, instanceIds: [`00-${id}`] });

describe("the durability profile of a server", () => {
  test.each([
    ["async", []],
    ["everysec", ["--appendonly", "yes", "--appendfsync", "everysec"]],
    ["always", ["--appendonly", "yes", "--appendfsync", "always"]],
    ["async", ["--appendonly", "yes", "--appendfsync", "no"]],
  ])("is %s with %j", async (profile, args) => {
    const store = await opened((await server(...args)).url);
    const { durability, findings } = await store.describe();
    expect(durability).toBe(profile);
    expect(findings.find(({ what }) => what === "durability")?.is).toMatch(new RegExp(`^${profile}: `));
  });

  test("is unknown to a user who may not ask, and says which right tells it", async () => {
    const asked = await server("--appendonly", "yes");
    await clientOf(asked).acl("SETUSER", "worker", "on", ">secret", "~*", "+@all", "-config");
    const store = await opened(`redis://worker:secret@127.0.0.1:${asked.port}`);
    const { durability, findings } = await store.describe();
    expect(durability).toBe("unknown");
    expect(findings.find(({ what }) => what === "durability")?.is).toContain("+config|get");
  });
});

describe("a store that waits for a replica", () => {
  test("acknowledges a commit when the replica has it", async () => {
    const master = await server();
    const replica = await replicaOf(master);
    const store = await opened(master.url, { durability: { replicas: 1 } });
    expect((await store.describe()).durability).toBe("replicated");
    expect(await store.commit(one("a"))).toBe("applied");
    // Nothing that was acknowledged is lost with the master.
    await master.kill9();
    expect(await clientOf(replica).keys("*:i:00-a")).toHaveLength(1);
  });

  test("refuses what no replica has in time, and tells nobody of it until one has: sent again it is a duplicate", async () => {
    const master = await server();
    const replica = await replicaOf(master);
    const store = await opened(`${master.url}?replicas=1&replicasTimeoutMs=200`);
    process.kill(replica.pid, "SIGSTOP");
    await expect(store.commit(one("a"))).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringMatching(/0 of 1 replicas had it within 200 ms.*Bring the replicas back/),
    });
    await expect(stored(store, "a")).rejects.toMatchObject(UNAVAILABLE);
    process.kill(replica.pid, "SIGCONT");
    await expect.poll(() => store.commit(one("a")).catch(String)).toBe("duplicate");
    expect((await stored(store, "a")).instances.size).toBe(1);
  });

  test("refuses a commit that the server has lost before a replica had it", async () => {
    const master = await server();
    await replicaOf(master);
    const store = await opened(master.url, { durability: { replicas: 1, timeoutMs: 200 } });
    const raw = clientOf(master);
    await raw.config("SET", "min-replicas-to-write", "0");
    // The server forgets commits as soon as they are made, as one that took over without them.
    const forget = setInterval(() => void raw.flushdb().catch(() => undefined), 0);
    onTestFinished(() => clearInterval(forget));
    const outcomes: string[] = [];
    for (let at = 0; !outcomes.at(-1)?.includes("another server took over"); at += 1)
      outcomes.push(await store.commit(one(`a${at}`)).catch(String));
    expect(outcomes.at(-1)).toContain("another server took over that did not have it");
  });

  test("checks what it is asked for", () => {
    for (const replicas of [0, 17, 1.5, Number.NaN])
      expect(() => redisStore("redis://a", { durability: { replicas } })).toThrow(/cannot wait for/);
    expect(() => redisStore("redis://a", { durability: { replicas: 1, timeoutMs: 0 } })).toThrow(/cannot wait 0 ms/);
    expect(parseRedisUrl("redis://a:1/2?replicas=2")).toMatchObject({
      database: 2,
      replication: { replicas: 2, timeoutMs: 1_000 },
    });
    for (const url of [
      "redis://a?replica=1",
      "redis://a?replicas=x",
      "redis://a?replicas=0",
      "redis://a?replicas=1&x=2",
    ])
      expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID" }));
  });
});

describe("commits that were acknowledged and lost", () => {
  test("are named when the server came back without them, once", async () => {
    const lossy = await server();
    const store = await opened(lossy.url);
    expect(await store.pulse()).toMatchObject({ lost: [] });
    await store.commit(one("a"));
    await store.commit(one("b", 1));
    expect((await store.pulse()).lost).toEqual([]);
    await lossy.kill9();
    await lossy.restart();
    await expect.poll(() => store.open({ mode: "live", partitions: 4 }).catch(() => null)).not.toBeNull();
    await store.commit(one("c"));
    const { lost } = await store.pulse();
    expect(lost.map(({ commitId, instanceIds }) => `${commitId} ${instanceIds.join()}`).sort()).toEqual([
      "a 00-a",
      "b 01-b",
    ]);
    expect((await store.pulse()).lost).toEqual([]);
  });

  test("are none when the server kept its promise", async () => {
    const durable = await server("--appendonly", "yes", "--appendfsync", "always");
    const store = await opened(durable.url);
    await store.pulse();
    await store.commit(one("a"));
    await durable.kill9();
    await durable.restart();
    await expect.poll(() => store.pulse().catch(() => null)).toMatchObject({ lost: [] });
  });

  test("are remembered for a minute, and so many of a partition", async () => {
    let nowMs = 0;
    const ledger = new CommitLedger(() => nowMs);
    ledger.remember(one("old"));
    nowMs = 60_001;
    for (let at = 0; at < 2_000; at += 1) ledger.remember(one(`n${at}`));
    const lost = await ledger.lost(async (_, ids) => ids.map(() => false));
    expect(lost.length).toBeGreaterThanOrEqual(512);
    expect(lost.length).toBeLessThanOrEqual(1_024);
    expect(lost.at(-1)?.commitId).toBe("n1999");
    expect(await ledger.lost(async (_, ids) => ids.map(() => false))).toEqual([]);
  });
});

describe("a cluster", () => {
  const cluster = useRedisCluster({ masters: 3 });

  test("has a clock for each master, and a profile", async () => {
    const [first] = cluster.addresses;
    const store = await opened(`redis+cluster://127.0.0.1:${first?.port}`);
    const { clocks } = await store.pulse();
    expect(clocks).toHaveLength(3);
    for (const { nowMs } of clocks) expect(Math.abs(nowMs - Date.now())).toBeLessThan(5_000);
    expect((await store.describe()).durability).toBe("async");
  });

  test("without replicas refuses commits that shall wait for one", async () => {
    const [first] = cluster.addresses;
    const store = await opened(`redis+cluster://127.0.0.1:${first?.port}?replicas=1&replicasTimeoutMs=50`);
    await expect(store.commit(one("a", 3))).rejects.toThrow(/0 of 1 replicas/);
  });
});

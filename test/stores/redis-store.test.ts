/** Where the Redis store puts things, and whose connection it uses. */
import { readdirSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { Cluster, Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { commitArguments } from "../../src/stores/redis/commit-arguments.ts";
import { hashSlot, hashTags, redisKeys } from "../../src/stores/redis/keys.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { scripts } from "../../src/stores/redis/scripts.ts";
import {
  changedInstance,
  commitOf,
  effectOf,
  GROUP,
  groupOf,
  newInstance,
  timerOf,
} from "../contract/store-fixtures.ts";
import { useRedis } from "../support/redis-server.ts";

const SCRIPTS = new URL("../../src/stores/redis/scripts/", import.meta.url);

describe("hash tags", () => {
  test("have the slot that the cluster specification gives", () => {
    expect(hashSlot("123456789")).toBe(0x31c3);
    expect(hashSlot("foo")).toBe(12_182);
  });

  test("put partition p into the p-th of P equal ranges of slots, for every P", () => {
    for (let partitions = 1; partitions <= 100; partitions += 1) {
      const slots = hashTags(partitions).map(hashSlot);
      expect(slots.map((slot) => Math.floor((slot * partitions) / 16_384))).toEqual(
        Array.from({ length: partitions }, (_, p) => p),
      );
    }
  });

  test("never change: stored keys carry them", () => {
    expect(hashTags(16).join(" ")).toMatchInlineSnapshot(`"03 3 0b b 02 2 0c c 01 1 0d d 00 0 0a a"`);
  });

  test("are the same in all keys of a commit", () => {
    const commit = commitOf({
      partition: 3,
      group: groupOf(0, { id: "g{curly}" }),
      instances: [newInstance("03-a"), changedInstance("03-b", 1)],
      effects: [effectOf("e1", { partition: 3 })],
      timersArmed: [timerOf("03-a", 1)],
      membersAdded: [{ set: "held", instanceId: "03-a", order: 1 }],
    });
    const { keys } = commitArguments(3, [commit], redisKeys({ prefix: "becalm", namespace: "default" }, 16));
    expect(keys).toHaveLength(16);
    expect(new Set(keys.map((key) => /\{(.*?)\}/.exec(key)?.[1]))).toEqual(new Set([hashTags(16)[3]]));
  });
});

describe("scripts", () => {
  const files = readdirSync(SCRIPTS);

  test("are all in use", () => {
    const names = Object.keys(scripts).map(
      (name) => `${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}.lua`,
    );
    expect(files.toSorted()).toEqual(names.toSorted());
  });

  test.each(files)("%s says what it does and names no key itself", (file) => {
    const text = readFileSync(new URL(file, SCRIPTS), "utf8");
    const head = text.slice(0, text.search(/^[^#-]/m));
    expect(head).toMatch(/^#!lua( flags=[a-z-]+)?\n-- [A-Z]/);
    for (const part of ["-- KEYS[1]", "-- ARGV[1]", "-- Returns "]) expect(head).toContain(part);
    expect(text).not.toContain("becalm");
  });
});

describe("the target", () => {
  test.each([
    "",
    "localhost",
    "http://localhost",
    "redis://",
    "redis://localhost/abc",
    "redis://user:secret@host:port",
  ])("%j is refused", (url) => {
    expect(() => redisStore(url)).toThrow(expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID" }));
    expect(() => redisStore(url)).not.toThrow(/secret/);
  });

  test.each(["", "a b", "a:b", "{a}", "x".repeat(65)])("does not take the namespace %j", (namespace) => {
    expect(() => redisStore("redis://localhost", { namespace })).toThrow(
      expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID" }),
    );
  });

  test.each(["", "a b", "{a}"])("does not take the key prefix %j", (keyPrefix) => {
    expect(() => redisStore("redis://localhost", { keyPrefix })).toThrow(
      expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID" }),
    );
  });

  test("is not connected to before the first call", async () => {
    let connectionCount = 0;
    const listener = createServer((socket) => {
      connectionCount += 1;
      socket.end();
    });
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void listener.close());
    await redisStore(`redis://127.0.0.1:${(listener.address() as AddressInfo).port}`).close();
    expect(connectionCount).toBe(0);
  });
});

describe("on a server", () => {
  const server = useRedis();

  async function opened(target: string | Redis, options: Parameters<typeof redisStore>[1] = {}) {
    const store = redisStore(target, options);
    onTestFinished(() => store.close());
    await store.open({ mode: "live", partitions: 16 });
    return store;
  }

  function clientOf(url: string): Redis {
    const client = new Redis(url);
    onTestFinished(() => client.disconnect());
    return client;
  }

  test("the database of the URL is used", async () => {
    await server.flush();
    await opened(`${server.url}/5`);
    expect(await clientOf(server.url).dbsize()).toBe(0);
    expect(await clientOf(`${server.url}/5`).keys("*")).toEqual(["becalm:default:meta"]);
  });

  test("a database that the server does not have is refused, before anything is written into another one", async () => {
    await server.flush();
    const store = redisStore(`${server.url}/99`);
    onTestFinished(() => store.close());
    for (const open of [() => store.open({ mode: "live", partitions: 16 }), () => store.open({})])
      await expect(open()).rejects.toMatchObject({
        code: "BECALM_STORE_UNAVAILABLE",
        message: expect.stringMatching(/\/99 cannot be used: ERR DB index is out of range\. Use a number/),
      });
    expect(await clientOf(server.url).dbsize()).toBe(0);
  });

  test("the time of a namespace that is gone is not written: half a namespace could not be opened", async () => {
    await server.flush();
    const store = await opened(server.url);
    await server.flush();
    await expect(store.advanceTime(5)).rejects.toMatchObject({
      code: "BECALM_STORE_FAILED",
      message: expect.stringContaining('no longer has the namespace "default"'),
    });
    expect(await clientOf(server.url).dbsize()).toBe(0);
  });

  test("a namespace of which only a time was left is made anew, at that time", async () => {
    await server.flush();
    await clientOf(server.url).hset("becalm:default:meta", "highestTimeMs", "7");
    const store = redisStore(server.url);
    onTestFinished(() => store.close());
    expect(await store.open({})).toBeNull();
    const made = { mode: "virtual", partitions: 16, highestTimeMs: 7, format: 3 } as const;
    expect(await store.open({ mode: "virtual", partitions: 16 })).toEqual(made);
  });

  test("a namespace without a format was made before there was one", async () => {
    await server.flush();
    await clientOf(server.url).hset("becalm:default:meta", "mode", "live", "partitions", "16");
    const store = await opened(server.url);
    expect(await store.open({})).toMatchObject({ format: 1 });
    expect(await store.raiseFormat(2)).toBe(2);
    expect(await store.open({})).toMatchObject({ format: 2 });
    await server.flush();
    await expect(store.raiseFormat(2)).rejects.toMatchObject({ code: "BECALM_STORE_FAILED" });
  });

  test("namespaces and key prefixes do not see each other", async () => {
    const stores = [await opened(server.url, { namespace: "one" }), await opened(server.url, { namespace: "two" })];
    stores.push(await opened(server.url, { namespace: "one", keyPrefix: "other" }));
    await stores[0]?.commit(
      commitOf({ group: groupOf(0), instances: [newInstance("00-a")], timersArmed: [timerOf("00-a", 1)] }),
    );
    await stores[0]?.lock.acquire({ key: GROUP, partition: 0, slots: 1, leaseMs: 60_000 });
    for (const store of stores.slice(1)) {
      expect(await store.list({ limit: 5 })).toEqual({ instances: [], next: null });
      expect(await store.timers({ lane: "work", untilMs: 5, limit: 5 })).toEqual([]);
      expect(await store.lock.acquire({ key: GROUP, partition: 0, slots: 1, leaseMs: 60_000 })).not.toBeNull();
    }
  });

  test("a client of the caller's stays open, and learns to notice a silent server; its own settings stay", async () => {
    await server.flush();
    const client = clientOf(server.url);
    const store = await opened(client);
    expect(await store.commit(commitOf({ group: groupOf(0), instances: [newInstance("00-a")] }))).toBe("applied");
    expect(await store.history("00-a")).toEqual(["birth of 00-a"]);
    await store.close();
    expect(await client.ping()).toBe("PONG");
    expect(client.options.socketTimeout).toBe(3_000);
    const patient = new Redis(server.url, { socketTimeout: 60_000, lazyConnect: true });
    redisStore(patient);
    expect(patient.options.socketTimeout).toBe(60_000);
  });

  test("histories that are asked for at once are read at once, each for whoever asked", async () => {
    await server.flush();
    const store = await opened(server.url);
    const ids = Array.from({ length: 40 }, (_, number) => `00-${number}`);
    await store.commit(commitOf({ group: groupOf(0), instances: ids.map((id) => newInstance(id)) }));
    const raw = clientOf(server.url);
    await raw.config("RESETSTAT");
    const histories = await Promise.all([...ids, "00-unknown", "01-unknown"].map((id) => store.history(id)));
    expect(histories).toEqual([...ids.map((id) => [`birth of ${id}`]), null, null]);
    expect(await raw.info("commandstats")).toMatch(/^cmdstat_mget:calls=2,/m);
  });

  test("a client that would put keys elsewhere, or read from replicas, is refused with what to change", () => {
    const nowhere = [{ host: "127.0.0.1", port: 1 }];
    const clients = [
      new Redis({ keyPrefix: "mine:", lazyConnect: true }),
      new Redis({ role: "slave", sentinels: nowhere, name: "m", lazyConnect: true }),
      new Cluster(nowhere, { redisOptions: { keyPrefix: "mine:" } as object, lazyConnect: true }),
      new Cluster(nowhere, { scaleReads: "all", lazyConnect: true }),
    ];
    for (const client of clients)
      expect(() => redisStore(client)).toThrow(expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID" }));
  });

  test("a cluster without reachable nodes is reported, not waited for", async () => {
    const cluster = new Cluster([{ host: "127.0.0.1", port: 1 }], { clusterRetryStrategy: () => null });
    cluster.on("error", () => undefined);
    onTestFinished(() => cluster.disconnect());
    await expect(redisStore(cluster).open({})).rejects.toMatchObject({ code: "BECALM_STORE_UNAVAILABLE" });
  });
});

/** Servers that are silent, follow another one, are watched by sentinels, lie in a cluster, or refuse for a moment. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { RedisConnection } from "../../src/stores/redis/connection.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { parseRedisUrl } from "../../src/stores/redis/redis-url.ts";
import type { Store } from "../../src/stores/store.ts";
import { commitOf, newInstance } from "../contract/store-fixtures.ts";
import { ownMs } from "../support/own-time.ts";
import { type RedisServer, startRedis, useRedis, useRedisCluster } from "../support/redis-server.ts";

const UNAVAILABLE = { code: "BECALM_STORE_UNAVAILABLE" };

async function server(...args: string[]): Promise<RedisServer> {
  const started = await startRedis({ args });
  onTestFinished(() => started.stop());
  return started;
}

/** Long enough for what comes soon, on any machine. */
const PATIENT_MS = 60_000;

function storeAt(target: string | Redis, callTimeoutMs = 1_000): Store {
  const store = redisStore(target, { callTimeoutMs });
  onTestFinished(() => store.close());
  return store;
}

async function opened(target: string | Redis, callTimeoutMs?: number): Promise<Store> {
  const store = storeAt(target, callTimeoutMs);
  await store.open({ mode: "live", partitions: 4 });
  return store;
}

function clientOf({ url }: RedisServer): Redis {
  const client = new Redis(url);
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

const every = (store: Store): Promise<unknown>[] => [
  store.commit(commitOf({ instances: [newInstance("00-a")] })),
  store.load({ partition: 0, groupId: null, instanceIds: ["00-a"] }),
  store.timers({ lane: "work", untilMs: 5, limit: 5 }),
  store.claimEffects({ owner: "o", leaseMs: 1_000, limit: 5 }),
  store.list({ limit: 5 }),
  store.lock.acquire({ key: "g", partition: 0, slots: 2, leaseMs: 1_000 }),
  store.policies(),
];

describe("a silent server", () => {
  test("that was stopped is not waited for beyond the deadline of a call, and is used again when it goes on", async () => {
    const stopped = await server();
    const store = await opened(stopped.url);
    process.kill(stopped.pid, "SIGSTOP");
    for (let round = 0; round < 3; round += 1) {
      const calls = every(store).map((call) => expect(call).rejects.toMatchObject(UNAVAILABLE));
      expect(await ownMs(() => Promise.all(calls))).toBeLessThan(2_000);
    }
    process.kill(stopped.pid, "SIGCONT");
    await expect
      .poll(() => store.commit(commitOf({ instances: [newInstance("01-b")], partition: 1 })).catch(() => "not yet"))
      .toMatch(/applied|duplicate/);
  });

  test("answers thousands of calls that come while it is stopped", async () => {
    const stopped = await server();
    const store = await opened(stopped.url);
    process.kill(stopped.pid, "SIGSTOP");
    const calls = Array.from({ length: 5_000 }, (_, index) =>
      store.commit(commitOf({ instances: [newInstance(`00-${index}`)] })).catch((error: unknown) => error),
    );
    const answers = await Promise.all(calls);
    expect(new Set(answers.map((answer) => (answer as { code?: string }).code))).toEqual(new Set([UNAVAILABLE.code]));
    process.kill(stopped.pid, "SIGCONT");
  });

  test("behind a balancer that accepts and closes is told so", async () => {
    const balancer = createServer((socket) => socket.destroy()).listen(0, "127.0.0.1");
    onTestFinished(() => void balancer.close());
    await once(balancer, "listening");
    const store = storeAt(`redis://127.0.0.1:${(balancer.address() as AddressInfo).port}`);
    const opening = expect(store.open({ mode: "live", partitions: 4 })).rejects.toMatchObject(UNAVAILABLE);
    expect(await ownMs(() => opening)).toBeLessThan(2_000);
  });

  test("is noticed with a client of the caller's as well", async () => {
    const stopped = await server();
    const client = new Redis(stopped.url, { maxRetriesPerRequest: null });
    client.on("error", () => undefined);
    onTestFinished(() => client.disconnect());
    const store = await opened(client);
    process.kill(stopped.pid, "SIGSTOP");
    expect(await ownMs(() => expect(store.list({ limit: 1 })).rejects.toMatchObject(UNAVAILABLE))).toBeLessThan(2_000);
    process.kill(stopped.pid, "SIGCONT");
  });
});

describe("a replica", () => {
  test("is refused when a namespace is opened for writing, with its master; reading it is allowed", async () => {
    const master = await server();
    await opened(master.url);
    const replica = await server("--replicaof", "127.0.0.1", String(master.port));
    const raw = clientOf(replica);
    await expect.poll(async () => String(await raw.info("replication"))).toContain("link_status:up");
    await expect(storeAt(replica.url).open({ mode: "live", partitions: 4 })).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringMatching(new RegExp(`is a replica of 127.0.0.1:${master.port}.*redis\\+sentinel://`)),
    });
    expect(await storeAt(replica.url).open({})).toMatchObject({ mode: "live" });
  });

  test("that a master has become refuses commits within the deadline, in its own words", async () => {
    const master = await server();
    const other = await server();
    const store = await opened(master.url);
    await clientOf(master).replicaof("127.0.0.1", String(other.port));
    const commit = expect(store.commit(commitOf())).rejects.toMatchObject({
      ...UNAVAILABLE,
      message: expect.stringMatching(/READONLY.*It is a replica: use the URL of the master, or redis\+sentinel:\/\//),
    });
    expect(await ownMs(() => commit)).toBeLessThan(2_000);
  });
});

describe("a server that refuses for a moment", () => {
  test("because replicas are missing (NOREPLICAS) is asked again, and then says so", async () => {
    const lonely = await server();
    const [store, patient] = [await opened(lonely.url), await opened(lonely.url, PATIENT_MS)];
    const raw = clientOf(lonely);
    await raw.config("SET", "min-replicas-to-write", "1");
    await expect(store.commit(commitOf())).rejects.toThrow(/NOREPLICAS.*Too few replicas follow it/);
    const waiting = patient.commit(commitOf());
    setTimeout(() => void raw.config("SET", "min-replicas-to-write", "0"), 300);
    expect(await waiting).toBe("applied");
  });

  test("because somebody's script runs (BUSY) is asked again, and then says so", async () => {
    const busy = await server("--busy-reply-threshold", "50");
    const [store, patient] = [await opened(busy.url), await opened(busy.url, PATIENT_MS)];
    const raw = clientOf(busy);
    const killer = clientOf(busy);
    await killer.ping();
    const script = raw.eval("while true do end", 0).catch(() => "killed");
    await expect.poll(() => killer.ping().catch(String)).toContain("BUSY");
    await expect(store.list({ limit: 1 })).rejects.toThrow(/BUSY.*SCRIPT KILL/);
    const waiting = patient.list({ limit: 1 });
    setTimeout(() => void killer.script("KILL"), 200);
    expect(await waiting).toMatchObject({ instances: [] });
    expect(await script).toBe("killed");
  });

  test("because its disk is full (MISCONF) says so at once", async () => {
    const broken = await server("--save", "3600 1", "--dbfilename", "dump.rdb");
    const store = await opened(broken.url);
    const raw = clientOf(broken);
    await raw.config("SET", "rdbcompression", "no");
    await raw.set("a", "b");
    // A folder of the dump's name: saving it fails.
    const [, dir] = (await raw.config("GET", "dir")) as [string, string];
    await mkdir(join(dir, "dump.rdb"), { recursive: true });
    await raw.bgsave().catch(() => undefined);
    await expect.poll(async () => String(await raw.info("persistence"))).toContain("bgsave_status:err");
    const refusal = await store.commit(commitOf()).catch(String);
    // A server that cannot save does not end either.
    await raw.config("SET", "save", "");
    expect(refusal).toMatch(/MISCONF.*make room or repair the disk/);
  });
});

describe("a server that evicts keys", () => {
  test("is refused when a namespace is opened for writing", async () => {
    const evicting = await server("--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru");
    await expect(storeAt(evicting.url).open({ mode: "live", partitions: 4 })).rejects.toThrow(
      /evicts keys when its memory is full \(maxmemory-policy allkeys-lru\).*noeviction/,
    );
    expect(await clientOf(evicting).dbsize()).toBe(0);
  });
});

describe("a cluster by its URL", () => {
  const cluster = useRedisCluster({ masters: 3 });

  test("is found from any of its nodes, also when the first one named is gone", async () => {
    const [first] = cluster.addresses;
    const store = await opened(`redis+cluster://127.0.0.1:1,127.0.0.1:${first?.port}`, 5_000);
    const instances = [0, 1, 2, 3].map((partition) =>
      store.commit(commitOf({ partition, instances: [newInstance(`0${partition}-a`)] })),
    );
    expect(await Promise.all(instances)).toEqual(["applied", "applied", "applied", "applied"]);
    expect((await store.list({ limit: 10 })).instances).toHaveLength(4);
  });
});

describe("a master that sentinels watch, by its URL", () => {
  test("is followed when another one takes over, by URL alone", async () => {
    const master = await server();
    const replica = await server("--replicaof", "127.0.0.1", String(master.port));
    const raw = clientOf(replica);
    await expect.poll(async () => String(await raw.info("replication"))).toContain("link_status:up");
    const port = await sentinelOf(master);
    const store = await opened(`redis+sentinel://127.0.0.1:${port}/mine`, 2_000);
    expect(await store.commit(commitOf({ instances: [newInstance("00-a")] }))).toBe("applied");
    const sentinel = new Redis(port);
    onTestFinished(() => sentinel.disconnect());
    await expect
      .poll(() => sentinel.call("SENTINEL", "FAILOVER", "mine").catch((error: Error) => error.message))
      .toBe("OK");
    await expect.poll(async () => String(await raw.info("replication"))).toContain("role:master");
    // Until then the old one still takes commits, which the failover loses.
    const old = clientOf(master);
    await expect.poll(async () => String(await old.info("replication"))).toContain("role:slave");
    await expect
      .poll(() => store.commit(commitOf({ instances: [newInstance("01-b")], partition: 1 })).catch(String))
      .toMatch(/applied|duplicate/);
    expect(await raw.keys("*:i:01-b")).toHaveLength(1);
  });

  test.each([
    ["a client of its own", (port: number) => `redis+sentinel://127.0.0.1:${port}/mine`],
    ["a client of the caller's", sentinelClient],
  ])("is found again by %s if a failover is announced while it asks for the master", async (_, targetOf) => {
    const connection = connectionTo(targetOf(await sentinelOf(await server())));
    const client = connection.client as Redis;
    const ping = () => connection.run(() => client.ping());
    expect(await ping()).toBe("PONG");
    const isEnded = endOf(client);
    // What the announcement does, at that moment (FailoverDetector of ioredis).
    client.once("connecting", () => (client as unknown as Announced).connector.disconnect());
    client.disconnect(true);
    await isEnded;
    expect(await ping()).toBe("PONG");
  });

  test("is left alone by a client that its caller has closed, whatever that was doing", async () => {
    const client = sentinelClient(await sentinelOf(await server()));
    const connection = connectionTo(client);
    const endedBy = async (close: () => unknown) => {
      const isEnded = endOf(client);
      close();
      await isEnded;
      expect(client.status).toBe("end");
    };
    expect(await connection.run(() => client.ping())).toBe("PONG");
    await endedBy(() => client.disconnect());
    const connecting = client.connect().catch(() => "ended");
    await endedBy(() => client.disconnect());
    expect(await connecting).toBe("ended");
  });
});

type Announced = { readonly connector: { disconnect(): void } };

function endOf(client: Redis): Promise<void> {
  return new Promise((resolve) => client.once("end", () => resolve()));
}

function sentinelClient(port: number): Redis {
  const client = new Redis({ sentinels: [{ host: "127.0.0.1", port }], name: "mine" });
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  return client;
}

function connectionTo(target: string | Redis): RedisConnection {
  const connection = new RedisConnection(target);
  onTestFinished(() => connection.close());
  return connection;
}

/** A sentinel that watches `master` as "mine" alone. Returns its port. */
async function sentinelOf(master: RedisServer): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), "becalm-sentinel-"));
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  const config = join(dir, "sentinel.conf");
  await writeFile(
    config,
    `port ${port}\nbind 127.0.0.1\ndir ${dir}\nsentinel monitor mine 127.0.0.1 ${master.port} 1\nsentinel down-after-milliseconds mine 2000\nsentinel failover-timeout mine 5000\n`,
  );
  const child: ChildProcess = spawn("redis-server", [config, "--sentinel"], { stdio: "ignore" });
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await rm(dir, { recursive: true, force: true });
  });
  const client = new Redis({ port, lazyConnect: true, retryStrategy: (times) => Math.min(times * 50, 500) });
  client.on("error", () => undefined);
  onTestFinished(() => client.disconnect());
  await expect
    .poll(() => client.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mine").catch(() => null))
    .toEqual(["127.0.0.1", String(master.port)]);
  return port;
}

describe("a URL", () => {
  test("names a server, a master that sentinels watch, or a cluster", () => {
    expect(parseRedisUrl("redis://localhost")).toMatchObject({
      kind: "server",
      addresses: [{ host: "localhost", port: 6_379 }],
      database: 0,
    });
    expect(parseRedisUrl("rediss://us%40er:p%3Aw@[::1]:7/3")).toEqual({
      kind: "server",
      addresses: [{ host: "::1", port: 7 }],
      name: null,
      database: 3,
      username: "us@er",
      password: "p:w",
      hasTls: true,
    });
    expect(parseRedisUrl("redis+sentinel://:secret@a,b:7/my-master/2")).toMatchObject({
      kind: "sentinel",
      addresses: [
        { host: "a", port: 26_379 },
        { host: "b", port: 7 },
      ],
      name: "my-master",
      database: 2,
      username: null,
      password: "secret",
    });
    expect(parseRedisUrl("rediss+cluster://a:1,b")).toMatchObject({ kind: "cluster", hasTls: true, name: null });
  });

  test.each([
    "redis://a,b",
    "redis+sentinel://a",
    "redis+sentinel://a/",
    "redis+cluster://a/1",
    "redis+cluster://a,,b",
    "redis+ring://a",
    "redis://a:70000",
    "redis://user:sec%ret@a",
  ])("%s is refused without its password", (url) => {
    expect(() => parseRedisUrl(url)).toThrow(expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID" }));
    expect(() => parseRedisUrl(url)).not.toThrow(/sec/);
  });
});

const shared = useRedis();
test("a call's deadline is a whole number of at least 1 ms", () => {
  for (const callTimeoutMs of [0, -1, 1.5, Number.NaN])
    expect(() => redisStore(shared.url, { callTimeoutMs })).toThrow(/cannot take/);
});

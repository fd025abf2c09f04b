/** What only a server can do to a store: fill up, die, come back, lose an answer, forget its scripts. */
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { Redis } from "ioredis";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { DetectionCommit } from "../../src/detection/detection-store.ts";
import { RedisConnection } from "../../src/stores/redis/connection.ts";
import { redisDetectionStore } from "../../src/stores/redis/redis-detection-store.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import type { Commit, Store } from "../../src/stores/store.ts";
import {
  changedInstance,
  commitOf,
  effectOf,
  everythingIn,
  groupOf,
  newInstance,
  timerOf,
} from "../contract/store-fixtures.ts";
import { startCuttingProxy } from "../support/cutting-proxy.ts";
import { ownMs } from "../support/own-time.ts";
import { useRedis } from "../support/redis-server.ts";

const PASSED_BYTES = "$7\r\napplied\r\n".length * 3 + 5;

const server = useRedis();
let raw: Redis;
let store: Store;

beforeEach(async () => {
  await server.flush();
  raw = new Redis(server.url);
  raw.on("error", () => undefined);
  store = await openStore(server.url);
});
afterEach(() => raw.disconnect());

async function openStore(target: string | Redis): Promise<Store> {
  const opened = redisStore(target);
  onTestFinished(() => opened.close());
  await opened.open({ mode: "live", partitions: 4 });
  return opened;
}

const full: Partial<Commit> = {
  instances: [newInstance("00-a")],
  group: groupOf(0),
  effects: [effectOf("e1")],
  timersArmed: [timerOf("00-a", 5)],
  membersAdded: [{ set: "waiters", instanceId: "00-a", order: 1 }],
};

/** Every key with its serialised value. */
async function bytesOfAllKeys(): Promise<Record<string, string>> {
  const keys = (await raw.keys("*")).sort();
  const values = await Promise.all(keys.map(async (key) => (await raw.dumpBuffer(key))?.toString("hex") ?? ""));
  return Object.fromEntries(keys.map((key, index) => [key, values[index] as string]));
}

describe("a server that is out of memory", () => {
  test("refuses a commit as BECALM_STORE_FULL with nothing written, and takes the same one when it has room", async () => {
    await store.commit(commitOf({ instances: [newInstance("00-old")] }));
    const before = await bytesOfAllKeys();
    await raw.config("SET", "maxmemory", "1");
    const commit = commitOf(full);
    await expect(store.commit(commit)).rejects.toMatchObject({ code: "BECALM_STORE_FULL" });
    await expect(store.savePolicies([{ key: "p@1", value: "{}" }])).rejects.toMatchObject({
      code: "BECALM_STORE_FULL",
    });
    await expect(store.lock.acquire({ key: "g", partition: 0, slots: 1, leaseMs: 1_000 })).rejects.toMatchObject({
      code: "BECALM_STORE_FULL",
    });
    expect(await bytesOfAllKeys()).toEqual(before);
    await raw.config("SET", "maxmemory", "0");
    expect(await store.commit(commit)).toBe("applied");
  });

  test("still answers what reads, and still lets instances be removed", async () => {
    await store.commit(commitOf({ instances: [newInstance("00-old")] }));
    await raw.config("SET", "maxmemory", "1");
    expect(await store.history("00-old")).toEqual(["birth of 00-old"]);
    expect((await store.list({ limit: 5 })).instances).toHaveLength(1);
    expect(await store.remove("00-old", 1)).toBe(true);
    await raw.config("SET", "maxmemory", "0");
  });
});

describe("a refused commit", () => {
  test.each<[string, Partial<Commit>]>([
    ["conflict", { ...full, instances: [newInstance("00-b"), changedInstance("00-a", 7)], group: groupOf(1) }],
    ["conflict", { ...full, instances: [newInstance("00-b")], group: groupOf(5) }],
    ["fenced", { ...full, instances: [newInstance("00-b")], group: groupOf(1), owner: "engine-b" }],
  ])("(%s) leaves every byte of every key as it was", async (outcome, parts) => {
    await store.commit(commitOf(full));
    await store.lease({ groupId: groupOf(0).id, partition: 0, owner: "engine-a", ttlMs: 600_000 });
    const before = await bytesOfAllKeys();
    expect(await store.commit(commitOf(parts))).toBe(outcome);
    expect(await bytesOfAllKeys()).toEqual(before);
  });
});

describe("a commit that the server cannot apply", () => {
  const BROKEN = "a group whose key holds something else";
  const parts = (instance: string, group: Commit["group"]): Partial<Commit> => ({
    group,
    instances: [newInstance(instance)],
    effects: [effectOf(`${instance}:1`)],
    timersArmed: [timerOf(instance, 5), timerOf(instance, 6, { lane: "approval" })],
  });

  test("fails alone: those sent with it are whole, and what follows it is refused", async () => {
    await store.commit(commitOf({ group: groupOf(0, { id: BROKEN }) }));
    const key = (await raw.keys("*")).find((name) => name.endsWith(`:g:${BROKEN}`)) as string;
    await raw.del(key);
    await raw.rpush(key, "not a text");
    const broken = commitOf(parts("00-b", groupOf(1, { id: BROKEN })));
    const commits = [
      commitOf(parts("00-a", groupOf(0, { id: "before" }))),
      broken,
      commitOf({ ...parts("00-c", groupOf(0, { id: "follows" })), afterCommitId: broken.commitId }),
      commitOf(parts("00-d", groupOf(0, { id: "behind" }))),
    ];
    const settled = await Promise.allSettled(commits.map((commit) => store.commit(commit)));
    expect(settled).toEqual([
      { status: "fulfilled", value: "applied" },
      { status: "rejected", reason: expect.objectContaining({ code: "BECALM_STORE_FAILED" }) },
      { status: "fulfilled", value: "conflict" },
      { status: "fulfilled", value: "applied" },
    ]);
    expect(settled[1]).toMatchObject({ reason: { message: expect.stringContaining("WRONGTYPE") } });
    expect(await everythingIn(store, [])).toMatchObject({
      instances: [{ id: "00-d" }, { id: "00-a" }],
      effects: [{ id: "00-a:1" }, { id: "00-d:1" }],
      work: [{ owner: "00-a" }, { owner: "00-d" }],
      approvals: [{ owner: "00-a" }, { owner: "00-d" }],
    });
  });

  const group = groupOf(1);
  const again: Partial<Commit> = { instances: [changedInstance("00-a", 1)] };

  test.each<[what: string, key: string, commit: Partial<Commit>]>([
    ["an instance", "i:00-a", again],
    ["a history", "h:00-a", again],
    ["the creation times", "created", { instances: [newInstance("00-b")] }],
    ["the effects", "effects", { effects: [effectOf("00-a:2")] }],
    ["the claims", "claims", { settledEffectIds: ["e1"] }],
    ["the timers", "timers:work", { timersArmed: [timerOf("00-a", 9)] }],
    ["the approvals' timers", "timers:approval", { timersCancelled: [timerOf("00-a", 6, { lane: "approval" })] }],
    ["waiters", `waiters:${group.id}`, { membersAdded: [{ set: "waiters", instanceId: "00-b", order: 2 }] }],
    ["held ones", `held:${group.id}`, { membersRemoved: [{ set: "held", instanceId: "00-a" }] }],
  ])("because %s cannot be written leaves every byte of every key as it was", async (_, end, commit) => {
    await store.commit(
      commitOf({ ...full, timersArmed: [timerOf("00-a", 5), timerOf("00-a", 6, { lane: "approval" })] }),
    );
    const [instance = ""] = await raw.keys("*:i:00-a");
    const key = instance.replace("i:00-a", end);
    await raw.del(key);
    if (/^[ih]:/.test(end)) await raw.rpush(key, "no text");
    else await raw.set(key, "no such thing");
    const before = await bytesOfAllKeys();
    const broken = commitOf({ ...parts("00-c", group), ...commit });
    const behind = commitOf({ afterCommitId: broken.commitId });
    const settled = await Promise.allSettled([broken, behind].map((one) => store.commit(one)));
    expect(settled).toMatchObject([{ reason: { code: "BECALM_STORE_FAILED" } }, { value: "conflict" }]);
    expect(await bytesOfAllKeys()).toEqual(before);
  });
});

function detectionCommit(parts: Partial<DetectionCommit>): DetectionCommit {
  const nothing = { piecesPut: [], piecesRemoved: [], alerts: [], auditEvents: [], groups: [], checkpoints: [] };
  return { commitId: "c", expectedVersion: 0, atMs: 1_000, ...nothing, checkResults: [], ...parts };
}

describe("an instance that cannot be removed whole", () => {
  test.each(["created", "touched"])("because its %s key holds something else stays as it is", async (end) => {
    await store.commit(commitOf({ instances: [newInstance("00-a")] }));
    await store.touch("00-a", 5);
    const [instance = ""] = await raw.keys("*:i:00-a");
    await raw.set(instance.replace("i:00-a", end), "no such thing");
    const before = await bytesOfAllKeys();
    await expect(store.remove("00-a", 1)).rejects.toThrow(/WRONGTYPE/);
    expect(await bytesOfAllKeys()).toEqual(before);
  });
});

describe("a commit of detection that the server cannot apply", () => {
  test.each<[end: string, commit: Partial<DetectionCommit>]>([
    ["pieces", { piecesPut: [["head g", "1"]] }],
    ["alerts", { alerts: ["alert"] }],
    ["audit", { auditEvents: ["gap"] }],
  ])("because its %s cannot be written leaves every byte of every key as it was", async (end, parts) => {
    const detection = redisDetectionStore(server.url);
    onTestFinished(() => detection.close());
    await detection.commit(detectionCommit({ commitId: "first", piecesPut: [["head g", "0"]] }));
    const [stream = ""] = await raw.keys("*:detect:stream");
    const key = stream.replace(/stream$/, end);
    await raw.del(key);
    await raw.set(key, "no such thing");
    const before = await bytesOfAllKeys();
    const commit = detectionCommit({ commitId: "second", expectedVersion: 1, ...parts });
    await expect(detection.commit(commit)).rejects.toThrow(/WRONGTYPE/);
    expect(await bytesOfAllKeys()).toEqual(before);
  });
});

describe("a server that dies", () => {
  test("makes every call reject as BECALM_STORE_UNAVAILABLE with its address, and is used again when it is back", async () => {
    await server.kill9();
    const failure = {
      code: "BECALM_STORE_UNAVAILABLE",
      message: expect.stringContaining(`redis://localhost:${server.port}/0`),
    };
    const other = redisStore(`redis://user:secret@localhost:${server.port}`);
    onTestFinished(() => other.close());
    await expect(other.open({})).rejects.toMatchObject(failure);
    await expect(other.open({})).rejects.not.toMatchObject({ message: expect.stringContaining("secret") });
    const commit = commitOf(full);
    await expect(store.commit(commit)).rejects.toMatchObject({ code: "BECALM_STORE_UNAVAILABLE" });
    await expect(store.timers({ lane: "work", untilMs: 1, limit: 1 })).rejects.toMatchObject({
      code: "BECALM_STORE_UNAVAILABLE",
    });
    await expect(store.lock.acquire({ key: "g", partition: 0, slots: 2, leaseMs: 1_000 })).rejects.toMatchObject({
      code: "BECALM_STORE_UNAVAILABLE",
    });
    await server.restart();
    // One whose answer came too late was applied all the same.
    await expect.poll(() => store.commit(commit).catch(() => "not yet")).toMatch(/^(applied|duplicate)$/);
    expect(await store.commit(commit)).toBe("duplicate");
  });

  test("is not waited for when the store is closed, and every call that waits for it ends", async () => {
    await server.kill9();
    const waiting = expect(store.history("00-a")).rejects.toMatchObject({ code: "BECALM_STORE_UNAVAILABLE" });
    await store.close();
    await waiting;
    await expect(store.history("00-a")).rejects.toMatchObject({ code: "BECALM_STORE_UNAVAILABLE" });
    await server.restart();
  });

  test("that is silent keeps whoever asks again and again for little longer than one call may take", async () => {
    const behind = redisStore(server.url, { callTimeoutMs: 2_000 });
    onTestFinished(() => behind.close());
    await behind.open({});
    process.kill(server.pid, "SIGSTOP");
    onTestFinished(() => void process.kill(server.pid, "SIGCONT"));
    const tookMs = await ownMs(async () => {
      for (let calls = 0; calls < 3; calls += 1)
        await expect(behind.history("00-a")).rejects.toMatchObject({ code: "BECALM_STORE_UNAVAILABLE" });
    });
    // Three calls of 2 s each would be 6 s.
    expect(tookMs).toBeLessThan(4_500);
    process.kill(server.pid, "SIGCONT");
    await expect.poll(() => behind.history("00-a").catch(() => "not yet")).toBeNull();
  });

  test("that accepts connections but never answers counts as gone", async () => {
    const silent = createServer(() => undefined).listen(0, "127.0.0.1");
    onTestFinished(() => void silent.close());
    await once(silent, "listening");
    const url = `redis://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const connection = new RedisConnection(url, { socketTimeout: 50 });
    onTestFinished(() => connection.close());
    await expect(connection.run(() => connection.client.ping())).rejects.toMatchObject({
      code: "BECALM_STORE_UNAVAILABLE",
    });
  });
});

describe("a lost answer", () => {
  test("to a commit leaves it applied once, and the resent one reads as duplicate", async () => {
    const proxy = await startCuttingProxy(server.port);
    onTestFinished(() => proxy.stop());
    const behind = await openStore(proxy.url);
    // A server that does not have the script yet would answer with that, and the lost answer would be of no commit.
    await store.commit(commitOf());
    const commit = commitOf({ ...full, commitId: "the-lost-one" });
    proxy.cutAnswerTo("the-lost-one");
    expect(await behind.commit(commit)).toBe("duplicate");
    expect(proxy.cuts).toBe(1);
    const stored = await everythingIn(store);
    expect(stored).toMatchObject({
      instances: [{ version: 1 }],
      histories: [["birth of 00-a"]],
      groups: [{ group: { version: 1 } }],
    });
  });

  test.each([false, true])(
    "in the middle of commits in flight loses and doubles none (auto-pipelining: %s)",
    async (enableAutoPipelining) => {
      const proxy = await startCuttingProxy(server.port);
      onTestFinished(() => proxy.stop());
      const client = new Redis(proxy.url, { enableAutoPipelining });
      client.on("error", () => undefined);
      onTestFinished(() => client.disconnect());
      const behind = await openStore(client);
      await behind.commit(commitOf({ instances: [newInstance("00-a")] }));
      const commits = Array.from({ length: 40 }, (_, index) =>
        commitOf({ commitId: `in-flight-${index}-`, instances: [changedInstance("00-a", index + 1)] }),
      );
      // Some answers and a part of one: a pipeline that is answered in part is not sent again by ioredis.
      proxy.cutAnswerTo("in-flight-20-", PASSED_BYTES);
      const outcomes = await Promise.all(commits.map((commit) => behind.commit(commit)));
      expect(proxy.cuts).toBe(1);
      expect(new Set(outcomes)).not.toContain("conflict");
      expect((await store.list({ limit: 1 })).instances).toMatchObject([{ id: "00-a", version: 41 }]);
      expect(await store.history("00-a")).toHaveLength(41);
    },
  );
});

describe("what is over", () => {
  test("leaves no row behind", async () => {
    const before = await raw.keys("*");
    const id = groupOf(0).id;
    await store.commit(commitOf({ ...full, effectClaimMs: 60_000 }));
    await store.touch("00-a", 5);
    const settled = {
      settledEffectIds: ["e1"],
      timersCancelled: [timerOf("00-a", 5)],
      instances: [changedInstance("00-a", 1)],
    };
    const membersRemoved = [{ set: "waiters" as const, instanceId: "00-a" }];
    await store.commit(commitOf({ ...settled, group: groupOf(1), membersRemoved }));
    await store.remove("00-a", 2);
    const left = (await raw.keys("*")).filter((key) => !before.includes(key) && !key.includes(":c:"));
    expect(left).toEqual([expect.stringContaining(`:g:${id}`)]);
    for (const key of (await raw.keys("*")).filter((name) => name.includes(":c:"))) {
      expect(await raw.pttl(key)).toBeGreaterThan(0);
    }
  });
});

describe("a server that forgot its scripts", () => {
  test("gets them again with the call that needs them", async () => {
    await raw.script("FLUSH");
    expect(await store.commit(commitOf(full))).toBe("applied");
  });
});

describe("a server that asks for a password", () => {
  test("is told apart from one that is away", async () => {
    await raw.config("SET", "requirepass", "secret");
    try {
      const wrong = redisStore(`redis://:wrong@localhost:${server.port}`);
      onTestFinished(() => wrong.close());
      const failure = await wrong.open({}).catch((error: unknown) => String(error));
      expect(failure).toMatch(/Check the user and the password in the URL/);
      expect(failure).not.toContain(":wrong");
      const right = redisStore(`redis://:secret@localhost:${server.port}`);
      onTestFinished(() => right.close());
      expect(await right.open({})).toMatchObject({ mode: "live" });
    } finally {
      await raw.config("SET", "requirepass", "");
    }
  });
});

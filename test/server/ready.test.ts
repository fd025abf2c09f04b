import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { afterEach, describe, expect, test } from "vitest";
import { TokenBook } from "../../src/server/auth/tokens.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { systemClock } from "../../src/system/system-clock.ts";
import { useFiles } from "../support/command.ts";
import { send, sendJson } from "../support/http-client.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { useRedis } from "../support/redis-server.ts";
import { startServe, stopServe } from "../support/serve-command.ts";
import { EVERY_ALERT, type ServerWorld, serverWorld } from "../support/server-world.ts";

const redis = useRedis();
const other = useRedis();
const file = useFiles();
const worlds: ServerWorld[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

/** Looks at its store whenever `looked` is called, and as soon as the server says so the answer is there. */
async function onRedis(tokens?: TokenBook) {
  const clock = new ManualClock(Date.now());
  const world = await serverWorld({
    store: redisStore(redis.url, { namespace: `ready-${worlds.length}`, callTimeoutMs: 1_000 }),
    engine: { clock },
    ...(tokens === undefined ? {} : { tokens }),
  });
  worlds.push(world);
  const ready = async () => {
    clock.advance(2_000);
    return send(`${world.url}/-/ready`);
  };
  return { url: world.url, ready };
}

async function asked(...commands: readonly (readonly [string, ...string[]])[]): Promise<void> {
  const client = new Redis(redis.url);
  for (const [command, ...args] of commands) await client.call(command, ...args);
  client.disconnect();
}

describe("/-/ready", () => {
  test.each([
    {
      what: "is full",
      begin: () => asked(["CONFIG", "SET", "maxmemory", "1"]),
      end: () => asked(["CONFIG", "SET", "maxmemory", "0"]),
      says: /BECALM_STORE_FULL\): Redis at .* out of memory: OOM .*Raise maxmemory/,
    },
    {
      what: "has become a replica",
      begin: () => asked(["REPLICAOF", "127.0.0.1", String(other.port)]),
      end: () => asked(["REPLICAOF", "NO", "ONE"]),
      says: /BECALM_STORE_UNAVAILABLE\): Redis at .*READONLY .*use the URL of the master/,
    },
    {
      what: "has too few replicas",
      begin: () => asked(["CONFIG", "SET", "min-replicas-to-write", "1"]),
      end: () => asked(["CONFIG", "SET", "min-replicas-to-write", "0"]),
      says: /BECALM_STORE_UNAVAILABLE\): Redis at .*NOREPLICAS .*bring them back/,
    },
    {
      what: "is away",
      begin: () => redis.kill9(),
      end: () => redis.restart(),
      says: /BECALM_STORE_UNAVAILABLE\): Redis at .*Check that it runs/,
    },
  ])("is 503 with the reason and the remedy while Redis $what, and 200 by itself afterwards", async (refusing) => {
    const { url, ready } = await onRedis();
    expect((await ready()).status).toBe(200);
    await refusing.begin();
    await expect.poll(ready).toMatchObject({ status: 503 });
    expect((await ready()).text).toMatch(refusing.says);
    expect((await send(`${url}/-/healthy`)).status).toBe(200);
    expect((await send(`${url}/metrics`)).text).toMatch(/^becalm_takes_alerts 0$/m);
    await refusing.end();
    await expect.poll(ready).toMatchObject({ status: 200 });
    expect((await sendJson(`${url}/api/v2/alerts`, [{ labels: { a: refusing.what } }])).status).toBe(200);
    expect((await send(`${url}/metrics`)).text).toMatch(/^becalm_takes_alerts 1$/m);
  });

  test("names the store only to those who may read", async () => {
    const { url, ready } = await onRedis(new TokenBook([{ caller: { name: "ann", role: "read" }, token: "a-reader" }]));
    await asked(["CONFIG", "SET", "maxmemory", "1"]);
    await expect.poll(ready).toMatchObject({ status: 503 });
    const open = await send(`${url}/-/ready`);
    expect(open.text).toContain("BECALM_STORE_FULL");
    expect(open.text).not.toContain("127.0.0.1");
    const read = await send(`${url}/-/ready`, { headers: { authorization: "Bearer a-reader" } });
    expect(read.text).toContain("127.0.0.1");
    await asked(["CONFIG", "SET", "maxmemory", "0"]);
  });

  test("is 503 while the clocks differ so far that alerts are refused", async () => {
    const clock = { ...systemClock(), now: () => Date.now() + 10_000 };
    const store = Object.assign(memoryStore(), {
      pulse: async () => ({ clocks: [{ where: "the server", nowMs: Date.now() }], lost: [] }),
    });
    const world = await serverWorld({ store, engine: { clock, maxClockSkewMs: 5_000 } });
    worlds.push(world);
    const { status, text } = await send(`${world.url}/-/ready`);
    expect(status).toBe(503);
    expect(text).toMatch(/BECALM_CLOCK_SKEW\): .*Set the clocks/);
  });

  test("is 503 while the disk of an lmdb store is full, and 200 by itself when there is room", async () => {
    const cwd = mkdtempSync(join(tmpdir(), "becalm-full-"));
    const serving = await startServe(["--policies", file("every.yaml", EVERY_ALERT)], { cwd });
    const limit = (bytes: string) => spawnSync("prlimit", ["--pid", String(serving.child.pid), `--fsize=${bytes}`]);
    const ready = () => send(`${serving.url}/-/ready`);
    expect((await ready()).status).toBe(200);
    limit(`${statSync(join(cwd, "becalm-data", "becalm.mdb")).size}:`);
    const alerts = Array.from({ length: 300 }, (_, index) => ({ labels: { a: `${index}`, b: "x".repeat(400) } }));
    expect((await sendJson(`${serving.url}/api/v2/alerts`, alerts)).status).toBe(503);
    await expect.poll(ready).toMatchObject({
      status: 503,
      text: expect.stringMatching(/BECALM_STORE_FULL\): The disk of the store .* is full: .*Make room/),
    });
    limit("unlimited:");
    await expect.poll(ready).toMatchObject({ status: 200 });
    expect((await sendJson(`${serving.url}/api/v2/alerts`, alerts)).status).toBe(200);
    expect((await stopServe(serving)).code).toBe(0);
    rmSync(cwd, { recursive: true });
  });
});

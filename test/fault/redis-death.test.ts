/** A Redis that dies, fills up or was never there, under a live engine. */

import { Redis } from "ioredis";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { createEngine } from "../../src/engine.ts";
import type { AlertInput } from "../../src/formats/alert-input.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import {
  alertOf,
  EngineWorld,
  everything,
  POLL_MS,
  policyOf,
  redisKind,
  standing,
  take,
  unsound,
} from "../support/engine-world.ts";
import { ownMs } from "../support/own-time.ts";
import { startRedis, useRedis } from "../support/redis-server.ts";

const HOUR_MS = 3_600_000;
const durable = useRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });

afterEach(() => durable.restart());

describe("a Redis that is killed", () => {
  test("in the middle of a storm keeps every alert that was acknowledged; the rest is taken when it is sent again", async () => {
    const world = new EngineWorld(redisKind(durable));
    world.outcome = () => "done";
    const engine = await world.engine([policyOf({ function: "wait_when_proceed" })]);
    const acknowledged: string[] = [];
    let refused: AlertInput[] = [];
    const storm = Array.from({ length: 200 }, (_, index) => alertOf(`a${index}`, { host: `h${index % 7}` }));
    const sent = storm.map(async (alert, index) => {
      if (index === 100) await durable.kill9();
      const { instances, rejected } = await engine.ingest([alert]);
      acknowledged.push(...instances.map(({ id }) => id));
      if (rejected.length > 0) refused.push(alert);
      expect(rejected.map(({ error }) => error.code)).toEqual(rejected.map(() => "BECALM_STORE_UNAVAILABLE"));
    });
    await Promise.all(sent);
    await durable.restart();
    const stored = new Set((await world.stored()).map(({ id }) => id));
    expect(acknowledged.filter((id) => !stored.has(id))).toEqual([]);
    expect(acknowledged.length + refused.length).toBe(storm.length);
    while (refused.length > 0) {
      const again = await engine.ingest(refused);
      refused = again.rejected.map(({ alert }) => refused[alert] as AlertInput);
    }
    await world.until(
      "all have run",
      async () => {
        await world.storage.expireLeases();
        const all = await everything(engine);
        return all.length === storm.length && all.every(({ state }) => state === "Success");
      },
      POLL_MS,
    );
    expect(await unsound(world, engine)).toEqual([]);
  });

  test("while an attempt runs loses nothing: its result is written when the server is back, and it runs once", async () => {
    const world = new EngineWorld(redisKind(durable));
    const engine = await world.engine([policyOf(null)]);
    const [id] = (await take(engine, alertOf("a"))) as [string];
    await world.settle();
    await durable.kill9();
    world.attempts[0]?.succeed();
    await world.until("the result could not be written", () =>
      world.faults.some((fault) => fault.includes("could not be written")),
    );
    await durable.restart();
    await world.storage.expireLeases();
    await world.until(
      "it is written",
      async () => (await standing(engine, id).catch(() => "")) === "Success no_rule",
      POLL_MS,
    );
    expect(world.attempts).toHaveLength(1);
  });
});

describe("a Redis that is silent", () => {
  test("keeps attempts of an engine that stops no longer than its drain", async () => {
    const server = await startRedis();
    onTestFinished(() => server.stop());
    const store = redisStore(server.url, { callTimeoutMs: 2_000 });
    onTestFinished(() => store.close());
    let begun = () => {};
    const hasBegun = new Promise<void>((resolve) => (begun = resolve));
    let abortedAtMs = Number.POSITIVE_INFINITY;
    const hang = ({ signal }: { signal: AbortSignal }) =>
      new Promise<never>((_, reject) => {
        begun();
        signal.addEventListener("abort", () => {
          abortedAtMs = performance.now();
          reject(new Error("aborted"));
        });
      });
    const engine = createEngine({ policies: [policyOf(null)], store, handlers: { act: hang } });
    await engine.start();
    await take(engine, alertOf("a"));
    await hasBegun;
    process.kill(server.pid, "SIGSTOP");
    const startedMs = performance.now();
    await engine.stop({ drainMs: 100 });
    process.kill(server.pid, "SIGCONT");
    expect(abortedAtMs - startedMs).toBeLessThan(1_500);
  });
});

describe("a Redis that is out of memory", () => {
  test("has alerts refused as BECALM_STORE_FULL with nothing half-written, and takes them when there is room", async () => {
    const server = await startRedis();
    onTestFinished(() => server.stop());
    const world = new EngineWorld(redisKind(server));
    world.outcome = () => "done";
    const engine = await world.engine([policyOf({ function: "skip_when_exceed" })]);
    const raw = new Redis(server.url);
    onTestFinished(() => raw.disconnect());
    expect(await world.stored()).toEqual([]);
    const storm = ["a", "b", "c"].map((name) => alertOf(name));
    await raw.config("SET", "maxmemory", "1");
    const full = await engine.ingest(storm);
    expect(full.rejected.map(({ error }) => error.code)).toEqual(Array(3).fill("BECALM_STORE_FULL"));
    expect(await world.stored()).toEqual([]);
    await raw.config("SET", "maxmemory", "0");
    const ids = await take(engine, ...storm);
    await world.settle();
    expect(await standing(engine, ids[0] as string)).toBe("Success group_opened");
    expect(await unsound(world, engine)).toEqual([]);
  });

  test("still lets an engine start, and instances be listed and forgotten", async () => {
    const server = await startRedis();
    onTestFinished(() => server.stop());
    const world = new EngineWorld(redisKind(server));
    world.outcome = () => "done";
    const policies = [policyOf(null)];
    const first = await world.engine(policies);
    await take(first, alertOf("a"));
    await world.settle();
    await world.stop(first);
    const raw = new Redis(server.url);
    onTestFinished(() => raw.disconnect());
    await raw.config("SET", "maxmemory", "1");
    const second = await world.engine(policies, { retentionMs: HOUR_MS });
    expect(await everything(second)).toHaveLength(1);
    await world.elapse(2 * HOUR_MS);
    expect(await everything(second)).toEqual([]);
    await raw.config("SET", "maxmemory", "0");
  });

  test("while an attempt runs loses nothing: its result is written when there is room, and it runs once", async () => {
    const server = await startRedis();
    onTestFinished(() => server.stop());
    const world = new EngineWorld(redisKind(server));
    const engine = await world.engine([policyOf(null)]);
    const raw = new Redis(server.url);
    onTestFinished(() => raw.disconnect());
    const [id] = (await take(engine, alertOf("a"))) as [string];
    await world.settle();
    await raw.config("SET", "maxmemory", "1");
    world.attempts[0]?.succeed();
    await world.until("the result could not be written", () =>
      world.faults.some((fault) => fault.includes("could not be written")),
    );
    await raw.config("SET", "maxmemory", "0");
    await world.until("it is written", async () => (await standing(engine, id)) === "Success no_rule", POLL_MS);
    expect(world.attempts).toHaveLength(1);
  });
});

test("a Redis that is not there fails the start within seconds, as BECALM_STORE_UNAVAILABLE with its address", async () => {
  const server = await startRedis();
  await server.stop();
  const store = redisStore(server.url);
  onTestFinished(() => store.close());
  const engine = createEngine({ policies: [policyOf(null)], store, handlers: { act: () => {} } });
  const tookMs = await ownMs(async () => {
    await expect(engine.start()).rejects.toMatchObject({
      code: "BECALM_STORE_UNAVAILABLE",
      message: expect.stringContaining(new URL(server.url).port),
    });
    await expect(engine.ingest([alertOf("a")])).rejects.toMatchObject({ code: "BECALM_STORE_UNAVAILABLE" });
  });
  expect(tookMs).toBeLessThan(5_000);
});

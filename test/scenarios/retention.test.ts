/** How long instances are kept, and which namespaces an engine takes. */
import { describe, expect, test } from "vitest";
import { createEngine } from "../../src/engine.ts";
import {
  alertOf,
  EngineWorld,
  MEMORY,
  MINUTE_MS,
  PARTITION_COUNT,
  POLL_MS,
  policyOf,
  redisKind,
  standing,
  take,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  describe("retention", () => {
    test("removes an instance at rest with its audit, and leaves one that is not at rest", async () => {
      const world = new EngineWorld(kind);
      world.outcome = ({ alert }) => (alert?.labels["name"] === "done" ? "done" : undefined);
      const engine = await world.engine([policyOf(null)], { retentionMs: 8 * HOUR_MS });
      const [done, running] = (await take(engine, alertOf("done"), alertOf("running"))) as [string, string];
      await world.elapse(7 * HOUR_MS);
      await world.elapse(30 * MINUTE_MS);
      expect(await standing(engine, done)).toBe("Success no_rule");
      await world.elapse(HOUR_MS);
      await expect(engine.get(done).snapshot()).rejects.toMatchObject({ code: "BECALM_NOT_FOUND" });
      expect(await (await world.outside()).history(done)).toBeNull();
      await world.elapse(30 * DAY_MS);
      expect(await standing(engine, running)).toBe("Processing no_rule");
    });

    test("keeps an instance as long as its alert is sent again: it never runs twice", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine([policyOf(null)], { retentionMs: 8 * HOUR_MS });
      for (let hours = 0; hours < 40; hours += 4) {
        await take(engine, alertOf("a"));
        await world.elapse(4 * HOUR_MS);
      }
      expect(world.attempts).toHaveLength(1);
      await world.elapse(9 * HOUR_MS);
      expect(await world.stored()).toEqual([]);
    });

    test("removes nobody who waits for a person", async () => {
      const world = new EngineWorld(kind);
      const policy = policyOf({ function: "defense" }, { approval: { timeout: "20d" } });
      const engine = await world.engine([policy], { retentionMs: HOUR_MS });
      const [, held] = (await take(engine, alertOf("a"), alertOf("b"))) as [string, string];
      await world.elapse(10 * DAY_MS);
      await world.elapse(HOUR_MS);
      expect(await standing(engine, held)).toBe("Waiting defense_threshold");
    });
  });

  test("a namespace keeps its number of partitions and its kind of time; another engine is refused", async () => {
    const world = new EngineWorld(kind);
    await world.engine([policyOf(null)]);
    const other = createEngine({
      policies: [policyOf(null)],
      handlers: { act: () => null },
      store: world.storage.connect(),
      partitions: PARTITION_COUNT + 1,
    });
    await expect(other.start()).rejects.toMatchObject({ code: "BECALM_NAMESPACE_PARTITIONS" });
    await expect(other.ingest([alertOf("a")])).rejects.toMatchObject({ code: "BECALM_NAMESPACE_PARTITIONS" });
    const store = world.storage.connect();
    await expect(store.open({ mode: "virtual", partitions: PARTITION_COUNT })).rejects.toMatchObject({
      code: "BECALM_NAMESPACE_MODE",
    });
    const virtual = new EngineWorld(kind);
    await virtual.storage.connect().open({ mode: "virtual", partitions: PARTITION_COUNT });
    await expect(virtual.engine([policyOf(null)])).rejects.toMatchObject({ code: "BECALM_NAMESPACE_MODE" });
  });
});

describe("a group that is still forming", () => {
  test("is kept as long as its window lasts, however long nothing happens", async () => {
    const world = new EngineWorld(MEMORY);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf({ function: "trigger", count: 2, window: "20d" })], {
      retentionMs: 30 * DAY_MS,
    });
    await take(engine, alertOf("a"));
    await world.elapse(19 * DAY_MS);
    await take(engine, alertOf("b"));
    await world.elapse(POLL_MS);
    expect(world.attempts).toHaveLength(1);
  });
});

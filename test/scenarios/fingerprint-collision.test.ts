/** Two label sets with one fingerprint: the second is never taken for the first. */
import { describe, expect, test, vi } from "vitest";
import {
  alertOf,
  EngineWorld,
  MEMORY,
  MINUTE_MS,
  policyOf,
  redisKind,
  SECOND_MS,
  START_MS,
  standing,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";

/** No pair of labels is known whose FNV-1a 64 is the same, so one is made: labels that say so share a fingerprint. */
vi.mock("../../src/model/fingerprint.ts", async (original) => {
  const { fingerprintOf } = (await original()) as { fingerprintOf: (labels: Record<string, string>) => string };
  return {
    fingerprintOf: (labels: Record<string, string>) =>
      labels["twin"] === undefined ? fingerprintOf(labels) : "00000000000000aa",
  };
});

const server = useRedis();
const TAKEN = { code: "BECALM_FINGERPRINT_TAKEN" };
const twin = (name: string, more: object = {}) => alertOf("x", { labels: { twin: name }, ...more });

describe.each([MEMORY, redisKind(server)])("of two alerts with one fingerprint on $name", (kind) => {
  test.each([
    ["with the same start", {}],
    ["with another start", { startsAt: START_MS - SECOND_MS }],
    ["that has no start", { startsAt: undefined }],
    ["that is resolved", { status: "resolved", endsAt: START_MS }],
  ])("the second, %s, is refused with a code that says so, and the first is untouched", async (_, more) => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf({ function: "skip_when_exceed", count: 5 })]);
    const first = await engine.ingest([twin("a")]);
    const [id] = first.instances.map((instance) => instance.id) as [string];
    await world.settle();
    const second = await engine.ingest([twin("b", more), alertOf("y")]);
    expect(second.rejected).toEqual([
      { alert: 0, error: expect.objectContaining({ ...TAKEN, message: expect.stringContaining(id) }) },
    ]);
    // The others of its request are taken, and the first is sent again as ever.
    expect(second.instances.map(({ alert, outcome }) => [alert, outcome])).toEqual([[1, "created"]]);
    expect((await engine.ingest([twin("a")])).instances).toMatchObject([{ id, outcome: "duplicate" }]);
    expect(await standing(engine, id)).toMatch(/^Processing/);
    expect(await unsound(world, engine)).toEqual([]);
  });

  test("the second of one request is refused as well", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null)]);
    const { instances, rejected } = await engine.ingest([twin("a"), twin("b"), twin("a")]);
    expect(instances.map(({ alert, outcome }) => [alert, outcome])).toEqual([
      [0, "created"],
      [2, "duplicate"],
    ]);
    expect(rejected).toMatchObject([{ alert: 1, error: TAKEN }]);
  });

  test("the second is taken once the first is over", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf(null)]);
    await engine.ingest([twin("a")]);
    await engine.ingest([twin("a", { status: "resolved", endsAt: START_MS })]);
    await world.elapse(2 * MINUTE_MS);
    const { instances } = await engine.ingest([twin("b", { startsAt: world.clock.now() })]);
    expect(instances).toMatchObject([{ outcome: "created" }]);
    expect((await engine.ingest([twin("a", { startsAt: world.clock.now() })])).rejected).toMatchObject([
      { error: TAKEN },
    ]);
  });

  test("labels in another order are the same labels", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null)]);
    await engine.ingest([alertOf("x", { labels: { twin: "a", zone: "1" } })]);
    const { labels } = alertOf("x", { labels: { zone: "1", twin: "a" } });
    const reversed = Object.fromEntries(Object.entries(labels).reverse());
    const again = await engine.ingest([{ labels: reversed, startsAt: START_MS, status: "firing" }]);
    expect(again.instances).toMatchObject([{ outcome: "duplicate" }]);
  });
});

/** Instances that met a busy dimension lock: they are decided later than they were created, and count from then on. */
import { describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine.ts";
import { dimensionKey } from "../../src/index.ts";
import type { ConvergenceFunction } from "../../src/model/convergence-rule.ts";
import { groupIdOf, partitionOf } from "../../src/model/ids.ts";
import {
  alertOf,
  EngineWorld,
  MEMORY,
  PARTITION_COUNT,
  policyOf,
  SECOND_MS,
  standing,
  take,
  unsound,
} from "../support/engine-world.ts";

const LINGERING = ["skip_when_success", "approve_when_failed", "skip_when_proceed", "wait_when_proceed"] as const;

/** As a process would that is killed while it decides: its slot lasts 60 s. */
async function killedHolder(world: EngineWorld, fn: ConvergenceFunction): Promise<void> {
  const group = groupIdOf("act", dimensionKey({ function: fn, by: ["host"] }, { host: "db-1" }));
  const partition = partitionOf(group, PARTITION_COUNT);
  const hold = await (await world.outside()).lock.acquire({ key: group, partition, slots: 1, leaseMs: 60 * SECOND_MS });
  expect(hold).not.toBeNull();
}

async function takeOne(world: EngineWorld, engine: Engine, name: string): Promise<string> {
  const [id] = await take(engine, alertOf(name));
  await world.settle();
  return id as string;
}

test.each(LINGERING)("%s: one that opens its group late leaves no peer in progress behind", async (fn) => {
  const world = new EngineWorld(MEMORY);
  const engine = await world.engine([policyOf({ function: fn, count: 2, window: "30s" })]);
  await takeOne(world, engine, "member");
  await world.elapse(20 * SECOND_MS);
  await killedHolder(world, fn);
  const parked = await takeOne(world, engine, "parked");
  expect(await standing(engine, parked)).toBe("Idle lock_busy");
  await world.elapse(64 * SECOND_MS);
  await world.finishAll();
  await world.elapse(3_600 * SECOND_MS);
  const late = await takeOne(world, engine, "late");
  await world.finishAll();
  expect(await standing(engine, late)).toMatch(/^Success (below_count|group_opened|no_peer_in_the_way)$/);
  expect(await unsound(world, engine)).toEqual([]);
});

describe("an opener that was parked for longer than its window", () => {
  test.each<[string, ConvergenceFunction, string]>([
    [
      "is a peer of its own group: wait_when_proceed lets nobody run beside it",
      "wait_when_proceed",
      "Proceeding peer_in_progress",
    ],
    [
      "counts in its own group: skip_when_exceed runs no more than its count",
      "skip_when_exceed",
      "Skipped limit_reached",
    ],
  ])("%s", async (_, fn, expected) => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine([policyOf({ function: fn, count: 1, window: "30s" })]);
    await killedHolder(world, fn);
    await takeOne(world, engine, "parked");
    await world.elapse(64 * SECOND_MS);
    const next = await standing(engine, await takeOne(world, engine, "next"));
    expect([world.underwayCountMax, next]).toEqual([1, expected]);
    await world.finishAll();
    expect(await unsound(world, engine)).toEqual([]);
  });
});

test("one that is run anyway is a peer like any other: wait_when_proceed lets nobody run beside it", async () => {
  const world = new EngineWorld(MEMORY);
  const engine = await world.engine([policyOf({ function: "wait_when_proceed", count: 2 })]);
  await killedHolder(world, "wait_when_proceed");
  const parked = await takeOne(world, engine, "parked");
  await engine.get(parked).send({ type: "start", approved: true, by: "ann", why: "now" });
  await world.elapse(64 * SECOND_MS);
  const next = await takeOne(world, engine, "next");
  expect([world.underwayCountMax, await standing(engine, next)]).toEqual([1, "Proceeding peer_in_progress"]);
  await world.finishAll();
  expect(await standing(engine, next)).toBe("Success no_peer_in_the_way");
  expect(await unsound(world, engine)).toEqual([]);
});

test.each(["wait_when_proceed", "skip_when_success"])(
  "%s: one that comes with its peer's end is looked at in the same commit",
  async (fn) => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine([policyOf({ function: fn, count: 1 })]);
    await takeOne(world, engine, "peer");
    const taken = engine.ingest([alertOf("next")]);
    // The alert is on its way to the mailbox; so is the result now.
    await Promise.resolve();
    world.attempts[0]?.succeed();
    const [next] = (await taken).instances;
    await world.settle();
    await world.finishAll();
    const expected = fn === "wait_when_proceed" ? "Success no_peer_in_the_way" : "Skipped peer_succeeded";
    expect(await standing(engine, next?.id as string)).toBe(expected);
    expect(await unsound(world, engine)).toEqual([]);
  },
);

/** Engines that share the partitions of a namespace: each decides what its partitions get, whoever received it, and fires their timers. */
import { hostname } from "node:os";
import { describe, expect, test } from "vitest";
import type { Engine, IngestResult } from "../../src/engine.ts";
import { ANSWERED_WITHIN_MS } from "../../src/runtime/owners/forwarding.ts";
import { BEAT_EVERY_MS, MEMBER_LEASE_MS } from "../../src/runtime/owners/membership.ts";
import {
  alertOf,
  type EngineSetup,
  EngineWorld,
  everything,
  MEMORY,
  MINUTE_MS,
  PARTITION_COUNT,
  policyOf,
  type RunningEngine,
  redisKind,
  SECOND_MS,
  unsound,
} from "../support/engine-world.ts";
import { ownMs } from "../support/own-time.ts";
import { useRedis } from "../support/redis-server.ts";
import type { StoreCall } from "../support/watched-store.ts";

const server = useRedis();
const HOSTS = Array.from({ length: 24 }, (_, index) => `db-${index}`);
/** With so many each of two owns some that the hosts are in. */
const MANY = { partitions: 64 };
const policy = policyOf({ function: "skip_when_exceed", count: 3 });

const oneOfEach = (name: string) => HOSTS.map((host) => alertOf(name, { host }));

/** An engine, and the partitions that it committed to, in order. */
type Watched = { readonly engine: RunningEngine; readonly committed: number[]; readonly polled: Set<number> };

async function watched(world: EngineWorld, setup: EngineSetup = {}, policies: object = policy): Promise<Watched> {
  const committed: number[] = [];
  const polled = new Set<number>();
  const fateOf = (call: StoreCall) => {
    const argument = call.argument as { readonly partition?: number };
    if (call.method === "commit") committed.push(argument.partition as number);
    if (call.method === "timers" && argument.partition !== undefined) polled.add(argument.partition);
    return setup.fateOf?.(call) ?? "pass";
  };
  const engine = await world.engine([policies] as never, { ...setup, fateOf });
  return { engine, committed, polled };
}

/** Lets all know of each other. */
async function acquainted(world: EngineWorld, ...all: readonly Watched[]): Promise<void> {
  await world.until(
    "all know of each other",
    () => all.every(({ engine }) => engine.status().members === all.length),
    500,
  );
  for (const { committed, polled } of all) {
    committed.length = 0;
    polled.clear();
  }
}

async function ingest(world: EngineWorld, engine: Engine, name: string): Promise<IngestResult> {
  let result: IngestResult | undefined;
  const ingested = engine.ingest(oneOfEach(name)).then((answer) => {
    result = answer;
  });
  await world.until("the alerts are decided", () => result !== undefined);
  await ingested;
  return result as IngestResult;
}

const outcomes = ({ instances, rejected }: IngestResult) => ({
  outcomes: [...new Set(instances.map(({ outcome }) => outcome))],
  count: instances.length,
  rejected: rejected.length,
});

describe.each([MEMORY, redisKind(server)])("engines that share a namespace on $name", (kind) => {
  test("decide what their own partitions get, whoever received it, and the sender is told what became of it", async () => {
    const world = new EngineWorld(kind);
    const [a, b] = [await watched(world), await watched(world)];
    await acquainted(world, a, b);
    expect(a.engine.status().ownedPartitions + b.engine.status().ownedPartitions).toBe(PARTITION_COUNT);
    const first = await ingest(world, a.engine, "one");
    expect(outcomes(first)).toEqual({ outcomes: ["created"], count: HOSTS.length, rejected: 0 });
    const stored = (await everything(b.engine)).map(({ id }) => id);
    expect(first.instances.map(({ id }) => id).sort()).toEqual(stored.sort());
    const again = await ingest(world, b.engine, "one");
    expect(outcomes(again)).toEqual({ outcomes: ["duplicate"], count: HOSTS.length, rejected: 0 });
    expect(again.instances.map(({ id }) => id)).toEqual(first.instances.map(({ id }) => id));
    const both = new Set(a.committed.filter((partition) => b.committed.includes(partition)));
    expect([...both]).toEqual([]);
    expect(await unsound(world, b.engine)).toEqual([]);
  });

  test("leave their name with every step, so that the owner of an alert's partition is seen to have decided it", async () => {
    const world = new EngineWorld(kind, MANY);
    const [a, b] = [await watched(world), await watched(world)];
    await acquainted(world, a, b);
    await ingest(world, a.engine, "one");
    const deciders = async (partitions: readonly number[]) => {
      const ids = (await everything(a.engine))
        .map(({ id }) => id)
        .filter((id) => partitions.includes(Number.parseInt(id, 10)));
      const histories = await Promise.all(ids.map((id) => a.engine.get(id).history()));
      return [...new Set(histories.flatMap(({ entries }) => entries.map(({ process: id }) => id ?? "")))];
    };
    const [ofA, ofB] = [await deciders(a.committed), await deciders(b.committed)];
    expect([ofA.length, ofB.length, ofA[0] === ofB[0]]).toEqual([1, 1, false]);
    const names = await (await world.outside()).processes?.enrolled([...ofA, ...ofB]);
    expect([...(names ?? [])].map(([, name]) => name)).toEqual(Array(2).fill(`${hostname()}:${process.pid}`));
    expect(await unsound(world, b.engine)).toEqual([]);
  });

  test("that are alone decide everything, and stay out of each other's way when they are no longer", async () => {
    const world = new EngineWorld(kind);
    const a = await watched(world);
    expect(a.engine.status()).toMatchObject({ members: 1, ownedPartitions: PARTITION_COUNT, forwardedBatches: 0 });
    const b = await watched(world);
    await acquainted(world, a, b);
    await world.stop(b.engine);
    await world.until("the other one owns everything", () => a.engine.status().ownedPartitions === PARTITION_COUNT);
    expect(outcomes(await ingest(world, a.engine, "two"))).toEqual({
      outcomes: ["created"],
      count: HOSTS.length,
      rejected: 0,
    });
  });

  test("poll the timers of their own partitions, and of others only what was left", async () => {
    const world = new EngineWorld(kind);
    const [a, b] = [await watched(world), await watched(world)];
    await acquainted(world, a, b);
    await world.elapse(500);
    a.polled.clear();
    b.polled.clear();
    await world.elapse(500);
    await world.elapse(500);
    expect([...a.polled].filter((partition) => b.polled.has(partition))).toEqual([]);
    expect(new Set([...a.polled, ...b.polled]).size).toBe(PARTITION_COUNT);
  });

  test("that only observe, or have other policies in force, decide what they receive themselves", async () => {
    const world = new EngineWorld(kind);
    const [a, b] = [await watched(world), await watched(world, {}, { ...policy, name: "other" })];
    await acquainted(world, a, b);
    const observing = await watched(world, { observe: true });
    expect(observing.engine.status()).toMatchObject({ members: 1, ownedPartitions: PARTITION_COUNT });
    expect(outcomes(await ingest(world, a.engine, "one"))).toMatchObject({ outcomes: ["created"], rejected: 0 });
    expect(new Set(a.committed).size).toBe(PARTITION_COUNT);
    await ingest(world, observing.engine, "two");
    expect(new Set(observing.committed).size).toBe(PARTITION_COUNT);
  });
});

describe.each([MEMORY, redisKind(server)])("a worker on $name", (kind) => {
  const LEAVING = { leaveEffects: true };
  const areOver = async (engine: Engine) =>
    (await everything(engine)).every(({ state }) => /Success|Skipped/.test(state));

  test.each([1, 2])("has its results decided by the owner, of %i engines: it commits nothing", async (count) => {
    const world = new EngineWorld(kind);
    const engines: Watched[] = [];
    for (let number = 0; number < count; number += 1) engines.push(await watched(world, LEAVING));
    await acquainted(world, ...engines);
    const [a, b] = engines as [Watched, Watched?];
    const commits: number[] = [];
    const fateOf = ({ method }: StoreCall) => {
      if (method === "commit") commits.push(1);
      return "pass" as const;
    };
    await world.worker({ fateOf, concurrency: HOSTS.length });
    // It says that it is there, the owners hear of it, and it hears that they take letters.
    for (let passedMs = 0; passedMs < 3 * BEAT_EVERY_MS; passedMs += 500) await world.elapse(500);
    await ingest(world, a.engine, "one");
    await world.until("the attempts", () => world.attempts.length === HOSTS.length, 200);
    await world.finishAll();
    await world.until("all are over", () => areOver(a.engine), 100);
    expect(commits).toEqual([]);
    expect(a.committed.filter((partition) => b?.committed.includes(partition))).toEqual([]);
    expect(a.engine.status().members).toBe(count);
    expect(await (await world.outside()).listEffects({ limit: 9 })).toEqual([]);
    expect(await unsound(world, a.engine)).toEqual([]);
  });
});

test("a worker commits its results itself when the only engine is dead, and the next engine owns everything at once", async () => {
  const world = new EngineWorld(MEMORY);
  const a = await watched(world, { leaveEffects: true });
  await world.worker({ concurrency: HOSTS.length });
  for (let passedMs = 0; passedMs < 3 * BEAT_EVERY_MS; passedMs += 500) await world.elapse(500);
  await ingest(world, a.engine, "one");
  await world.until("the attempts", () => world.attempts.length === HOSTS.length, 200);
  a.engine.kill();
  await world.elapse(BEAT_EVERY_MS + 600);
  const b = await watched(world, { leaveEffects: true });
  expect(b.engine.status()).toMatchObject({ members: 1, ownedPartitions: PARTITION_COUNT });
  const isOver = async () => (await everything(b.engine)).every(({ state }) => state === "Success");
  const tookMs = await ownMs(async () => {
    await world.finishAll();
    await world.until("the results are committed", isOver);
  });
  expect(tookMs).toBeLessThan(ANSWERED_WITHIN_MS);
  expect(await unsound(world, b.engine)).toEqual([]);
});

test("a letter that cannot be read is reported, and loses neither those behind it nor the process", async () => {
  const world = new EngineWorld(MEMORY);
  const [a, b] = [await watched(world), await watched(world)];
  await acquainted(world, a, b);
  const { processes } = await world.outside();
  const bad = ["{", "null", '{"kind":"else"}', '{"kind":"ask"}', '{"kind":"answer","number":1}'];
  const empty = JSON.stringify({ kind: "ask", from: "tester", number: 1, batches: [{}] });
  for (const { id } of (await processes?.living()) ?? []) await processes?.send(id, [...bad, empty]);
  await world.settle();
  expect(await processes?.waiting("tester")).toBe(2);
  expect(world.faults.join("\n")).toContain("could not be read");
  const created = { outcomes: ["created"], count: HOSTS.length, rejected: 0 };
  expect(outcomes(await ingest(world, a.engine, "one"))).toEqual(created);
});

describe("an engine that dies", () => {
  test("is not waited for once its letters lie untouched and it has missed a beat, and owns nothing after its lease", async () => {
    const world = new EngineWorld(MEMORY, MANY);
    const [a, b] = [await watched(world), await watched(world)];
    await acquainted(world, a, b);
    b.engine.kill();
    await world.elapse(BEAT_EVERY_MS + 600);
    const tookMs = await ownMs(async () => {
      // The clock of leases stands still: it is a member all the while, whose letters lie untouched.
      for (const name of ["one", "two"]) {
        const created = { outcomes: ["created"], count: HOSTS.length, rejected: 0 };
        expect(outcomes(await ingest(world, a.engine, name))).toEqual(created);
        expect(a.engine.status().ownedPartitions).toBeLessThan(MANY.partitions);
      }
    });
    expect(tookMs).toBeLessThan(ANSWERED_WITHIN_MS);
    for (let passedMs = 0; passedMs < MEMBER_LEASE_MS + SECOND_MS; passedMs += 500) await world.elapse(500);
    expect(a.engine.status().ownedPartitions).toBe(MANY.partitions);
  });

  test("leaves its timers to the others", async () => {
    const world = new EngineWorld(MEMORY);
    world.outcome = () => "failed";
    const retrying = policyOf(null, { retry: { limit: 1, delay: "10s" } });
    const [a, b] = [await watched(world, {}, retrying), await watched(world, {}, retrying)];
    await acquainted(world, a, b);
    await ingest(world, a.engine, "one");
    await world.elapse(100);
    expect(world.attempts).toHaveLength(HOSTS.length);
    b.engine.kill();
    for (let passedMs = 0; passedMs < 10 * SECOND_MS + MEMBER_LEASE_MS; passedMs += 500) await world.elapse(500);
    expect(world.attempts).toHaveLength(2 * HOSTS.length);
  });
});

test("what an owner leaves undone for long is done by another", async () => {
  const world = new EngineWorld(MEMORY);
  world.outcome = () => "failed";
  const retrying = policyOf(null, { retry: { limit: 1, delay: "1s" } });
  let isBlind = false;
  const blind = { fateOf: ({ method }: StoreCall) => (isBlind && method === "timers" ? "fail" : "pass") as never };
  const [a, b] = [await watched(world, {}, retrying), await watched(world, blind, retrying)];
  await acquainted(world, a, b);
  isBlind = true;
  await ingest(world, a.engine, "one");
  for (let passedMs = 0; passedMs < MINUTE_MS / 2; passedMs += 500) await world.elapse(500);
  expect(world.attempts).toHaveLength(2 * HOSTS.length);
});

/** A namespace of an earlier version is raised while engines run: they go over together, and no alert is acted on twice. */
import { Redis } from "ioredis";
import { describe, expect, onTestFinished, test } from "vitest";
import { compose } from "../../src/compose.ts";
import type { Engine, IngestResult } from "../../src/engine.ts";
import { BEAT_EVERY_MS, MEMBER_LEASE_MS } from "../../src/runtime/owners/membership.ts";
import { raiseFormat } from "../../src/runtime/raise-format.ts";
import { Environment } from "../../src/stores/lmdb/environment.ts";
import { lmdbStore } from "../../src/stores/lmdb/lmdb-store.ts";
import type { Processes } from "../../src/stores/processes.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { RAISED_FORMAT, type Store } from "../../src/stores/store.ts";
import { temporaryFolder } from "../contract/lmdb-world.ts";
import { alertOf, type EngineSetup, EngineWorld, policyOf, unsound } from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";
import type { StoreCall, StoreFate } from "../support/watched-store.ts";

const server = useRedis();
const policy = policyOf(null);
let count = 0;

/** A world whose namespace is as version 0.1.0 made it. */
async function earlierWorld() {
  count += 1;
  const namespace = `upgrade-${count}`;
  const client = new Redis(server.url);
  const connect = () => {
    const store = redisStore(server.url, { namespace });
    onTestFinished(() => store.close());
    return store;
  };
  const world = new EngineWorld({ name: "redis", make: () => ({ connect, expireLeases: async () => {} }) });
  const outside = await world.outside();
  const meta = `becalm:${namespace}:meta`;
  await client.hdel(meta, "format");
  onTestFinished(() => client.disconnect());
  const setFormat = (format: number) => client.hset(meta, "format", format);
  return { world, outside, processes: outside.processes as Processes, setFormat };
}

/** Somebody who says that he decides by format 1 and understands no other. */
async function joinOld(processes: Processes): Promise<() => Promise<void>> {
  const record = JSON.stringify({ form: 2, format: 1, isSharing: false, name: "old:1", sinceMs: 0 });
  await processes.beat({ id: "old", record, leaseMs: 60_000 });
  return () => processes.leave("old");
}

async function raised(store: Store) {
  return raiseFormat(await compose({ store }));
}

const formats = (engines: readonly Engine[]) => engines.map((engine) => engine.status().format);

/** Whether a request is answered, and how. */
function watched(ingesting: Promise<IngestResult>) {
  const request = { result: null as IngestResult | null, error: null as unknown };
  ingesting.then(
    (result) => Object.assign(request, { result }),
    (error: unknown) => Object.assign(request, { error }),
  );
  return request;
}

async function beats(world: EngineWorld, times = 3): Promise<void> {
  for (let passedMs = 0; passedMs < times * BEAT_EVERY_MS; passedMs += 500) await world.elapse(500);
}

/** An engine whose log lines are kept. */
async function engineOf(world: EngineWorld, setup: EngineSetup = {}) {
  const lines: string[] = [];
  const keep = (_: unknown, line?: string) => void lines.push(line ?? "");
  const logger = { debug: () => {}, info: keep, warn: keep, error: keep };
  return Object.assign(await world.engine([policy], { logger, ...setup } as never), { lines });
}

describe("a namespace of version 0.1.0", () => {
  test("is not raised by engines that were not told that no engine of that version is left", async () => {
    const { world, outside } = await earlierWorld();
    const engines = [await engineOf(world), await engineOf(world)];
    await beats(world);
    expect(formats(engines)).toEqual([1, 1]);
    expect(await outside.open({})).toMatchObject({ format: 1 });
  });

  test("is raised while engines and a worker run: they go over without a restart, and no alert is acted on twice", async () => {
    const { world, outside } = await earlierWorld();
    world.outcome = () => "done";
    const engines = [await engineOf(world), await engineOf(world), await engineOf(world)];
    await world.worker();
    await beats(world);
    const requests: ReturnType<typeof watched>[] = [];
    const sendAll = (round: number) => {
      // Each alert comes to every engine, as from senders that share a balancer, some of them before and some after.
      for (const [at, engine] of engines.entries())
        for (const name of [`r${round}`, `r${round - at}`]) requests.push(watched(engine.ingest([alertOf(name)])));
    };
    for (let round = 0; round < 60; round += 1) {
      sendAll(round);
      if (round === 20) expect(await raised(outside)).toMatchObject({ format: RAISED_FORMAT });
      await world.elapse(100);
    }
    await world.until("all have gone over", () => formats(engines).every((format) => format === RAISED_FORMAT), 100);
    sendAll(61);
    await world.until("all is answered", () => requests.every(({ result, error }) => (result ?? error) !== null), 100);
    expect(requests.filter(({ error, result }) => error !== null || result?.rejected.length !== 0)).toEqual([]);
    const acted = world.attempts.map(({ alert }) => alert?.labels["name"]);
    expect(acted.filter((name, at) => acted.indexOf(name) !== at)).toEqual([]);
    expect(new Set(acted).size).toBe(64);
    for (const engine of engines)
      expect(engine.lines.filter((line) => /decides by format 2/.test(line))).toHaveLength(1);
    expect(world.faults).toEqual([]);
    expect(await unsound(world, engines[0] as Engine)).toEqual([]);
  });

  test("is raised by itself, once, when engines may do so and nobody lives who does not understand it", async () => {
    const { world, outside, processes } = await earlierWorld();
    const leave = await joinOld(processes);
    const raises: StoreCall[] = [];
    const fateOf = (call: StoreCall): StoreFate => {
      if (call.method === "raiseFormat") raises.push(call);
      return "pass";
    };
    const told = { raiseFormat: true, fateOf };
    const engines = [await engineOf(world, { fateOf }), await engineOf(world, told), await engineOf(world, told)];
    await beats(world);
    expect(await outside.open({})).toMatchObject({ format: 1 });
    const lines = engines.flatMap((engine) => engine.lines);
    expect(lines.filter((line) => /is raised to format 2 when old:1 understands it or is gone/.test(line))).not.toEqual(
      [],
    );
    await expect(raised(outside)).rejects.toMatchObject({ code: "BECALM_NAMESPACE_FORMAT", message: /old:1/ });
    await leave();
    await world.until("all have gone over", () => formats(engines).every((format) => format === RAISED_FORMAT), 100);
    await beats(world);
    expect(raises).toHaveLength(1);
  });

  test.each(["before", "after"])("is raised by another one when the one that does it dies %s that", async (when) => {
    const { world, processes } = await earlierWorld();
    let deaths = 0;
    const fateOf = ({ method }: StoreCall): StoreFate => {
      if (method !== "raiseFormat" || deaths > 0) return "pass";
      deaths += 1;
      return when === "before" ? "die before" : "die after";
    };
    const told = { raiseFormat: true, fateOf };
    const leave = await joinOld(processes);
    const engines = [await engineOf(world, told), await engineOf(world, told)];
    await beats(world);
    await leave();
    await world.until("somebody dies", () => engines.some((engine) => engine.isDead()), 100);
    // The first does it. The server's clock cannot be moved: its lease runs out now.
    await processes.leave((await processes.living())[0]?.id ?? "");
    const other = engines.find((engine) => !engine.isDead()) as Engine;
    await world.until("the other one has gone over", () => other.status().format === RAISED_FORMAT, 100);
    world.outcome = () => "done";
    const request = watched(other.ingest([alertOf("a")]));
    await world.until("the alert is decided", () => request.result !== null, 500);
    expect(world.attempts).toHaveLength(1);
  });

  test("that somebody joined in the moment of raising who does not go over: alerts wait for him, not for ever, and the log names him", async () => {
    const { world, processes } = await earlierWorld();
    const engine = await engineOf(world);
    const raiser = await engineOf(world, {
      raiseFormat: true,
      fateOf: ({ method }) => (method === "raiseFormat" ? "die after" : "pass"),
    });
    await world.until("somebody has raised it", () => raiser.isDead(), 100);
    await joinOld(processes);
    await world.until("it has gone over", () => engine.status().format === RAISED_FORMAT, 100);
    const request = watched(engine.ingest([alertOf("a")]));
    await world.elapse(1_000);
    expect(request).toEqual({ result: null, error: null });
    await world.until("it is taken all the same", () => request.result !== null, 500);
    expect(engine.lines.filter((line) => /old:1.* did not go over to format 2/.test(line))).toHaveLength(1);
  });

  test("has alerts wait in an engine that starts raised, until those that started before have gone over", async () => {
    const { world, outside } = await earlierWorld();
    world.outcome = () => "done";
    const before = await engineOf(world);
    await beats(world, 1);
    await raised(outside);
    const engine = await engineOf(world);
    const request = watched(engine.ingest([alertOf("a")]));
    await world.settle();
    expect(request).toEqual({ result: null, error: null });
    expect((await before.ingest([alertOf("a")])).instances).toMatchObject([{ outcome: "created" }]);
    await world.until("it is answered", () => request.result !== null, 100);
    expect(request.result?.instances).toMatchObject([{ outcome: "duplicate" }]);
    expect(world.attempts).toHaveLength(1);
  });

  test("is never decided on by the earlier format again by one that stood still while the others went over", async () => {
    const { world, outside, processes } = await earlierWorld();
    world.outcome = () => "done";
    const sleeper = await engineOf(world);
    await beats(world, 1);
    await raised(outside);
    // The server's clock cannot be moved: the lease of the one that stands still runs out now.
    await processes.leave((await processes.living())[0]?.id ?? "");
    const engine = await engineOf(world);
    expect((await engine.ingest([alertOf("a")])).instances).toMatchObject([{ outcome: "created" }]);
    // Its next beat is late, and so is everything else: the alert comes first.
    world.clock.set(world.clock.now() + MEMBER_LEASE_MS);
    const request = watched(sleeper.ingest([alertOf("a")]));
    await world.until("it is answered", () => request.result !== null, 100);
    expect(request.result?.instances).toMatchObject([{ outcome: "duplicate" }]);
    expect(formats([sleeper, engine])).toEqual([2, 2]);
    expect(world.attempts).toHaveLength(1);
  });

  test("whose server lost that it was raised hears of it again, from those who decide by it", async () => {
    const { world, outside, setFormat } = await earlierWorld();
    await raised(outside);
    const engine = await engineOf(world);
    await setFormat(1);
    await beats(world, 1);
    expect(await outside.open({})).toMatchObject({ format: 2 });
    expect(formats([engine])).toEqual([2]);
  });
});

test("a store that has one writer is raised by that as it starts: nobody else can be there", async () => {
  const folder = temporaryFolder();
  const store = lmdbStore(folder, { namespace: "only" });
  await store.open({ mode: "live", partitions: 4 });
  const environment = Environment.use(folder);
  await environment.write((rows) => {
    const stored = JSON.parse(rows.get("nonly") as string) as object;
    rows.put("nonly", JSON.stringify({ ...stored, format: 1 }));
  });
  await environment.release();
  expect(await store.open({})).toMatchObject({ format: 1 });
  const world = new EngineWorld({ name: "lmdb", make: () => ({ connect: () => store, expireLeases: async () => {} }) });
  const engine = await engineOf(world);
  await world.until("it is raised", () => engine.status().format === RAISED_FORMAT, 100);
  await world.until(
    "alerts are taken",
    () => engine.ingest([alertOf("a")]).then(({ instances }) => instances.length === 1),
    100,
  );
  expect(engine.lines.filter((line) => /raised the namespace to format 2/.test(line))).toHaveLength(1);
  await world.stop(engine);
  await store.close();
});

describe("a namespace that a newer version raises", () => {
  test("is left at once by an engine that does not understand that, which refuses alerts and says why", async () => {
    const { world, processes, setFormat } = await earlierWorld();
    const engine = await engineOf(world);
    await setFormat(4);
    await beats(world, 1);
    await expect(engine.ingest([alertOf("a")])).rejects.toMatchObject({ code: "BECALM_NAMESPACE_NEWER" });
    await world.until("it has left", async () => (await processes.living()).length === 0);
    expect(engine.lines.some((line) => /knows formats up to 3/.test(line))).toBe(true);
  });

  test("is not joined by one that opened it before and begins after", async () => {
    const { world, setFormat } = await earlierWorld();
    const engine = await engineOf(world, { isStarted: false });
    await engine.list();
    await setFormat(4);
    await expect(engine.start()).rejects.toMatchObject({ code: "BECALM_NAMESPACE_NEWER" });
    await expect(engine.ingest([alertOf("a")])).rejects.toMatchObject({ code: "BECALM_NAMESPACE_NEWER" });
  });
});

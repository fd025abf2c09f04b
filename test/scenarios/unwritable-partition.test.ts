/** One partition that cannot be written keeps no other waiting, and fills no log. */
import { describe, expect, test } from "vitest";
import { createEngine, memoryStore } from "../../src/index.ts";
import type { Commit } from "../../src/stores/store.ts";
import { alertOf, EngineWorld, MEMORY, policyOf, SECOND_MS, take } from "../support/engine-world.ts";
import type { StoreCall } from "../support/watched-store.ts";

/** Of them some 300 lie in each of the four partitions: more than are fired at once. */
const COUNT = 1_200;

describe("timers that cannot be committed", () => {
  test("wait by themselves: those of other partitions fire, and errors are reported once with their number", async () => {
    const world = new EngineWorld(MEMORY);
    let isBroken = false;
    let failedCommits = 0;
    const fateOf = ({ method, argument }: StoreCall) => {
      if (!isBroken || method !== "commit" || (argument as Commit).partition !== 0) return "pass";
      failedCommits += 1;
      return "fail";
    };
    const policies = [policyOf(null, { retry: { limit: 1, delay: "10s" } })];
    const engine = await world.engine(policies, { fateOf, concurrency: 1_000 });
    world.outcome = ({ attempt }) => (attempt === 1 ? "failed" : "done");
    const ids = await take(engine, ...Array.from({ length: COUNT }, (_, index) => alertOf(`a${index}`)));
    await world.settle();
    const broken = ids.filter((id) => id.startsWith("00-"));
    expect(broken.length).toBeGreaterThan(256);
    isBroken = true;
    await world.elapse(11 * SECOND_MS);
    for (let looked = 0; looked < 8; looked += 1) await world.elapse(SECOND_MS);
    const retried = new Set(world.attempts.filter(({ attempt }) => attempt === 2).map(({ instance }) => instance));
    expect(retried.size).toBe(COUNT - broken.length);
    await world.elapse(60 * SECOND_MS);
    expect(world.faults.length).toBeLessThan(20);
    expect(world.faults.join("\n")).toMatch(
      /timer retry of 00-\w+ waits: .* \(\d+ more like it since the last report\)/,
    );
    // Each waits longer after each failure: in 80 s they are tried some six times.
    expect(failedCommits).toBeLessThan(broken.length * 12);
    isBroken = false;
    for (let looked = 0; looked < 8; looked += 1) await world.elapse(31 * SECOND_MS);
    expect((await engine.list({ state: "Success", limit: 1 })).instances).toHaveLength(1);
    expect((await engine.list({ state: "Failed", limit: 1 })).instances).toHaveLength(0);
  });
});

test("a partition whose commits are not answered, with more groups than are decided at once, keeps no other from going on", async () => {
  const store = memoryStore();
  const commit = store.commit.bind(store);
  let hanging = 0;
  let hangOn = (): void => {};
  const answered = new Promise<void>((resolve) => {
    hangOn = resolve;
  });
  store.commit = async (given) => {
    if (given.partition === 0) {
      hanging += 1;
      await answered;
    }
    return commit(given);
  };
  const rule = { function: "skip_when_exceed", by: ["host"], count: 5, window: "5m" } as const;
  const policies = [{ name: "act", match: [], action: { log: {} }, converge: rule }] as const;
  const engine = createEngine({
    policies,
    store,
    partitions: 4,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  });
  const alerts = Array.from({ length: 2_400 }, (_, index) => ({ labels: { alertname: "Down", host: `h${index}` } }));
  const isOfPartition0: boolean[] = [];
  // Each alert a request: those of other partitions are answered while those of the first are not.
  const all = alerts.map(async (alert, index) => {
    const { instances } = await engine.ingest([alert]);
    isOfPartition0[index] = instances[0]?.id.startsWith("00-") === true;
    return instances[0]?.id;
  });
  const others = new Promise<void>((resolve) => {
    let count = 0;
    for (const one of all)
      void one.then(() => {
        count += 1;
        if (count === 1_700) resolve();
      });
  });
  await others;
  expect(hanging).toBeGreaterThan(256);
  expect(isOfPartition0.filter(Boolean)).toEqual([]);
  hangOn();
  expect(new Set(await Promise.all(all)).size).toBe(alerts.length);
  await engine.stop();
});

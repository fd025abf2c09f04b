/** An engine whose clock is not the store's: what it refuses, what it leaves alone, and what it says. */
import { describe, expect, onTestFinished, test } from "vitest";
import { createEngine, type Engine, type EngineOptions } from "../../src/engine.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { systemClock } from "../../src/system/system-clock.ts";
import { alertOf, MINUTE_MS, POLL_MS, policyOf, SECOND_MS, START_MS } from "../support/engine-world.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
const DAY_MS = 24 * 60 * MINUTE_MS;
const who = { by: "ada", why: "known" };
const SKEW = { code: "BECALM_CLOCK_SKEW" };

type Line = { readonly level: "warn" | "error"; readonly text: string };

/** A store with a clock of its own, as a server has one. */
function storeWithClock(clock: ManualClock): Store {
  const store = memoryStore({ now: () => clock.now() });
  return Object.assign(store, {
    pulse: async () => ({ clocks: [{ where: "the server", nowMs: clock.now() }], lost: [] }),
  });
}

/** Two engines on one store, whose clock is the first one's. */
class SkewWorld {
  /** The store's, and that of the engines that agree with it. */
  readonly clock = new ManualClock(START_MS);
  readonly store: Store = storeWithClock(this.clock);
  readonly lines: Line[] = [];
  async engine(clock: ManualClock, options: Partial<EngineOptions> = {}): Promise<Engine> {
    const log = (level: Line["level"]) => (_: object, text: string) => void this.lines.push({ level, text });
    const engine = createEngine({
      policies: [policyOf({ function: "defense", count: 1 })],
      store: this.store,
      clock,
      partitions: 4,
      drainMs: 0,
      maxClockSkewMs: 5 * SECOND_MS,
      handlers: { act: () => {} },
      logger: { debug: () => {}, info: () => {}, warn: log("warn"), error: log("error") },
      ...options,
    });
    onTestFinished(() => engine.stop());
    await engine.start();
    return engine;
  }
}

async function elapse(ms: number, ...clocks: readonly ManualClock[]): Promise<void> {
  for (let passed = 0; passed < ms; passed += POLL_MS) {
    for (const clock of clocks) clock.advance(POLL_MS);
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}

describe("an engine whose clock is further from the store's than maxClockSkewMs", () => {
  test.each([
    ["ahead", 60 * MINUTE_MS],
    ["behind", -60 * MINUTE_MS],
  ])(
    "(%s) refuses alerts: nothing of them is decided, and they are taken when the clocks agree",
    async (how, skewMs) => {
      const world = new SkewWorld();
      const off = new ManualClock(START_MS + skewMs);
      const engine = await world.engine(off);
      const refusal = await engine.ingest([alertOf("a")]).catch((error: Error) => error);
      expect(refusal).toMatchObject({
        ...SKEW,
        message: expect.stringMatching(new RegExp(`is 1h ${how}.*Set the clocks`)),
      });
      expect(engine.status().clockSkewMs).toBeCloseTo(skewMs, -3);
      off.set(world.clock.now());
      await elapse(3 * SECOND_MS, world.clock, off);
      expect((await engine.ingest([alertOf("a")])).instances).toMatchObject([{ outcome: "created" }]);
    },
  );

  test("fires no timer: an approval that others wait for does not time out early", async () => {
    const world = new SkewWorld();
    const right = await world.engine(world.clock);
    const { instances } = await right.ingest([alertOf("a"), alertOf("b")]);
    const held = instances[1]?.id as string;
    const off = new ManualClock(START_MS + 60 * MINUTE_MS);
    await world.engine(off);
    await elapse(10 * SECOND_MS, world.clock, off);
    expect((await right.get(held).snapshot()).state).toBe("Waiting");
    await right.approve({ id: held }, who);
    expect((await right.get(held).snapshot()).state).not.toBe("Skipped");
  });

  test("removes nothing, though by its clock the retention is over", async () => {
    const world = new SkewWorld();
    const right = await world.engine(world.clock);
    const { instances } = await right.ingest([alertOf("a")]);
    await elapse(SECOND_MS, world.clock);
    const off = new ManualClock(START_MS + 30 * DAY_MS);
    await world.engine(off, { retentionMs: 16 * MINUTE_MS });
    await elapse(3 * MINUTE_MS, off);
    expect((await right.get(instances[0]?.id as string).snapshot()).state).toBe("Success");
  });

  test("is noticed at once when its clock is set, before the store is asked again", async () => {
    const world = new SkewWorld();
    const engine = await world.engine(world.clock);
    await engine.ingest([alertOf("a")]);
    world.clock.set(START_MS + MINUTE_MS);
    await expect(engine.ingest([alertOf("b")])).rejects.toMatchObject(SKEW);
  });

  test("says so once, and then with a count; above a second it warns and refuses nothing", async () => {
    const world = new SkewWorld();
    const off = new ManualClock(START_MS + MINUTE_MS);
    await world.engine(off);
    await elapse(11 * SECOND_MS, world.clock, off);
    const errors = world.lines.filter(({ level }) => level === "error").map(({ text }) => text);
    expect(errors).toHaveLength(2);
    expect(errors[0]).toMatch(/is 1m.* ahead of that of the server: alerts are refused, no timer fires/);
    expect(errors[1]).toMatch(/more like it since the last report/);
    world.lines.length = 0;
    const near = new ManualClock(world.clock.now() + 2 * SECOND_MS);
    const engine = await world.engine(near);
    expect(world.lines).toEqual([{ level: "warn", text: expect.stringMatching(/is 2s.*Set the clocks/) }]);
    expect((await engine.ingest([alertOf("c")])).rejected).toEqual([]);
  });
});

describe("on a real Redis", () => {
  async function engineOn(options: Partial<EngineOptions>): Promise<Engine> {
    const store = redisStore(server.url, { namespace: `skew-${Math.random().toString(36).slice(2)}` });
    const engine = createEngine({
      policies: [policyOf(null)],
      handlers: { act: () => {} },
      store,
      drainMs: 0,
      ...options,
    });
    onTestFinished(async () => {
      await engine.stop();
      await store.close();
    });
    return engine;
  }

  test("the system's clock is compared by default, and agrees", async () => {
    const engine = await engineOn({});
    expect((await engine.ingest([alertOf("a", { startsAt: Date.now() })])).rejected).toEqual([]);
    expect(Math.abs(engine.status().clockSkewMs ?? Number.NaN)).toBeLessThan(1_000);
  });

  test("a clock that is 10 s ahead has its alerts refused", async () => {
    const ahead = { ...systemClock(), now: () => Date.now() + 10 * SECOND_MS };
    const engine = await engineOn({ clock: ahead, maxClockSkewMs: 5 * SECOND_MS });
    await expect(engine.ingest([alertOf("a")])).rejects.toMatchObject(SKEW);
  });

  test("a clock of the program's own is not compared unless the program says how far it may differ", async () => {
    const engine = await engineOn({ clock: new ManualClock(START_MS) });
    expect((await engine.ingest([alertOf("a")])).rejected).toEqual([]);
    expect(engine.status().clockSkewMs).toBeNull();
  });
});

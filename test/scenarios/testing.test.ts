/** What `becalm/testing` promises to programs that test their policies and handlers with it. */
import { setTimeout as delay } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EffectHandlers } from "../../src/effects/local-effects.ts";
import { createEngine, type Engine } from "../../src/engine.ts";
import type { PolicyDocument } from "../../src/formats/policy-document.ts";
import { virtualClock, virtualRun } from "../../src/testing.ts";
import { ownMs } from "../support/own-time.ts";

const START = "2026-11-23T06:00:00Z";
const START_MS = Date.parse(START);
const MINUTE_MS = 60_000;
const ada = { by: "ada", why: "looked at it" };

function policy(more: Partial<PolicyDocument>): PolicyDocument {
  return { name: "repair", match: [], action: { handler: { name: "repair" } }, ...more };
}

const down = (host: string) => ({ labels: { alertname: "HostDown", host }, status: "firing" as const });
const up = (host: string) => ({ ...down(host), status: "resolved" as const });

async function running(policies: readonly PolicyDocument[], repair: EffectHandlers[string]) {
  const clock = virtualClock(START);
  const engine = createEngine({ policies, clock, handlers: { repair }, drainMs: 0 });
  await engine.start();
  return { clock, engine, [Symbol.asyncDispose]: () => engine.stop() };
}

async function only(engine: Pick<Engine, "list">) {
  const { instances } = await engine.list();
  expect(instances).toHaveLength(1);
  return instances[0] as (typeof instances)[number];
}

describe("a virtual clock", () => {
  test("starts where it is told, and stands still until it is moved", async () => {
    const clock = virtualClock(START);
    await delay(5);
    expect(clock.now()).toBe(START_MS);
    expect(await clock.advance("1h30m")).toBe(START_MS + 90 * MINUTE_MS);
    expect(virtualClock(new Date(START)).now()).toBe(START_MS);
    for (const wrong of ["yesterday", -1, Number.NaN]) expect(() => virtualClock(wrong)).toThrow(/is not a time/);
    await expect(clock.advance("soon")).rejects.toMatchObject({ code: "BECALM_ARGUMENT_INVALID" });
  });

  test("settles when everything that follows has happened, handlers that really wait included", async () => {
    await using world = await running([policy({})], () => delay(30));
    await world.engine.ingest(down("db-1"));
    await world.clock.settle();
    expect((await only(world.engine)).state).toBe("Success");
  });

  test("lets what is due happen at its own time, however far it is moved", async () => {
    const attemptsAtMs: number[] = [];
    await using world = await running([policy({ retry: { limit: 3, delay: "10s", backoff: 2 } })], () => {
      attemptsAtMs.push(world.clock.now() - START_MS);
      throw new Error("it is down still");
    });
    await world.engine.ingest(down("db-1"));
    expect(await ownMs(() => world.clock.advance("30d"))).toBeLessThan(5_000);
    expect(attemptsAtMs).toEqual([0, 10_000, 30_000, 70_000]);
  });

  test("lets timers that are due within a moment of each other fire each at its own time", async () => {
    const decidedAtMs: string[] = [];
    const converge = { function: "wait_when_proceed", by: [], window: "30s" } as const;
    await using world = await running(
      [policy({ converge, again: { after: "40s", limit: 1 } })],
      () => new Promise(() => {}),
    );
    world.engine.subscribe((steps) => {
      for (const { event, atMs } of steps) if (event !== "start") decidedAtMs.push(`${event} ${atMs - START_MS}`);
    });
    for (const host of ["db-1", "db-2", "db-3", "db-4"]) {
      await world.engine.ingest(down(host));
      await world.clock.advance(1, { attempts: "leave" });
    }
    await world.clock.advance("15m", { attempts: "leave" });
    expect(decidedAtMs).toEqual([
      ...[600_001, 600_002, 600_003].map((atMs) => `timer.elapsed ${atMs}`),
      ...[640_001, 640_002, 640_003].map((atMs) => `reconsider ${atMs}`),
    ]);
  });

  test("leaves alone attempts that a test ends itself, if it is told to", async () => {
    let end = () => {};
    await using world = await running(
      [policy({})],
      () =>
        new Promise<void>((resolve) => {
          end = resolve;
        }),
    );
    await world.engine.ingest(down("db-1"));
    await world.clock.settle({ attempts: "leave" });
    expect((await only(world.engine)).state).toBe("Processing");
    await expect(world.clock.settle({ timeoutMs: 20 })).rejects.toMatchObject({ code: "BECALM_WAIT_TIMEOUT" });
    end();
    await world.clock.settle();
    expect((await only(world.engine)).state).toBe("Success");
  });

  test("moves what a program has scheduled by it, in order of the due times", async () => {
    const clock = virtualClock(START);
    const fired: [string, number][] = [];
    const note = (name: string) => () => void fired.push([name, clock.now() - START_MS]);
    clock.schedule(2_000, note("second"));
    clock.schedule(1_000, () => {
      note("first")();
      clock.schedule(500, note("between"));
    });
    const cancel = clock.schedule(1_500, note("cancelled"));
    cancel();
    await clock.advance("10s");
    expect(fired).toEqual([
      ["first", 1_000],
      ["between", 1_500],
      ["second", 2_000],
    ]);
  });

  test("is left by an engine that stops", async () => {
    const world = await running([policy({})], () => {});
    await world.engine.stop();
    await world.clock.advance("1d");
  });
});

describe("a virtual run", () => {
  test("performs attempts with the program's own handlers, and takes no virtual time for them", async () => {
    const asked: unknown[] = [];
    await using run = await virtualRun({
      policies: [policy({ converge: { function: "skip_when_exceed", by: [], count: 2, window: "5m" } })],
      handlers: { repair: ({ alert }) => void asked.push(alert?.labels["host"]) },
      start: START,
    });
    const { instances, created } = await run.ingest([down("db-1"), down("db-2"), down("db-3")]);
    expect(created).toBe(3);
    expect(instances.map(({ state, reason }) => `${state} ${reason}`)).toEqual([
      "Success below_count",
      "Success group_opened",
      "Skipped limit_reached",
    ]);
    expect(asked).toEqual(["db-1", "db-2"]);
    expect(run.nowMs).toBe(START_MS);
    expect((await run.ingest([down("db-1"), { labels: {} } as never])).rejected).toMatchObject([
      { alert: 1, error: { code: "BECALM_ALERT_INVALID" } },
    ]);
  });

  test("fires what is due while time is moved on: retries, then verifying, until the host is up or given up", async () => {
    const attemptsAtMs: number[] = [];
    await using run = await virtualRun({
      policies: [policy({ retry: { limit: 1, delay: "10s" }, verify: { resolved_within: "10m" } })],
      handlers: { repair: () => void attemptsAtMs.push(run.nowMs - START_MS) },
      start: START,
    });
    await run.ingest([down("db-1"), down("db-2")]);
    await run.advance("5m");
    await run.ingest(up("db-2"));
    await run.advance("1h");
    const [second, first] = (await run.list()).instances.map(({ id, state }) => ({ id, state }));
    expect([first?.state, second?.state]).toEqual(["Failed", "Success"]);
    const reasons = async (id = "") => (await run.get(id).history()).entries.map(({ reason }) => reason);
    expect((await reasons(first?.id)).at(-1)).toBe("not_resolved");
    expect((await reasons(second?.id)).at(-1)).toBe("verified");
    expect(attemptsAtMs).toEqual([0, 0, 610_000]);
  });

  test("takes answers, pauses and silences at its own time, with the attempts that follow", async () => {
    await using run = await virtualRun({
      policies: [policy({ converge: { function: "defense", by: [], count: 1, window: "5m" } })],
      handlers: { repair: () => {} },
    });
    await run.ingest([down("db-1"), down("db-2"), down("db-3")]);
    const { instances: held } = await run.list({ state: "Waiting" });
    expect(held).toHaveLength(2);
    const [granted] = await run.approve({ id: held[0]?.id as string }, ada);
    expect(granted?.state).toBe("Success");
    await run.finish();
    expect((await run.get(held[1]?.id as string).snapshot()).state).toBe("Waiting");
    await run.advance("30m");
    expect(await run.get(held[1]?.id as string).snapshot()).toMatchObject({
      state: "Skipped",
      reason: "approval_timeout",
    });
    await run.silence({ match: 'host="db-9"', toMs: run.nowMs + MINUTE_MS, ...ada });
    const silenced = await run.ingest(down("db-9"));
    expect(silenced.instances[0]).toMatchObject({ state: "Skipped", reason: "silenced" });
    await run.pause({ policy: "repair", ...ada });
    await run.advance("2m");
    expect(await run.get(silenced.instances[0]?.id as string).snapshot()).toMatchObject({ reason: "paused" });
    await run.resume({ policy: "repair", held: "decide", ...ada });
    expect((await run.get(silenced.instances[0]?.id as string).snapshot()).state).toBe("Success");
  });

  test("comes out as an engine by a virtual clock does, whatever comes when", async () => {
    const rule = fc.constantFrom(
      "skip_when_success",
      "approve_when_failed",
      "skip_when_exceed",
      "defense",
      "collect",
      "trigger",
    );
    const step = fc.record({
      minutes: fc.integer({ min: 0, max: 4 }),
      host: fc.constantFrom("db-1", "db-2", "db-3"),
      isUp: fc.boolean(),
    });
    const property = fc.asyncProperty(rule, fc.array(step, { maxLength: 12 }), async (fn, steps) => {
      const policies = [
        policy({
          converge: { function: fn, by: ["alertname"], count: 2, window: "5m" } as PolicyDocument["converge"] & object,
          retry: { limit: 1, delay: "90s" },
          again: { after: "6m", limit: 1 },
        }),
      ];
      const repair: EffectHandlers[string] = ({ alert, attempt }) => {
        if (alert?.labels["host"] === "db-2" || attempt === 1) throw new Error("not yet");
      };
      await using world = await running(policies, repair);
      await using run = await virtualRun({ policies, handlers: { repair }, start: START });
      for (const [index, { minutes, host, isUp }] of steps.entries()) {
        const alert = isUp ? up(host) : down(host);
        // No two timers are due at once: an engine fires such in any order.
        const byMs = minutes * MINUTE_MS + 1_009 + index * 13;
        await world.clock.advance(byMs);
        await run.advance(byMs);
        await world.engine.ingest(alert);
        await world.clock.settle();
        await run.ingest(alert);
      }
      await world.clock.advance("2h");
      await run.advance("2h");
      const shown = async (from: Pick<Engine, "list">) =>
        (await from.list({ limit: 500 })).instances.map(({ id, state, reason }) => `${id} ${state} ${reason}`);
      expect(await shown(run)).toEqual(await shown(world.engine));
    });
    await fc.assert(property, { numRuns: 40 });
  });
});

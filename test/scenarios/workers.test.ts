/** Workers: processes that run attempts and decide nothing. */
import { describe, expect, test } from "vitest";
import type { PolicyDocument } from "../../src/formats/policy-document.ts";
import {
  type Attempt,
  alertOf,
  EngineWorld,
  everything,
  MEMORY,
  MINUTE_MS,
  policyOf,
  redisKind,
  SECOND_MS,
  standing,
  take,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";
import type { StoreCall, StoreFate } from "../support/watched-store.ts";

const server = useRedis();
const LEAVING = { leaveEffects: true } as const;
const policies = [policyOf(null)];

/** A policy whose alerts are told by their label `for`. */
function policyFor(name: string, action: object = { handler: { name: "act" } }, more: object = {}): PolicyDocument {
  return { ...policyOf(null, more), name, match: [`for="${name}"`], action } as PolicyDocument;
}

function alertFor(policy: string, name: string, severity?: string) {
  return alertOf(name, { labels: { for: policy, ...(severity === undefined ? {} : { severity }) } });
}

const namesOf = (attempts: readonly Attempt[]) => attempts.map(({ alert }) => alert?.labels["name"]);

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  test("what an engine leaves, workers run: each attempt once, whatever its results bring about", async () => {
    const world = new EngineWorld(kind);
    const retried = policyOf(null, { retry: { limit: 1, delay: "10s" } });
    const engine = await world.engine([retried], LEAVING);
    const ids = await take(engine, ...Array.from({ length: 40 }, (_, index) => alertOf(`a${index}`)));
    await world.elapse(3 * SECOND_MS);
    expect(world.attempts).toHaveLength(0);
    world.outcome = ({ attempt, alert }) => (attempt === 1 && alert?.labels["name"] === "a3" ? "failed" : "done");
    await world.worker();
    await world.worker();
    await world.until(
      "all have ended",
      async () => (await everything(engine)).every(({ state }) => state === "Success"),
      SECOND_MS,
    );
    expect(world.attempts).toHaveLength(41);
    expect(new Set(world.attempts.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(41);
    expect(ids).toHaveLength(40);
    expect(await (await world.outside()).listEffects({ limit: 100 })).toEqual([]);
    expect(await unsound(world, engine)).toEqual([]);
  });

  test("the most severe come first, also among those that were tried before, and the oldest of those", async () => {
    const world = new EngineWorld(kind);
    const retried = policyFor("a", undefined, { retry: { limit: 1, delay: "1s" } });
    const engine = await world.engine([retried], LEAVING);
    await take(engine, alertFor("a", "again", "critical"));
    const worker = await world.worker({ concurrency: 1 });
    await world.until("the first try", () => world.underway.length === 1, 200);
    worker.pause();
    world.underway[0]?.fail();
    for (const name of ["info", "none", "warning", "critical"]) {
      await take(engine, alertFor("a", name, name === "none" ? undefined : name));
      await world.elapse(300);
    }
    await world.elapse(2 * SECOND_MS);
    world.outcome = () => "done";
    worker.resume();
    await world.until("all have run", () => world.attempts.length === 6, 200);
    const names = namesOf(world.attempts.slice(1));
    expect(new Set(names.slice(0, 2))).toEqual(new Set(["again", "critical"]));
    expect(names.slice(2)).toEqual(["warning", "none", "info"]);
  });

  test("a cancel that another process commits ends the attempt in the worker, within two seconds", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine(policies, LEAVING);
    const [id = ""] = await take(engine, alertOf("a"));
    await world.worker();
    await world.until("the attempt", () => world.attempts.length === 1, 200);
    await engine.get(id).send({ type: "cancel", by: "ada", why: "wrong host" });
    await world.until("it is aborted", () => world.attempts[0]?.signal.aborted === true, 500);
    const nowMs = world.clock.now();
    expect(nowMs - (world.attempts[0]?.startedAtMs ?? 0)).toBeLessThanOrEqual(2_500);
    expect(await standing(engine, id)).toBe("Failed cancelled");
    await world.until(
      "the outbox is empty",
      async () => (await (await world.outside()).listEffects({ limit: 9 })).length === 0,
      500,
    );
    expect(world.attempts).toHaveLength(1);
  });
});

describe("a worker", () => {
  test("takes what it is for and is able to run, and leaves the rest to others", async () => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine(
      [
        policyFor("mine"),
        policyFor("other"),
        policyFor("elsewhere", { handler: { name: "far" } }),
        policyFor("program", { exec: { command: ["true"] } }),
        policyFor("told", { log: {} }),
      ],
      LEAVING,
    );
    for (const policy of ["mine", "other", "elsewhere", "program", "told"])
      await take(engine, alertFor(policy, policy));
    world.outcome = () => "done";
    await world.worker({ policies: ["mine", "elsewhere", "program"] });
    await world.elapse(3 * SECOND_MS);
    expect(namesOf(world.attempts)).toEqual(["mine"]);
    await world.worker({ kinds: ["log", "webhook"] });
    await world.elapse(3 * SECOND_MS);
    const states = async () =>
      Object.fromEntries((await everything(engine)).map(({ policy, state }) => [policy, state]));
    expect(await states()).toMatchObject({
      mine: "Success",
      other: "Processing",
      told: "Success",
      program: "Processing",
    });
    await world.worker({ names: ["act", "far"] });
    await world.elapse(3 * SECOND_MS);
    expect(await states()).toMatchObject({ other: "Success", elsewhere: "Success", program: "Processing" });
    await world.worker({ allowExec: true });
    await world.until("the program has run", async () => (await states())["program"] === "Success", SECOND_MS);
  });

  test("begins attempts of a policy no more often than its rate, and those of others meanwhile", async () => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine([policyFor("slow"), policyFor("quick")], LEAVING);
    for (let index = 0; index < 12; index += 1) {
      await take(engine, alertFor("slow", `s${index}`, "critical"));
      await world.elapse(1);
    }
    await take(engine, alertFor("quick", "q", "info"));
    world.outcome = () => "done";
    await world.worker({ rates: { slow: { count: 2, perMs: MINUTE_MS } } });
    await world.elapse(5 * SECOND_MS);
    expect(new Set(namesOf(world.attempts))).toEqual(new Set(["q", "s0", "s1"]));
    expect(world.attempts).toHaveLength(3);
    await world.until("the last has run", () => world.attempts.length === 13, SECOND_MS);
    const starts = world.attempts.filter(({ policy }) => policy === "slow").map(({ startedAtMs }) => startedAtMs);
    for (const [index, atMs] of starts.entries())
      if (index >= 2) expect(atMs - (starts[index - 2] as number)).toBeGreaterThanOrEqual(MINUTE_MS);
    expect((starts.at(-1) as number) - (starts[0] as number)).toBeLessThan(6 * MINUTE_MS);
  });

  test.each([MEMORY, redisKind(server)])("on $name, shares the rate of a policy with all others", async (kind) => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyFor("slow")], LEAVING);
    const names = Array.from({ length: 12 }, (_, index) => `s${index}`);
    await take(engine, ...names.map((name) => alertFor("slow", name, "critical")));
    world.outcome = () => "done";
    const rates = { slow: { count: 3, perMs: MINUTE_MS } };
    await world.worker({ rates });
    await world.worker({ rates });
    await world.until("three have begun", () => world.attempts.length === 3, 200);
    for (let turn = 0; turn < 20; turn += 1) await world.elapse(200);
    expect(world.attempts).toHaveLength(3);
    await world.storage.expireLeases();
    await world.until("three more have begun", () => world.attempts.length === 6, 200);
    for (let turn = 0; turn < 20; turn += 1) await world.elapse(200);
    expect(world.attempts).toHaveLength(6);
    expect(new Set(world.attempts.map(({ alert }) => alert?.labels["name"])).size).toBe(6);
  });

  test("that is paused begins nothing and lets what is under way end; an emergency stop reaches it too", async () => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine(policies, LEAVING);
    const worker = await world.worker({ concurrency: 1 });
    const who = { by: "ada", why: "rack move" };
    const [first = ""] = await take(engine, alertOf("a"));
    await world.elapse(1);
    const [second = ""] = await take(engine, alertOf("b"));
    await world.until("the first", () => world.attempts.length === 1, 200);
    worker.pause();
    expect(worker.status).toEqual({ state: "paused", running: 1 });
    world.underway[0]?.succeed();
    await world.elapse(3 * SECOND_MS);
    expect(await standing(engine, first)).toMatch(/^Success/);
    expect(world.attempts).toHaveLength(1);
    await engine.pause(who);
    worker.resume();
    await world.elapse(3 * SECOND_MS);
    expect(world.attempts).toHaveLength(1);
    await engine.resume({ ...who, held: "decide" });
    await world.until("the second", () => world.attempts.length === 2, 500);
    await world.finishAll();
    expect(await standing(engine, second)).toMatch(/^Success/);
    expect(await (await world.outside()).outbox.deadLetters({ limit: 9 })).toEqual([]);
  });

  test("that is paused while it looks for attempts begins none of those that it finds", async () => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine(policies, LEAVING);
    const fateOf = ({ method }: StoreCall): StoreFate => {
      if (method === "outbox.free" && hasCome) worker.pause();
      return "pass";
    };
    let hasCome = false;
    const worker = await world.worker({ fateOf });
    await take(engine, alertOf("a"));
    hasCome = true;
    await world.elapse(3 * SECOND_MS);
    expect([worker.status.state, world.attempts.length]).toEqual(["paused", 0]);
    hasCome = false;
    worker.resume();
    await world.until("it goes on", () => world.attempts.length === 1, 200);
  });

  test("that could not claim what it has chosen looks for it again at once", async () => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine(policies, LEAVING);
    await take(engine, alertOf("a"), alertOf("b"));
    world.outcome = () => "done";
    await world.worker({
      fateOf: ({ method, count }) => (method === "outbox.claim" && count === 1 ? "fail" : "pass"),
    });
    for (let passedMs = 0; passedMs < 3 * SECOND_MS; passedMs += 500) await world.elapse(500);
    expect(world.attempts).toHaveLength(2);
  });

  test("counts for the brakes that its engines have put into force", async () => {
    const world = new EngineWorld(MEMORY);
    const braked = policyOf(null, { limits: { failures: 2, per: "10m" } });
    const engine = await world.engine([braked], LEAVING);
    world.outcome = () => "failed";
    await world.worker();
    await world.elapse(2 * SECOND_MS);
    await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
    await world.until("the brake", async () => (await engine.pauses()).length === 1, SECOND_MS);
    expect(await engine.pauses()).toMatchObject([{ by: "becalm", scope: "act" }]);
  });

  test("refuses options that are wrong, and a namespace that is missing or virtual", async () => {
    const world = new EngineWorld(MEMORY);
    await expect(world.worker()).rejects.toMatchObject({ code: "BECALM_NOT_FOUND" });
    await expect(world.worker({ kinds: ["webhok" as "webhook"] })).rejects.toMatchObject({
      code: "BECALM_ARGUMENT_INVALID",
    });
    await expect(world.worker({ rates: { a: { count: 0, perMs: 1 } } })).rejects.toThrow(/rates/);
    await world.storage.connect().open({ mode: "virtual", partitions: 4 });
    await expect(world.worker()).rejects.toMatchObject({ code: "BECALM_NAMESPACE_MODE" });
  });
});

describe("an attempt whose processes end again and again", () => {
  test("is set aside, without those that ran beside it, and runs once more when somebody resumes it", async () => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine(policies, LEAVING);
    const [poison = ""] = await take(engine, alertOf("poison"));
    const others = await take(engine, ...["a", "b", "c"].map((name) => alertOf(name)));
    const letters = async () => (await world.outside()).outbox.deadLetters({ limit: 9 });
    let workers = 0;
    for (; (await letters()).length === 0 && workers < 20; workers += 1) {
      const worker = await world.worker();
      let isOver = false;
      world.outcome = ({ instance }) => {
        if (instance === poison) isOver = true;
        return undefined;
      };
      // The others never end beside it: their process does not live long enough.
      await world.until("the poison runs, or is set aside", async () => isOver || (await letters()).length > 0, 500);
      if (isOver && world.underway.some(({ instance }) => instance === poison)) {
        worker.kill();
        for (const attempt of world.underway) attempt.ended = "failed";
        await world.storage.expireLeases();
      }
    }
    // Ten ran it, and the eleventh found that.
    expect(workers).toBe(11);
    expect(await engine.deadLetters()).toMatchObject([{ instance: poison, policy: "act", attempt: 1, deliveries: 11 }]);
    expect(world.faults.join("\n")).toContain("set aside");
    world.outcome = ({ instance }) => (instance === poison ? undefined : "done");
    const left = async () => (await everything(engine)).filter(({ state }) => state !== "Success").map(({ id }) => id);
    await world.finishAll();
    await world.worker();
    await world.until("the others have ended", async () => (await left()).length === 1, SECOND_MS);
    expect(await left()).toEqual([poison]);
    expect(others).toHaveLength(3);
    world.outcome = () => "done";
    const [letter] = await engine.deadLetters();
    expect(await engine.resumeDeadLetters([letter?.id ?? "", "00-none"])).toEqual([letter?.id]);
    await world.until("it has run", async () => (await left()).length === 0, SECOND_MS);
    expect(await engine.deadLetters()).toEqual([]);
  });

  test("that was cancelled meanwhile leaves the outbox by itself", async () => {
    const world = new EngineWorld(MEMORY);
    const engine = await world.engine(policies, LEAVING);
    const [id = ""] = await take(engine, alertOf("a"));
    const { outbox } = await world.outside();
    const [effect] = await outbox.free({ partition: Number(id.slice(0, 2)), after: null, limit: 1 });
    await outbox.claim({ owner: "gone", leaseMs: 1, effectIds: [effect?.id ?? ""] });
    await outbox.setAside({ owner: "gone", effectIds: [effect?.id ?? ""] });
    await world.worker();
    await engine.get(id).send({ type: "cancel", by: "ada", why: "no use" });
    await world.until(
      "it is gone",
      async () => (await (await world.outside()).listEffects({ limit: 9 })).length === 0,
      5 * SECOND_MS,
    );
    expect(world.attempts).toHaveLength(0);
  });
});

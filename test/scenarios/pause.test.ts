/** The emergency stop: what it holds, what it lets through, and what becomes of it. */
import { describe, expect, test } from "vitest";
import { CONFLICT_COUNT_MAX } from "../../src/model/limits.ts";
import {
  alertOf,
  EngineWorld,
  everything,
  MEMORY,
  MINUTE_MS,
  policyOf,
  redisKind,
  SECOND_MS,
  standing,
  standings,
  take,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";
import type { StoreCall, StoreFate } from "../support/watched-store.ts";

const server = useRedis();
const who = { by: "ada", why: "the racks move" };
const NAMES = Array.from({ length: 40 }, (_, index) => `n${index}`);
const alerts = (names: readonly string[]) => names.map((name) => alertOf(name));
const EXCEED = { function: "skip_when_exceed", count: 3, window: "10m" };

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  test("in mid-storm nothing begins any longer; lifted, what it held is decided in order of arrival, so that limits hold", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf({ ...EXCEED, window: "1m" }, { name: "act" })]);
    const before = await take(engine, ...alerts(["a", "b", "c", "d"]));
    await world.settle();
    expect(world.attempts).toHaveLength(3);
    await engine.pause(who);
    await world.elapse(2 * MINUTE_MS);
    const ids = await take(engine, ...alerts(NAMES));
    await world.settle();
    expect(world.attempts).toHaveLength(3);
    expect(new Set(await standings(engine, ids))).toEqual(new Set(["Waiting paused"]));
    expect(await standing(engine, before[3] as string)).toBe("Skipped limit_reached");
    // It has no deadline.
    await world.elapse(24 * 60 * MINUTE_MS);
    expect(await standing(engine, ids[0] as string)).toBe("Waiting paused");
    expect(await engine.resume({ ...who, held: "decide" })).toMatchObject({ decided: 40, lifted: { by: "ada" } });
    await world.settle();
    const begun = world.attempts.slice(3).map(({ instance }) => instance);
    expect(begun.sort()).toEqual(ids.slice(0, 3).sort());
    expect(await standing(engine, ids[3] as string)).toBe("Skipped limit_reached");
    await world.finishAll();
    expect(await unsound(world, engine)).toEqual([]);
  });

  test("a pause of a policy that the namespace does not have is refused: it would stop nothing", async () => {
    const engine = await new EngineWorld(kind).engine([policyOf(null)]);
    await expect(engine.pause({ ...who, policy: "atc" })).rejects.toMatchObject({
      code: "BECALM_NOT_FOUND",
      message: expect.stringContaining("It has: act."),
    });
    expect(await engine.pauses()).toEqual([]);
  });

  test("a person is asked once about all that a pause holds, in whichever partition and process, and told what decides it", async () => {
    const world = new EngineWorld(kind);
    const asked: object[] = [];
    const info = (line: object) => "approval" in line && asked.push(line);
    const logger = { debug: () => {}, info, warn: () => {}, error: () => {} };
    const policies = [policyOf(null)];
    const setup = { logger, isFar: true };
    const [one, two] = [await world.engine(policies, setup), await world.engine(policies, setup)];
    await one.pause({ ...who, policy: "act" });
    await world.elapse(5 * SECOND_MS);
    expect(asked).toEqual([]);
    await Promise.all([take(one, ...alerts(NAMES.slice(0, 20))), take(two, ...alerts(NAMES.slice(20)))]);
    for (let second = 0; second < 5; second += 1) await world.elapse(SECOND_MS);
    const requests = async () =>
      (await everything(one)).flatMap(({ kind, state }) => (kind === "approval-request" ? state : []));
    // The result of asking travels to the owner of the request.
    await world.until("a person was asked", async () => (await requests()).includes("Success"));
    expect(await requests()).toEqual(["Success"]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({
      approval: {
        held: 40,
        dueAt: "9999-12-31T23:59:59.999Z",
        commands: {
          approve: "becalm resume --policy act --decide --by WHO --why TEXT",
          deny: "becalm resume --policy act --deny --by WHO --why TEXT",
        },
        sentence: { en: expect.stringContaining("the racks move") },
      },
    });
    world.outcome = () => "done";
    await one.resume({ ...who, policy: "act", held: "decide" });
    await world.settle();
    await two.pause({ ...who, policy: "act" });
    await take(two, alertOf("later"));
    for (let second = 0; second < 5; second += 1) await world.elapse(SECOND_MS);
    await world.until("a person was asked again", async () => asked.length > 1);
    expect(asked).toHaveLength(2);
    const store = await world.outside();
    await world.until("the result is written", async () => (await store.listEffects({ limit: 9 })).length === 0);
    expect(await unsound(world, one)).toEqual([]);
  });

  test("resumed without more, what it held stays held until somebody grants, denies or decides it", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null)]);
    await engine.pause(who);
    const ids = await take(engine, ...alerts(["a", "b", "c"]));
    await engine.resume(who);
    await world.settle();
    expect(new Set(await standings(engine, ids))).toEqual(new Set(["Waiting paused"]));
    await engine.approve({ id: ids[0] as string }, who);
    await world.settle();
    expect(world.attempts).toHaveLength(1);
    expect(await engine.resume({ ...who, held: "deny" })).toMatchObject({ decided: 2, lifted: null });
    expect(await standing(engine, ids[1] as string)).toBe("Skipped approval_denied");
  });

  test("lifted, it leaves to another pause what that one holds too", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null), policyOf(null, { name: "other" })]);
    await engine.pause({ ...who, policy: "act" });
    await engine.pause(who);
    const [own = "", other = ""] = await take(engine, alertOf("a"));
    expect(await engine.resume({ ...who, held: "deny" })).toMatchObject({ decided: 1 });
    expect(await standings(engine, [own, other])).toEqual(["Waiting paused", "Skipped approval_denied"]);
    expect(await engine.resume({ ...who, policy: "act", held: "deny" })).toMatchObject({ decided: 1 });
    expect(await standing(engine, own)).toBe("Skipped approval_denied");
  });

  test.each([
    ["skip", "Skipped alert_resolved"],
    ["keep", "Processing no_rule"],
  ])(
    "a retry that it held after its alert had resolved is not left behind: on_resolved: %s, %s",
    async (on, becomes) => {
      const world = new EngineWorld(kind);
      const retry = { limit: 1, delay: "10s" };
      const engine = await world.engine([policyOf(null, { retry, on_resolved: on })]);
      const [id = ""] = await take(engine, alertOf("a"));
      await engine.pause(who);
      await engine.ingest([alertOf("a", { status: "resolved" })]);
      world.underway[0]?.fail();
      await world.elapse(11 * SECOND_MS);
      expect(await standing(engine, id)).toBe("Waiting paused");
      expect(await engine.resume({ ...who, held: "decide" })).toMatchObject({ decided: 1 });
      expect(await standing(engine, id)).toBe(becomes);
      expect(await unsound(world, engine)).toEqual([]);
    },
  );

  test("a retry that it held after its alert's lease had run out is skipped for that reason", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null, { retry: { limit: 1, delay: "10m" } })]);
    const { status: _, ...lasting } = alertOf("a");
    const [id = ""] = await take(engine, lasting);
    await engine.pause(who);
    world.underway[0]?.fail();
    await world.elapse(11 * MINUTE_MS);
    expect(await standing(engine, id)).toBe("Waiting paused");
    await engine.resume({ ...who, held: "decide" });
    expect(await standing(engine, id)).toBe("Skipped lease_over");
    expect(await unsound(world, engine)).toEqual([]);
  });

  test.each([false, true])("a person's grant begins while it holds; with workers: %s", async (leaveEffects) => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf(null)], { leaveEffects });
    if (leaveEffects) await world.worker();
    await engine.pause(who);
    const [held = "", other = ""] = await take(engine, ...alerts(["a", "b"]));
    await engine.approve({ id: held }, who);
    await world.until("it has run", async () => (await standing(engine, held)) === "Success approved", SECOND_MS);
    expect(await standing(engine, other)).toBe("Waiting paused");
    expect(world.attempts.map(({ instance }) => instance)).toEqual([held]);
    expect(await unsound(world, engine)).toEqual([]);
  });

  test("attempts that nobody has begun wait for its end, those under way go on", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null)], { concurrency: 1 });
    await take(engine, ...alerts(["a", "b", "c"]));
    await world.settle();
    expect(world.attempts).toHaveLength(1);
    await world.elapse(5 * SECOND_MS);
    await engine.pause(who);
    await world.finishAll();
    expect(world.attempts).toHaveLength(1);
    await engine.resume(who);
    await world.elapse(2 * SECOND_MS);
    await world.elapse(2 * SECOND_MS);
    await world.finishAll();
    expect(world.attempts).toHaveLength(3);
  });

  test("another process is stopped as well, at its next commit, and a restart finds the pause", async () => {
    const world = new EngineWorld(kind);
    const policies = [policyOf(null)];
    const [one, two] = [await world.engine(policies), await world.engine(policies)];
    await take(two, alertOf("warm"));
    await one.pause({ ...who, policy: "act" });
    const [id] = (await take(two, alertOf("a"))) as [string];
    await world.settle();
    expect(await standing(two, id)).toBe("Waiting paused");
    await world.stop(one);
    const later = await world.engine(policies);
    expect(await later.pauses()).toMatchObject([{ by: "ada", scope: "act" }]);
    await expect(later.pause({ ...who, policy: "act" })).rejects.toMatchObject({ code: "BECALM_EVENT_REFUSED" });
    await later.resume({ ...who, policy: "act", held: "decide" });
    await world.settle();
    expect(world.attempts).toHaveLength(2);
  });

  test("a policy that only observes is stopped as well, in another process too", async () => {
    const world = new EngineWorld(kind);
    const policies = [policyOf(null, { mode: "observe" })];
    const [one, two] = [await world.engine(policies), await world.engine(policies)];
    await take(two, ...alerts(NAMES.slice(0, 8)));
    await one.pause(who);
    const ids = await take(two, ...alerts(NAMES.slice(8, 16)));
    await world.settle();
    expect(new Set(await standings(two, ids))).toEqual(new Set(["Waiting paused"]));
  });

  test("of one policy leaves the others alone, and a resume of what is not paused says so", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null, { name: "a" }), policyOf(null, { name: "b" })]);
    await engine.pause({ ...who, policy: "a" });
    const ids = await take(engine, alertOf("x"));
    await world.settle();
    expect(await standings(engine, ids)).toEqual(["Waiting paused", "Processing no_rule"]);
    await expect(engine.resume(who)).rejects.toMatchObject({ code: "BECALM_NOT_FOUND" });
  });

  test("a brake holds the attempt that would be one too many, and pauses by itself; a person's resume counts afresh", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf(null, { limits: { actions: 3, per: "10m" } })]);
    const ids: string[] = [];
    for (const name of ["a", "b", "c", "d", "e"]) ids.push(...(await take(engine, alertOf(name))));
    await world.settle();
    expect(world.attempts).toHaveLength(3);
    expect(await standings(engine, ids.slice(3))).toEqual(["Waiting paused", "Waiting paused"]);
    expect(await engine.pauses()).toMatchObject([
      { by: "becalm", scope: "act", why: expect.stringContaining("3 actions within 10m") },
    ]);
    await engine.resume({ ...who, policy: "act", held: "decide" });
    await world.settle();
    expect(world.attempts).toHaveLength(5);
  });

  test("a brake of the whole namespace counts all policies, in every process, and failed attempts too", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "failed";
    const policies = {
      policies: [policyOf(null, { name: "a" }), policyOf(null, { name: "b" })],
      limits: { failures: 2, per: "10m" },
    };
    const [one, two] = [await world.engine(policies), await world.engine(policies)];
    await take(one, alertOf("x"));
    await world.settle();
    expect(await one.pauses()).toEqual([]);
    await take(two, alertOf("y"));
    await world.until("the brake has paused everything", async () => (await two.pauses()).length > 0);
    expect(await two.pauses()).toMatchObject([
      { by: "becalm", scope: null, why: expect.stringContaining("2 failed attempts") },
    ]);
    const ids = await take(one, alertOf("z"));
    expect(await standings(one, ids)).toEqual(["Waiting paused", "Waiting paused"]);
  });

  test.each<[string, StoreFate]>([
    ["others win every write for long", { outcome: "conflict" }],
    ["the store answers no write for long", "fail"],
  ])("a brake misses no failed attempt if %s", async (_, fate) => {
    const world = new EngineWorld(kind);
    world.outcome = () => "failed";
    let lost = 0;
    let isLosing = true;
    const fateOf = ({ method, argument }: StoreCall): StoreFate => {
      if (!isLosing || method !== "renewEpisodes" || !isOfBrakes(argument)) return "pass";
      lost += 1;
      return fate;
    };
    const engine = await world.engine([policyOf(null, { limits: { failures: 1, per: "10m" } })], { fateOf });
    await take(engine, alertOf("x"), alertOf("y"));
    await world.until("more tries are lost than one batch has", () => lost > CONFLICT_COUNT_MAX, SECOND_MS);
    expect(engine.status().uncountedFailures).toBe(2);
    expect(await engine.pauses()).toEqual([]);
    expect(world.faults).toContainEqual(expect.stringMatching(/brakes/));
    isLosing = false;
    await world.until("the brake has paused the policy", async () => (await engine.pauses()).length > 0, SECOND_MS);
    expect(engine.status().uncountedFailures).toBe(0);
    expect(world.attempts).toHaveLength(2);
  });
});

function isOfBrakes(argument: unknown): boolean {
  return JSON.stringify(argument).includes('"!brakes"');
}

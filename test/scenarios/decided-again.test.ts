/** What is decided again while everything runs: after a silence, by `again`, and when done turns out not to be solved. */
import { describe, expect, test } from "vitest";
import {
  alertOf,
  EngineWorld,
  everything,
  MEMORY,
  MINUTE_MS,
  pathOf,
  policyOf,
  redisKind,
  SECOND_MS,
  START_MS,
  standing,
  standings,
  take,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
const who = { by: "ada", why: "the racks move" };
/** As a webhook tells it: firing until it says otherwise. */
const fires = (name: string) => alertOf(name, { status: "firing" });
const resolves = (name: string) => alertOf(name, { status: "resolved", endsAt: START_MS + 1 } as object);

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  test("a silence that somebody makes is in force in every process within a second, and when it expires what it skipped is decided", async () => {
    const world = new EngineWorld(kind);
    const policies = [policyOf(null)];
    const [one, two] = [await world.engine(policies), await world.engine(policies)];
    const { id: silence } = await one.silence({ match: 'host="db-1"', toMs: START_MS + 60 * MINUTE_MS, ...who });
    await world.elapse(SECOND_MS);
    const ids = await take(two, fires("a"), fires("b"));
    expect(await standings(two, ids)).toEqual(["Skipped silenced", "Skipped silenced"]);
    await take(two, resolves("b"));
    await one.expireSilence(silence);
    await world.settle();
    expect(await pathOf(one, ids[0] as string)).toBe("Idle > Skipped > Idle > Processing");
    expect(await standing(one, ids[1] as string)).toBe("Skipped silenced");
    await expect(one.expireSilence(silence)).rejects.toMatchObject({ code: "BECALM_NOT_FOUND" });
    await world.finishAll();
    expect(await unsound(world, one)).toEqual([]);
  });

  test("a second silence takes over when the one that skipped it has ended, and not before", async () => {
    const world = new EngineWorld(kind);
    const at = (minutes: number) => new Date(START_MS + minutes * MINUTE_MS).toISOString();
    const ofFile = { match: ['host="db-1"'], from: at(1), to: at(5), author: "bob", comment: "rack move" };
    const engine = await world.engine({ policies: [policyOf(null)], silences: [ofFile] });
    await engine.silence({ match: 'host="db-1"', toMs: START_MS + 3 * MINUTE_MS, ...who });
    const [id = ""] = await take(engine, fires("a"));
    await world.elapse(2 * MINUTE_MS);
    // Somebody makes another one: what silences hold is looked at again.
    await engine.silence({ match: 'host="db-2"', toMs: START_MS + 60 * MINUTE_MS, ...who });
    await world.settle();
    expect(await pathOf(engine, id)).toBe("Idle > Skipped");
    await world.elapse(MINUTE_MS);
    expect(await pathOf(engine, id)).toBe("Idle > Skipped > Idle > Skipped");
    await world.elapse(2 * MINUTE_MS);
    expect(await pathOf(engine, id)).toBe("Idle > Skipped > Idle > Skipped > Idle > Processing");
  });

  test("a silence that is gone from the policy file after a reload, or that ends by its time, lets go what it held", async () => {
    const world = new EngineWorld(kind);
    const silence = (host: string, minutes: number) => ({
      match: [`host="${host}"`],
      from: new Date(START_MS).toISOString(),
      to: new Date(START_MS + minutes * MINUTE_MS).toISOString(),
      author: "bob",
      comment: "rack move",
    });
    const policies = [policyOf(null)];
    const engine = await world.engine({ policies, silences: [silence("db-1", 60), silence("db-2", 5)] });
    const ids = await take(engine, fires("a"), alertOf("b", { host: "db-2", status: "firing" }));
    expect(await standings(engine, ids)).toEqual(["Skipped silenced", "Skipped silenced"]);
    await engine.reload({ policies, silences: [silence("db-2", 5)] });
    await world.settle();
    expect(await standings(engine, ids)).toEqual(["Processing no_rule", "Skipped silenced"]);
    await world.elapse(5 * MINUTE_MS + SECOND_MS);
    expect(await standing(engine, ids[1] as string)).toBe("Processing no_rule");
  });

  test("a storm of 40 hosts with count 3 and again: 3 are repaired a window, until each has had its turns or resolved", async () => {
    const world = new EngineWorld(kind);
    const rule = { function: "skip_when_exceed", by: ["cluster"], count: 3, window: "10m" };
    world.outcome = () => "done";
    const engine = await world.engine([policyOf(rule, { again: { after: "11m", limit: 3 } })]);
    const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
    const ids = await take(engine, ...names.map(fires));
    await world.settle();
    expect(world.attempts).toHaveLength(3);
    await take(engine, resolves("n39"));
    for (let round = 0; round < 5; round += 1) await world.elapse(11 * MINUTE_MS + SECOND_MS);
    expect(world.attempts).toHaveLength(12);
    expect(await pathOf(engine, ids[39] as string)).toBe("Idle > Skipped");
    expect(await unsound(world, engine)).toEqual([]);
  });

  test("whoever opens a group again when it is decided again opens another one, which sends a summary of its own", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const rule = { function: "collect_alarm", count: 1, window: "5m" };
    const engine = await world.engine([policyOf(rule, { again: { after: "6m", limit: 2 } })]);
    await take(engine, fires("a"), fires("b"));
    for (let minute = 0; minute < 20; minute += 1) await world.elapse(MINUTE_MS);
    const summaries = (await everything(engine)).filter((instance) => instance.kind === "summary");
    const told = await Promise.all(summaries.map(async ({ id }) => (await engine.get(id).history()).birth.notice));
    const opened = told.map((notice) => (notice?.kind === "summary" ? notice.openedAtMs - START_MS : null));
    expect(opened).toEqual([0, 6 * MINUTE_MS, 12 * MINUTE_MS]);
    expect(told).toMatchObject([{ skipped: 2 }, { skipped: 2 }, { skipped: 2 }]);
    expect(await unsound(world, engine)).toEqual([]);
  });

  test("verify: done is not solved until the alert resolves; a host that stays down is a failure", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf(null, { verify: { resolved_within: "10m" } })]);
    const ids = await take(engine, fires("down"), fires("up"));
    await world.settle();
    expect(await standings(engine, ids)).toEqual(["Processing no_rule", "Processing no_rule"]);
    await take(engine, resolves("up"));
    await world.settle();
    expect((await engine.get(ids[1] as string).snapshot()).state).toBe("Success");
    await world.elapse(10 * MINUTE_MS + SECOND_MS);
    expect(await standing(engine, ids[0] as string)).toBe("Failed not_resolved");
  });

  test("two approvals: the first of two people changes nothing, the second lets it run", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const rule = { function: "defense", count: 1 };
    const engine = await world.engine([policyOf(rule, { approval: { quorum: 2 } })]);
    const [, held] = (await take(engine, fires("a"), fires("b"))) as [string, string];
    await world.settle();
    await engine.approve({ id: held }, who);
    expect(await standing(engine, held)).toBe("Waiting defense_threshold");
    await expect(engine.approve({ id: held }, who)).rejects.toMatchObject({ code: "BECALM_EVENT_REFUSED" });
    await engine.approve({ id: held }, { by: "bob", why: "so have I" });
    await world.settle();
    expect((await engine.get(held).snapshot()).state).toBe("Success");
  });

  test("two approvals of a storm: each person's answer reaches all that the group holds, however many these are", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf({ function: "defense", count: 1 }, { approval: { quorum: 2 } })]);
    await take(engine, ...Array.from({ length: 320 }, (_, index) => fires(`host-${index}`)));
    const { group } = (await everything(engine))[0] as { group: string };
    expect(await engine.approve({ group }, who)).toHaveLength(319);
    await expect(engine.approve({ group }, who)).rejects.toMatchObject({
      code: "BECALM_EVENT_REFUSED",
      message: expect.stringContaining("ada has granted it already, and it needs another person"),
    });
    const granted = await engine.approve({ group }, { by: "bob", why: "so have I" });
    expect(granted.filter(({ state }) => state === "Processing")).toHaveLength(319);
  });

  test("a second answer for a group is told who gave the first one, and when, also when nobody did in time", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf({ function: "defense", count: 1 })]);
    await take(engine, fires("a"), fires("b"), fires("c"));
    const { group } = (await everything(engine))[0] as { group: string };
    await world.elapse(MINUTE_MS);
    await engine.approve({ group }, { by: "ann", why: "known" });
    await expect(engine.deny({ group }, who)).rejects.toMatchObject({
      code: "BECALM_NOT_FOUND",
      message: expect.stringContaining(`ann granted it at ${new Date(START_MS + MINUTE_MS).toISOString()}`),
      details: { group, answered: { by: "ann", atMs: START_MS + MINUTE_MS } },
    });
    await take(engine, fires("d"));
    await world.elapse(31 * MINUTE_MS);
    await expect(engine.approve({ group }, who)).rejects.toThrow("nobody answered in time at ");
  });

  test("an engine that observes decides and audits everything and acts on nothing", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf({ function: "skip_when_exceed", count: 1 })], { observe: true });
    const ids = await take(engine, fires("a"), fires("b"));
    await world.settle();
    expect(await standings(engine, ids)).toEqual(["Success group_opened", "Skipped limit_reached"]);
    expect(world.attempts).toEqual([]);
  });
});

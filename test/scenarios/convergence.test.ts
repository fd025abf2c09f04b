/** The ten convergence functions through a live engine: alerts in, attempts of a handler, states and reasons out. */
import { describe, expect, test } from "vitest";
import {
  alertOf,
  EngineWorld,
  everything,
  MEMORY,
  MINUTE_MS,
  POLL_MS,
  pathOf,
  policyOf,
  redisKind,
  SECOND_MS,
  standing,
  standings,
  take,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  describe("skip_when_success", () => {
    test("A fails for good, B runs, C, D, E wait, B succeeds, C, D, E are skipped", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "skip_when_success" })]);
      const [a] = (await take(engine, alertOf("a"))) as [string];
      await world.settle();
      world.attempts[0]?.fail();
      await world.settle();
      expect(await standing(engine, a)).toBe("Failed failed");
      const [b] = (await take(engine, alertOf("b"))) as [string];
      const waiters = await take(engine, alertOf("c"), alertOf("d"), alertOf("e"));
      await world.settle();
      expect(await standings(engine, waiters)).toEqual(Array(3).fill("Proceeding peer_in_progress"));
      world.attempts[1]?.succeed();
      await world.settle();
      expect(await standing(engine, b)).toBe("Success no_peer_in_the_way");
      expect(await standings(engine, waiters)).toEqual(Array(3).fill("Skipped peer_succeeded"));
      expect(await pathOf(engine, waiters[0] as string)).toBe(
        "Idle > Processing > Proceeding > Processing > Success > Skipped",
      );
      expect(world.attempts).toHaveLength(2);
      expect(await unsound(world, engine)).toEqual([]);
    });

    test("a failed peer releases the first waiter only; its failure the next", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "skip_when_success" })]);
      const ids = await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
      await world.settle();
      for (const count of [1, 2, 3]) {
        expect(world.attempts.map(({ instance }) => instance)).toEqual(ids.slice(0, count));
        world.attempts[count - 1]?.fail();
        await world.settle();
      }
      expect(await standings(engine, ids)).toEqual(Array(3).fill("Failed failed"));
    });

    test("a retry that is due keeps the others waiting: nobody runs beside it", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([
        policyOf({ function: "skip_when_success" }, { retry: { limit: 1, delay: "10s" } }),
      ]);
      const ids = await take(engine, alertOf("a"), alertOf("b"));
      await world.settle();
      world.attempts[0]?.fail();
      await world.elapse(9 * SECOND_MS + 999);
      expect(world.attempts).toHaveLength(1);
      expect(await standings(engine, ids)).toEqual(["Failed no_peer_in_the_way", "Proceeding peer_in_progress"]);
      await world.elapse(POLL_MS);
      expect(world.attempts.map(({ attempt, instance }) => [attempt, instance])).toEqual([
        [1, ids[0]],
        [2, ids[0]],
      ]);
      world.attempts[1]?.succeed();
      await world.settle();
      expect(await standings(engine, ids)).toEqual(["Success no_peer_in_the_way", "Skipped peer_succeeded"]);
    });
  });

  describe("wait_when_proceed", () => {
    test("W1, W2, W3 wait, W2's alert resolves: W2 is skipped; the peer ends: W1 runs; W1 ends: W3 runs", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "wait_when_proceed" })]);
      const [peer] = (await take(engine, alertOf("peer"))) as [string];
      const [w1, w2, w3] = (await take(engine, alertOf("w1"), alertOf("w2"), alertOf("w3"))) as [
        string,
        string,
        string,
      ];
      await take(engine, alertOf("w2", { status: "resolved" }));
      expect(await standing(engine, w2)).toBe("Skipped alert_resolved");
      await world.finishAll();
      expect(world.attempts.map(({ instance }) => instance)).toEqual([peer, w1, w3]);
      expect(world.underwayCountMax).toBe(1);
      expect(await standings(engine, [peer, w1, w3])).toEqual([
        "Success no_peer_in_the_way",
        "Success no_peer_in_the_way",
        "Success no_peer_in_the_way",
      ]);
      expect(await unsound(world, engine)).toEqual([]);
    });

    test("is a mutex: of forty in a storm never two at once, each exactly once, in order of arrival", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "wait_when_proceed" })]);
      const ids = await take(engine, ...Array.from({ length: 40 }, (_, index) => alertOf(`a${index}`)));
      await world.settle();
      await world.finishAll();
      expect(world.attempts.map(({ instance }) => instance)).toEqual(ids);
      expect(world.underwayCountMax).toBe(1);
    });

    test("waiting is bounded in total, from first entering Proceeding, and its end is in the audit", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "wait_when_proceed" })]);
      const ids = await take(engine, alertOf("a"), alertOf("b"));
      await world.elapse(10 * MINUTE_MS - 1);
      expect(await standing(engine, ids[1] as string)).toBe("Proceeding peer_in_progress");
      await world.elapse(POLL_MS);
      expect(await standing(engine, ids[1] as string)).toBe("Skipped wait_timeout");
      const { entries } = await engine.get(ids[1] as string).history();
      expect(entries.at(-1)).toMatchObject({ reason: "wait_timeout", actor: "becalm", verdict: "skip" });
      expect(world.attempts).toHaveLength(1);
    });

    test("a group past its window stays open while somebody runs in it, and starts afresh afterwards", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "wait_when_proceed", window: "1m" })]);
      await take(engine, alertOf("a"));
      await world.elapse(3 * MINUTE_MS);
      const [late] = (await take(engine, alertOf("late"))) as [string];
      expect(await standing(engine, late)).toBe("Proceeding peer_in_progress");
      await world.finishAll();
      const [fresh] = (await take(engine, alertOf("fresh"))) as [string];
      await world.settle();
      const { entries } = await engine.get(fresh).history();
      expect(entries[0]?.observation).toMatchObject({ isNew: true, executed: 0 });
    });
  });

  describe("skip_when_proceed", () => {
    test("skips while a peer is in progress, and after it ended without failure exactly as long as the window", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "skip_when_proceed", window: "2m", max_window: "30m" })]);
      const [, during] = (await take(engine, alertOf("a"), alertOf("during"))) as [string, string];
      expect(await standing(engine, during)).toBe("Skipped peer_in_progress");
      expect(await pathOf(engine, during)).toBe("Idle > Processing > Proceeding > Skipped");
      await world.elapse(30 * SECOND_MS);
      world.attempts[0]?.succeed();
      await world.elapse(2 * MINUTE_MS);
      const [edge] = (await take(engine, alertOf("edge"))) as [string];
      expect(await standing(engine, edge)).toBe("Skipped peer_settled_in_window");
      await world.elapse(1);
      const [after] = (await take(engine, alertOf("after"))) as [string];
      await world.settle();
      expect(await standing(engine, after)).toBe("Processing no_peer_in_the_way");
      expect(world.attempts).toHaveLength(2);
    });

    test("a peer that failed does not keep the next from running", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "failed";
      const engine = await world.engine([policyOf({ function: "skip_when_proceed" })]);
      await take(engine, alertOf("a"));
      await world.settle();
      await take(engine, alertOf("b"));
      await world.settle();
      expect(world.attempts).toHaveLength(2);
    });
  });

  describe("approve_when_failed", () => {
    const policies = [policyOf({ function: "approve_when_failed" })];
    const who = { by: "ada", why: "disk is nearly full" };

    test("asks once for a storm; a denial skips those that wait for it", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine(policies);
      const ids = (await take(engine, alertOf("a"), alertOf("b"), alertOf("c"))) as [string, string, string];
      await world.settle();
      world.attempts[0]?.fail();
      await world.settle();
      expect(await standings(engine, ids)).toEqual([
        "Waiting retries_exhausted",
        "Proceeding peer_in_progress",
        "Proceeding peer_in_progress",
      ]);
      const requests = (await everything(engine)).filter(({ kind: which }) => which === "approval-request");
      expect(requests).toHaveLength(1);
      await engine.deny({ id: ids[0] }, who);
      await world.settle();
      expect(await standings(engine, ids)).toEqual([
        "Skipped approval_denied",
        "Skipped peer_denied",
        "Skipped peer_denied",
      ]);
      const { entries } = await engine.get(ids[0]).history();
      expect(entries.at(-1)).toMatchObject({
        actor: "ada",
        event: { type: "approval.denied", why: "disk is nearly full" },
      });
      expect(world.attempts).toHaveLength(1);
      expect(await unsound(world, engine)).toEqual([]);
    });

    test("a grant runs it again; its success skips the others", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine(policies);
      const ids = (await take(engine, alertOf("a"), alertOf("b"), alertOf("c"))) as [string, string, string];
      await world.settle();
      world.attempts[0]?.fail();
      await world.settle();
      await engine.approve({ id: ids[0] }, who);
      await world.settle();
      expect(world.attempts.map(({ attempt }) => attempt)).toEqual([1, 2]);
      world.attempts[1]?.succeed();
      await world.settle();
      expect(await standings(engine, ids)).toEqual([
        "Success approved",
        "Skipped peer_succeeded",
        "Skipped peer_succeeded",
      ]);
      expect(await pathOf(engine, ids[0])).toBe("Idle > Processing > Failed > Waiting > Idle > Processing > Success");
    });

    test("a granted round that fails asks again", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "failed";
      const engine = await world.engine(policies);
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await world.settle();
      await engine.approve({ id }, who);
      await world.settle();
      expect(await standing(engine, id)).toBe("Waiting retries_exhausted");
      expect((await everything(engine)).filter(({ kind: which }) => which === "approval-request")).toHaveLength(2);
    });

    test("asks nobody as long as nothing failed", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine(policies);
      const [first] = (await take(engine, alertOf("a"))) as [string];
      await world.settle();
      const [second] = (await take(engine, alertOf("b"))) as [string];
      await world.settle();
      expect(await standings(engine, [first, second])).toEqual([
        "Success no_peer_in_the_way",
        "Skipped peer_succeeded",
      ]);
      expect((await everything(engine)).filter(({ kind: which }) => which === "approval-request")).toEqual([]);
    });
  });

  describe("defense", () => {
    const policies = [policyOf({ function: "defense", count: 2 }, { approval: { timeout: "30m" } })];
    const who = { by: "ada", why: "known storm" };

    test("holds a storm behind one request; one instance is granted, the rest of the group is denied", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine(policies);
      const ids = await take(engine, ...Array.from({ length: 12 }, (_, index) => alertOf(`a${index}`)));
      await world.settle();
      expect(world.attempts).toHaveLength(2);
      expect(await standings(engine, ids.slice(2))).toEqual(Array(10).fill("Waiting defense_threshold"));
      expect((await everything(engine)).filter(({ kind: which }) => which === "approval-request")).toHaveLength(1);
      const granted = ids[5] as string;
      const { group } = await engine.get(granted).snapshot();
      await engine.approve({ id: granted }, who);
      await world.settle();
      expect(await standing(engine, granted)).toBe("Success approved");
      expect(await pathOf(engine, granted)).toBe("Idle > Defense > Waiting > Idle > Processing > Success");
      const denied = await engine.deny({ group: group as string }, who);
      expect(denied).toHaveLength(9);
      expect(world.attempts).toHaveLength(3);
      expect(await unsound(world, engine)).toEqual([]);
    });

    test("a grant of the whole group runs each held instance once", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine(policies);
      const ids = await take(engine, ...Array.from({ length: 160 }, (_, index) => alertOf(`a${index}`)));
      await world.settle();
      const { group } = await engine.get(ids[9] as string).snapshot();
      expect(await engine.approve({ group: group as string }, who)).toHaveLength(158);
      await world.settle();
      expect(new Set(world.attempts.map(({ instance }) => instance))).toEqual(new Set(ids));
      expect(world.attempts).toHaveLength(160);
    });

    test("nobody answers: each held instance is skipped when it is due and not before, audited", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine(policies);
      const ids = await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
      await world.elapse(30 * MINUTE_MS - 1);
      expect(await standing(engine, ids[2] as string)).toBe("Waiting defense_threshold");
      await world.elapse(POLL_MS);
      expect(await standing(engine, ids[2] as string)).toBe("Skipped approval_timeout");
    });

    test("a grant at exactly the due time is refused, one millisecond before it counts", async () => {
      for (const [beforeMs, expected] of [
        [1, "Success approved"],
        [0, "Waiting defense_threshold"],
      ] as const) {
        const world = new EngineWorld(kind);
        world.outcome = () => "done";
        const engine = await world.engine(policies);
        const ids = await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
        await world.settle();
        // The clock jumps and fires nothing: the timer is late.
        world.clock.set(world.clock.now() + 30 * MINUTE_MS - beforeMs);
        const granted = engine.approve({ id: ids[2] as string }, who);
        if (beforeMs === 0) await expect(granted).rejects.toMatchObject({ code: "BECALM_EVENT_REFUSED" });
        else await granted;
        await world.settle();
        expect(await standing(engine, ids[2] as string)).toBe(expected);
      }
    });

    test("exactly one of grant, deny and timeout wins when all come at once", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine(policies);
      const ids = await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
      await world.settle();
      const id = ids[2] as string;
      world.clock.set(world.clock.now() + 30 * MINUTE_MS - 1);
      const answers = await Promise.allSettled([
        engine.approve({ id }, who),
        engine.deny({ id }, who),
        engine.approve({ id }, { by: "bob", why: "me too" }),
      ]);
      await world.elapse(POLL_MS);
      expect(answers.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      const isDenied = answers[1]?.status === "fulfilled";
      expect(await standing(engine, id)).toBe(isDenied ? "Skipped approval_denied" : "Success approved");
      expect(world.attempts).toHaveLength(isDenied ? 2 : 3);
    });
  });

  describe("skip_when_exceed", () => {
    test.each([1, 3])("count %i executes exactly so many of a storm, and again in the next window", async (count) => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine([policyOf({ function: "skip_when_exceed", count })]);
      const ids = await take(engine, ...Array.from({ length: 20 }, (_, index) => alertOf(`a${index}`)));
      await world.settle();
      expect(world.attempts).toHaveLength(count);
      expect(new Set(await standings(engine, ids.slice(count)))).toEqual(new Set(["Skipped limit_reached"]));
      await world.elapse(5 * MINUTE_MS);
      const [edge] = (await take(engine, alertOf("edge"))) as [string];
      expect(await standing(engine, edge)).toBe("Skipped limit_reached");
      await world.elapse(1);
      await take(engine, ...Array.from({ length: 20 }, (_, index) => alertOf(`b${index}`)));
      await world.settle();
      expect(world.attempts).toHaveLength(2 * count);
    });

    test("matching needs every dimension of `by`: no other host's and no other cluster's instances count", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine([
        policyOf({ function: "skip_when_exceed", count: 1, by: ["host", "cluster"] }),
      ]);
      await take(
        engine,
        alertOf("a", { host: "1", labels: { cluster: "23" } }),
        alertOf("a", { host: "12", labels: { cluster: "3" } }),
        alertOf("b", { host: "1", labels: { cluster: "23" } }),
        alertOf("a", { host: "1" }),
        alertOf("b", { host: "1", labels: { cluster: "" } }),
      );
      await world.settle();
      const attempted = world.attempts.map(({ alert }) => `${alert?.labels["host"]} ${alert?.labels["cluster"] ?? ""}`);
      expect(attempted.toSorted()).toEqual(["1 ", "1 23", "12 3"]);
    });

    test("`where` only says whom the rule governs: the others run", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine([policyOf({ function: "skip_when_exceed", by: [], where: { tier: ["web"] } })]);
      const tiers = ["web", "db", "web", "db", "db"];
      await take(engine, ...tiers.map((tier, index) => alertOf(`a${index}`, { labels: { tier } })));
      await world.settle();
      expect(world.attempts.map(({ alert }) => alert?.labels["tier"])).toEqual(
        expect.arrayContaining(["web", "db", "db", "db"]),
      );
      expect(world.attempts).toHaveLength(4);
    });
  });

  describe("trigger", () => {
    test("runs nothing below its threshold, the opener at it, nobody after it", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine([policyOf({ function: "trigger", count: 3 })]);
      const ids = await take(engine, alertOf("a"), alertOf("b"));
      await world.settle();
      expect(await standings(engine, ids)).toEqual(["Skipped below_count", "Skipped below_count"]);
      expect(world.attempts).toEqual([]);
      const later = await take(engine, alertOf("c"), alertOf("d"));
      await world.settle();
      expect(await standings(engine, later)).toEqual(["Success group_opened", "Skipped already_triggered"]);
      expect(world.attempts.map(({ instance }) => instance)).toEqual([later[0]]);
    });

    test("an instance counts towards the threshold for exactly a window", async () => {
      for (const [ms, isTriggered] of [
        [5 * MINUTE_MS, true],
        [5 * MINUTE_MS + 1, false],
      ] as const) {
        const world = new EngineWorld(kind);
        world.outcome = () => "done";
        const engine = await world.engine([policyOf({ function: "trigger", count: 2 })]);
        await take(engine, alertOf("a"));
        await world.elapse(ms);
        await take(engine, alertOf("b"));
        await world.settle();
        expect(world.attempts).toHaveLength(isTriggered ? 1 : 0);
      }
    });
  });

  describe("collect and collect_alarm", () => {
    test("collect runs up to its count and sends the rest as one summary at the window's end plus the delay", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine([policyOf({ function: "collect", count: 1, summary_delay: "10s" })]);
      const ids = await take(engine, ...Array.from({ length: 30 }, (_, index) => alertOf(`a${index}`)));
      await world.elapse(5 * MINUTE_MS + 10 * SECOND_MS - 1);
      expect(world.attempts).toHaveLength(1);
      await world.elapse(POLL_MS);
      expect(world.attempts).toHaveLength(2);
      expect(world.attempts[1]).toMatchObject({
        kind: "summary",
        alert: null,
        notice: { kind: "summary", skipped: 29, opener: ids[0] },
      });
      expect(world.attempts[1]?.notice).toMatchObject({ sample: ids.slice(1, 21) });
      expect(await unsound(world, engine)).toEqual([]);
    });

    test("collect_alarm skips all from its opener on", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine([policyOf({ function: "collect_alarm", count: 3 })]);
      const ids = await take(engine, ...["a", "b", "c", "d", "e"].map((name) => alertOf(name)));
      await world.settle();
      expect(await standings(engine, ids)).toEqual([
        "Success below_count",
        "Success below_count",
        "Skipped collected",
        "Skipped collected",
        "Skipped collected",
      ]);
      await world.elapse(5 * MINUTE_MS);
      expect(world.attempts.at(-1)?.notice).toMatchObject({ skipped: 3 });
    });

    test("a summary of nothing is not sent, and the audit says so", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine([policyOf({ function: "collect" })]);
      await take(engine, alertOf("a"));
      await world.elapse(5 * MINUTE_MS);
      expect(world.attempts).toHaveLength(1);
      const [summary] = (await everything(engine)).filter(({ kind: which }) => which === "summary");
      expect(summary).toMatchObject({ state: "Skipped", reason: "nothing_to_summarise" });
    });

    test("a summary that fails is retried like an action", async () => {
      const world = new EngineWorld(kind);
      world.outcome = ({ kind: which, attempt }) => (which === "summary" && attempt === 1 ? "failed" : "done");
      const engine = await world.engine([policyOf({ function: "collect" }, { retry: { limit: 1, delay: "10s" } })]);
      await take(engine, alertOf("a"), alertOf("b"));
      await world.elapse(5 * MINUTE_MS);
      await world.elapse(10 * SECOND_MS);
      expect(world.attempts.map(({ kind: which, attempt }) => [which, attempt])).toEqual([
        ["action", 1],
        ["summary", 1],
        ["summary", 2],
      ]);
    });
  });

  test("relevance runs every instance and relates them in one group", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf({ function: "relevance" })]);
    const ids = await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
    await world.settle();
    expect(await standings(engine, ids)).toEqual(Array(3).fill("Success related"));
    expect(new Set((await everything(engine)).map(({ group }) => group)).size).toBe(1);
  });
});

/** Engines that end, in order or not, and others that go on where they left off; two versions of a policy on one namespace. */
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { AttemptNote } from "../../src/instance/audit-types.ts";
import {
  alertOf,
  EngineWorld,
  everything,
  MEMORY,
  MINUTE_MS,
  POLL_MS,
  policyOf,
  redisKind,
  SECOND_MS,
  standing,
  standings,
  take,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";
import type { StoreCall } from "../support/watched-store.ts";

const server = useRedis();
const who = { by: "ada", why: "known" };
/** Its id in histories, host, and process id. */
const PROCESS = /^[0-9a-f]{8}:[\w.-]+:\d+$/;

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  describe("an engine that was killed", () => {
    test("leaves a retry behind: the next engine runs it when it is due", async () => {
      const world = new EngineWorld(kind);
      world.outcome = ({ attempt }) => (attempt === 1 ? "failed" : "done");
      const policies = [policyOf(null, { retry: { limit: 1, delay: "10s" } })];
      const first = await world.engine(policies);
      const [id] = (await take(first, alertOf("a"))) as [string];
      await world.settle();
      first.kill();
      const second = await world.engine(policies);
      await world.elapse(9 * SECOND_MS);
      expect(world.attempts).toHaveLength(1);
      await world.elapse(1 * SECOND_MS);
      expect(await standing(second, id)).toBe("Success no_rule");
      expect(world.attempts.map(({ attempt }) => attempt)).toEqual([1, 2]);
      expect(await unsound(world, second)).toEqual([]);
    });

    test("leaves an approval behind: it times out in the next engine, or is granted there", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const policies = [policyOf({ function: "defense", count: 1 })];
      const first = await world.engine(policies);
      const ids = (await take(first, alertOf("a"), alertOf("b"), alertOf("c"))) as [string, string, string];
      await world.settle();
      first.kill();
      await world.elapse(29 * MINUTE_MS);
      const second = await world.engine(policies);
      await second.approve({ id: ids[1] }, who);
      await world.elapse(MINUTE_MS);
      expect(await standings(second, ids)).toEqual([
        "Success group_opened",
        "Success approved",
        "Skipped approval_timeout",
      ]);
    });

    test("leaves an attempt behind: when its claim has run out the next engine delivers the same one again", async () => {
      const world = new EngineWorld(kind);
      const policies = [policyOf({ function: "skip_when_success" })];
      const first = await world.engine(policies);
      const ids = (await take(first, alertOf("a"), alertOf("b"))) as [string, string];
      await world.settle();
      first.kill();
      const second = await world.engine(policies);
      await world.elapse(POLL_MS);
      expect(world.attempts).toHaveLength(1);
      await world.storage.expireLeases();
      await world.elapse(POLL_MS);
      expect(world.attempts).toHaveLength(2);
      const [before, after] = world.attempts;
      expect([after?.idempotencyKey, after?.attempt, after?.instance]).toEqual([before?.idempotencyKey, 1, ids[0]]);
      // The dead process's handler comes to its end all the same; nobody listens.
      before?.fail();
      after?.succeed();
      await world.settle();
      expect(await standings(second, ids)).toEqual(["Success no_peer_in_the_way", "Skipped peer_succeeded"]);
      expect(await unsound(world, second)).toEqual([]);
      // The trail says who had it, and who began it again.
      const { entries } = await second.get(ids[0]).history();
      const [, again, done] = entries.map(({ event }) => event);
      expect([entries.length, done?.type]).toEqual([3, "effect.done"]);
      const process = expect.stringMatching(PROCESS) as string;
      expect(again).toMatchObject({ type: "effect.begun_again", attempt: 1, process, heldBy: process });
      const { process: by, heldBy } = again as AttemptNote & { type: "effect.begun_again" };
      expect(heldBy).not.toBe(by);
    });

    test("leaves a summary behind: the next engine sends it", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const policies = [policyOf({ function: "collect" })];
      const first = await world.engine(policies);
      await take(first, alertOf("a"), alertOf("b"));
      await world.settle();
      first.kill();
      await world.elapse(20 * MINUTE_MS);
      const second = await world.engine(policies);
      await world.elapse(POLL_MS);
      expect(world.attempts.at(-1)?.notice).toMatchObject({ kind: "summary", skipped: 1 });
      expect(await unsound(world, second)).toEqual([]);
    });
  });

  describe("an attempt that two engines have", () => {
    test("for the first lost its claim: the late result of the older attempt changes nothing", async () => {
      const world = new EngineWorld(kind);
      const policies = [policyOf(null, { retry: { limit: 1, delay: "10s" } })];
      // It runs what it commits, and its claims reach the store no more.
      const fateOf = ({ method }: StoreCall) => (/claim/i.test(method) ? ("fail" as const) : ("pass" as const));
      const slow = await world.engine(policies, { fateOf });
      const [id] = (await take(slow, alertOf("a"))) as [string];
      await world.settle();
      const other = await world.engine(policies);
      await world.storage.expireLeases();
      await world.elapse(POLL_MS);
      expect(world.attempts.map(({ attempt }) => attempt)).toEqual([1, 1]);
      world.attempts[1]?.fail();
      await world.elapse(10 * SECOND_MS);
      expect(world.attempts.map(({ attempt }) => attempt)).toEqual([1, 1, 2]);
      world.attempts[0]?.succeed();
      await world.settle();
      expect(await standing(other, id)).toBe("Processing no_rule");
      world.underway[0]?.fail();
      // Its owner may have lost the timer to the other engine, and wait before it decides again.
      await world.until("it has failed", async () => (await standing(slow, id)) === "Failed failed");
      expect(await unsound(world, other)).toEqual([]);
    });
  });

  describe("a result that cannot be written yet", () => {
    test("keeps its attempt taken, also when the claim has run out: it is not begun again in the same process", async () => {
      const world = new EngineWorld(kind);
      let isBroken = false;
      const fateOf = ({ method }: StoreCall) =>
        isBroken && method === "commit" ? ("fail" as const) : ("pass" as const);
      const engine = await world.engine([policyOf(null)], { fateOf });
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await world.settle();
      isBroken = true;
      world.attempts[0]?.succeed();
      await world.settle();
      await world.storage.expireLeases();
      await world.elapse(POLL_MS);
      await world.elapse(POLL_MS);
      expect(world.attempts).toHaveLength(1);
      isBroken = false;
      await world.until("it is written", async () => (await standing(engine, id)) === "Success no_rule");
      expect(world.attempts).toHaveLength(1);
    });
  });

  describe("stopping", () => {
    test("waits for running handlers, takes no alert meanwhile, and their results are durable", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf(null)], { drainMs: 10 * SECOND_MS });
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await world.settle();
      let isStopped = false;
      const stopped = engine.stop().then(() => {
        isStopped = true;
      });
      await expect(engine.ingest([alertOf("b")])).rejects.toMatchObject({ code: "BECALM_STOPPED" });
      await world.elapse(9 * SECOND_MS);
      expect(isStopped).toBe(false);
      world.attempts[0]?.succeed();
      await stopped;
      expect(world.attempts[0]?.signal.aborted).toBe(false);
      const next = await world.engine([policyOf(null)]);
      expect(await standing(next, id)).toBe("Success no_rule");
      expect(await world.stored()).toHaveLength(1);
    });

    test("aborts what does not end in time and gives it back: it is delivered again, and no retry is used up", async () => {
      const world = new EngineWorld(kind);
      const policies = [policyOf(null, { retry: { limit: 0 } })];
      const engine = await world.engine(policies, { drainMs: 100 });
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await world.settle();
      await engine.stop();
      expect(world.attempts[0]?.signal.aborted).toBe(true);
      world.outcome = () => "done";
      const next = await world.engine(policies);
      await world.elapse(POLL_MS);
      expect(await standing(next, id)).toBe("Success no_rule");
      expect(world.attempts.map(({ attempt }) => attempt)).toEqual([1, 1]);
      expect(world.attempts[1]?.idempotencyKey).toBe(world.attempts[0]?.idempotencyKey);
      // The trail says who ran it first, that it was interrupted, and who began it again.
      const { entries } = await next.get(id).history();
      expect(entries.map(({ event, path, reason }) => [event.type, path.join(" > "), reason])).toEqual([
        ["start", "Idle > Processing", "no_rule"],
        ["effect.interrupted", "Processing", "interrupted"],
        ["effect.begun_again", "Processing", "begun_again"],
        ["effect.done", "Processing > Success", "succeeded"],
      ]);
      const processes = entries.flatMap(({ event }) => ("process" in event ? [event.process] : []));
      expect(new Set(processes).size).toBe(2);
      expect(await unsound(world, next)).toEqual([]);
    });

    test("notes what it interrupts with at most a few commits a group, however many attempts those are", async () => {
      const world = new EngineWorld(kind);
      let commits = 0;
      const policies = [policyOf({ function: "skip_when_exceed", count: 200 })];
      const engine = await world.engine(policies, { concurrency: 200, onOutcome: () => (commits += 1) });
      await take(engine, ...Array.from({ length: 200 }, (_, index) => alertOf(`a${index}`)));
      await world.settle();
      expect(world.underway).toHaveLength(200);
      const before = commits;
      await world.stop(engine);
      expect(commits - before).toBeLessThanOrEqual(3);
      const next = await world.engine(policies, { isStarted: false });
      const { entries } = await next.get((await everything(next))[7]?.id ?? "").history();
      expect(entries.at(-1)?.event.type).toBe("effect.interrupted");
    });

    test("and an action's timeout are measured by one time, the real one: a clock of the program's own moves neither", async () => {
      const world = new EngineWorld(kind);
      const slow = { handler: { name: "act", timeout: "1s" } };
      const engine = await world.engine([policyOf(null, { action: slow })], { drainMs: MINUTE_MS });
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await world.settle();
      let isStopped = false;
      const stopped = engine.stop().then(() => {
        isStopped = true;
      });
      await world.elapse(10 * MINUTE_MS);
      expect([isStopped, world.attempts[0]?.signal.aborted]).toEqual([false, false]);
      await stopped;
      const next = await world.engine([policyOf(null)]);
      expect((await next.get(id).history()).entries.at(-1)?.event).toMatchObject({
        type: "effect.failed",
        error: expect.stringContaining("did not end within 1s"),
      });
    });

    test("fails no attempt that had not begun: it stays in the outbox for the next engine", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf(null)], { drainMs: 5 * SECOND_MS, concurrency: 1 });
      const ids = await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
      await world.settle();
      expect(world.attempts).toHaveLength(1);
      const stopped = engine.stop();
      world.attempts[0]?.succeed();
      await stopped;
      expect(world.attempts).toHaveLength(1);
      world.outcome = () => "done";
      await world.storage.expireLeases();
      const next = await world.engine([policyOf(null)]);
      await world.elapse(POLL_MS);
      expect(await standings(next, ids)).toEqual(Array(3).fill("Success no_rule"));
      expect(world.attempts.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
    });

    test("leaves nothing behind on the clock, and a second stop waits for the first", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf(null)], { drainMs: 5 * SECOND_MS });
      await take(engine, alertOf("a"));
      await world.settle();
      const order: string[] = [];
      const first = engine.stop().then(() => void order.push("first"));
      const second = engine.stop().then(() => void order.push("second"));
      await turn();
      expect(order).toEqual([]);
      world.attempts[0]?.succeed();
      await Promise.all([first, second]);
      expect(order).toHaveLength(2);
      expect(world.clock.pendingCount).toBe(0);
    });
  });

  describe("a policy that is edited", () => {
    const ruleBy = (by: string[], more: object = {}) => [policyOf({ function: "skip_when_exceed", by, ...more })];

    test("in its `by` never runs a firing storm again", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const storm = Array.from({ length: 10 }, (_, index) => alertOf(`a${index}`, { host: `h${index % 5}` }));
      const first = await world.engine(ruleBy(["host"]));
      const ids = await take(first, ...storm);
      await world.settle();
      expect(world.attempts).toHaveLength(5);
      await world.stop(first);
      for (const by of [["name"], ["name", "host"], []]) {
        const next = await world.engine(ruleBy(by));
        const again = await next.ingest(storm);
        expect(new Set(again.instances.map(({ outcome }) => outcome))).toEqual(new Set(["duplicate"]));
        expect(idsIn(again)).toEqual(new Set(ids));
        await world.stop(next);
      }
      expect(world.attempts).toHaveLength(5);
    });

    test("leaves an open group its rule until it closes", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const first = await world.engine(ruleBy(["host"], { count: 2 }));
      await take(first, alertOf("a"), alertOf("b"));
      await world.settle();
      await world.stop(first);
      const second = await world.engine(ruleBy(["host"], { count: 5 }));
      const [c] = (await take(second, alertOf("c"))) as [string];
      expect(await standing(second, c)).toBe("Skipped limit_reached");
      const { entries } = await second.get(c).history();
      expect(entries[0]?.count).toBe(2);
      await world.elapse(5 * MINUTE_MS + 1);
      await take(second, ...Array.from({ length: 9 }, (_, index) => alertOf(`d${index}`)));
      await world.settle();
      expect(world.attempts).toHaveLength(2 + 5);
      expect(await unsound(world, second)).toEqual([]);
    });

    test("leaves an instance the retries that it was made with", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "failed";
      const first = await world.engine([policyOf(null, { retry: { limit: 1, delay: "10s" } })]);
      const [id] = (await take(first, alertOf("a"))) as [string];
      await world.settle();
      await world.stop(first);
      const second = await world.engine([policyOf(null)]);
      await world.elapse(10 * SECOND_MS);
      expect(world.attempts).toHaveLength(2);
      expect(await standing(second, id)).toBe("Failed failed");
    });

    test("while an engine with the old version runs: that one reads the new instances, and waits for them", async () => {
      const world = new EngineWorld(kind);
      const rule = { function: "wait_when_proceed" };
      const older = await world.engine([policyOf(rule)]);
      const newer = await world.engine([policyOf(rule, { retry: { limit: 1, delay: "10s" } })]);
      const [ran] = (await take(newer, alertOf("a"))) as [string];
      await world.settle();
      expect(await standing(older, ran)).toBe("Processing no_peer_in_the_way");
      const [waits] = (await take(older, alertOf("b"))) as [string];
      await world.settle();
      expect(await standing(older, waits)).toBe("Proceeding peer_in_progress");
      expect(world.underwayCountMax).toBe(1);
      world.attempts[0]?.fail();
      await world.elapse(10 * SECOND_MS);
      expect(world.attempts.map(({ instance }) => instance)).toEqual([ran, ran]);
      expect((await everything(older)).filter(({ kind: which }) => which === "action")).toHaveLength(2);
    });
  });
});

function idsIn(result: { instances: readonly { id: string }[] }): Set<string> {
  return new Set(result.instances.map(({ id }) => id));
}

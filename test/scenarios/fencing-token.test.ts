/** The fencing token: a number that rises with every attempt of a group, by which a target refuses who was overtaken. */
import { describe, expect, test } from "vitest";
import {
  type Attempt,
  alertOf,
  EngineWorld,
  MEMORY,
  MINUTE_MS,
  POLL_MS,
  policyOf,
  redisKind,
  SECOND_MS,
  standing,
  take,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
const who = { by: "ada", why: "known" };
const DAY_MS = 24 * 60 * MINUTE_MS;

/** The host whose group an attempt belongs to. */
function hostOf({ alert }: Attempt): string {
  return alert?.labels["host"] ?? "";
}

function expectRising(attempts: readonly Attempt[]): void {
  const last = new Map<string, number>();
  for (const attempt of attempts) {
    const token = attempt.fencingToken ?? Number.NaN;
    expect(token).toBeGreaterThan(last.get(hostOf(attempt)) ?? 0);
    last.set(hostOf(attempt), token);
  }
}

describe.each([MEMORY, redisKind(server)])("on $name the fencing token", (kind) => {
  test("rises with every attempt of a group: first ones, those of waiters, retries and grants, in two engines at once", async () => {
    const world = new EngineWorld(kind);
    world.outcome = ({ attempt, alert }) => (attempt === 1 && alert?.labels["name"] === "b" ? "failed" : "done");
    const policies = [policyOf({ function: "wait_when_proceed", count: 1 }, { retry: { limit: 1, delay: "1s" } })];
    const engines = [await world.engine(policies), await world.engine(policies)] as const;
    for (const [index, name] of ["a", "b", "c", "d", "e", "f"].entries()) {
      const alerts = ["db-1", "db-2"].map((host) => alertOf(name, { host }));
      await take(engines[index % 2] as (typeof engines)[0], ...alerts);
    }
    await world.until("all have run", () => world.attempts.length >= 14, SECOND_MS);
    expect(world.attempts).toHaveLength(14);
    expectRising(world.attempts);
    expect(await unsound(world, engines[0])).toEqual([]);
  });

  test("rises with a grant of what defense has held", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf({ function: "defense", count: 1 })]);
    await take(engine, alertOf("a"));
    const [held] = (await take(engine, alertOf("b"))) as [string];
    await world.settle();
    await engine.approve({ id: held }, who);
    await world.settle();
    expect(world.attempts).toHaveLength(2);
    expectRising(world.attempts);
  });

  test("is the same when the same attempt is delivered again, and greater in the next: who comes back late can be refused", async () => {
    const world = new EngineWorld(kind);
    const policies = [policyOf({ function: "wait_when_proceed", count: 1 })];
    const first = await world.engine(policies);
    const ids = (await take(first, alertOf("a"), alertOf("b"))) as [string, string];
    await world.settle();
    // Its event loop stands still for longer than its claims last.
    first.kill();
    const second = await world.engine(policies);
    await world.storage.expireLeases();
    await world.elapse(POLL_MS);
    world.attempts[1]?.succeed();
    await world.settle();
    await world.until("the next runs", () => world.attempts.length === 3);
    const [late, again, next] = world.attempts.map(({ fencingToken }) => fencingToken ?? 0) as [number, number, number];
    expect(again).toBe(late);
    expect(next).toBeGreaterThan(late);
    expect(await standing(second, ids[0])).toBe("Success no_peer_in_the_way");
  });

  test("is missing where no rule governs: the attempt's number is enough there", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null)]);
    await take(engine, alertOf("a"));
    await world.settle();
    expect(world.attempts[0]?.fencingToken).toBeUndefined();
  });
});

test("the fencing token goes on rising after the group's record was dropped", async () => {
  const world = new EngineWorld(MEMORY);
  world.outcome = () => "done";
  const engine = await world.engine([policyOf({ function: "skip_when_exceed", count: 5 })]);
  await take(engine, alertOf("a"), alertOf("b"), alertOf("c"));
  await world.settle();
  await world.elapse(30 * DAY_MS);
  await take(engine, alertOf("d", { startsAt: world.clock.now() }));
  await world.settle();
  expect(world.attempts).toHaveLength(4);
  expectRising(world.attempts);
});

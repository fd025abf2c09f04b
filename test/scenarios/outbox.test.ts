/** Attempts that wait: how many a process has for itself, in which order they begin, and how soon those of another one come back. */
import { describe, expect, test } from "vitest";
import {
  alertOf,
  EngineWorld,
  everything,
  MEMORY,
  POLL_MS,
  policyOf,
  redisKind,
  SECOND_MS,
  take,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";
import type { StoreCall } from "../support/watched-store.ts";

const server = useRedis();
const policies = [policyOf(null)];
/** What hangs, and a rule that asks about every alert of a group but the first. */
const HANGING = policyOf(null, { match: ['host="db-1"'] });
const ASKING = policyOf(
  { function: "defense", count: 1 },
  { name: "asks", match: ['host=~"ask.*"'], approval: { notify: { handler: { name: "act" } } } },
);

/** How many attempts of each kind are under way. */
function underwayOf({ underway }: EngineWorld) {
  const noticeCount = underway.filter(({ notice }) => notice !== null).length;
  return { actions: underway.length - noticeCount, notices: noticeCount };
}

function alertsOf(prefix: string, count: number) {
  return Array.from({ length: count }, (_, index) => alertOf(`${prefix}-${index}`));
}

/** Ids of one call of `extendClaims`. */
function extendedIn({ method, argument }: StoreCall): number {
  return method === "extendClaims" ? (argument as { effectIds: readonly string[] }).effectIds.length : 0;
}

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  test("a busy engine keeps no more waiting than it can soon begin: an idle second one gets the rest", async () => {
    const world = new EngineWorld(kind);
    const first = await world.engine(policies);
    await take(first, ...alertsOf("a", 960));
    await world.settle();
    expect(world.attempts).toHaveLength(16);
    const busy = world.attempts.length;
    await world.engine(policies);
    await world.until("the second engine runs some", () => world.attempts.length > busy, SECOND_MS);
    expect(world.attempts).toHaveLength(32);
    // Each attempt is with one of them only.
    expect(new Set(world.attempts.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(32);
    await world.finishAll();
    await world.until("all have run", () => world.attempts.length === 960 && world.underway.length === 0, SECOND_MS);
    expect((await everything(first)).every(({ state }) => state === "Success")).toBe(true);
  });

  test("claims are prolonged for what runs and what comes next, however many wait", async () => {
    const world = new EngineWorld(kind);
    const extended: number[] = [];
    const engine = await world.engine(policies, {
      fateOf: (call) => {
        if (call.method === "extendClaims") extended.push(extendedIn(call));
        return "pass";
      },
    });
    for (let request = 0; request < 4; request += 1) await take(engine, ...alertsOf(`r${request}`, 1_000));
    for (let look = 0; look < 5; look += 1) await world.elapse(2.5 * SECOND_MS);
    expect(extended.length).toBeGreaterThanOrEqual(3);
    expect(Math.max(...extended)).toBeLessThanOrEqual(16 + 64);
    // Nothing of it is lost: the others are in the outbox.
    expect(await (await world.outside()).listEffects({ limit: 10_000 })).toHaveLength(4_000);
  });

  test("what a killed process left behind is not kept waiting by newer attempts, and is back within 10 s", async () => {
    const world = new EngineWorld(kind);
    const first = await world.engine(policies);
    const orphans = new Set(await take(first, ...alertsOf("orphan", 45)));
    await world.settle();
    first.kill();
    const before = world.attempts.length;
    const second = await world.engine(policies);
    world.outcome = () => "done";
    await world.storage.expireLeases();
    let sent = 0;
    const areBack = () => {
      const run = new Set(world.attempts.slice(before).map(({ instance }) => instance));
      return [...orphans].every((id) => run.has(id));
    };
    // Newer ones never stop coming.
    await world.until(
      "the orphans have run",
      async () => {
        await take(second, ...alertsOf(`n${sent}`, 50));
        sent += 1;
        return areBack();
      },
      POLL_MS,
    );
    expect(sent * POLL_MS).toBeLessThanOrEqual(2 * SECOND_MS);
  });
});

describe.each([MEMORY, redisKind(server)])("notices do not wait behind actions on $name:", (kind) => {
  const two = (host: string) => [alertOf("first", { host }), alertOf("second", { host })];

  test("an engine asks within a second, however many actions hang and wait", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([HANGING, ASKING], { concurrency: 2 });
    await take(engine, ...alertsOf("a", 600));
    await world.elapse(3 * SECOND_MS);
    expect(underwayOf(world)).toEqual({ actions: 2, notices: 0 });
    for (const [index, host] of ["ask-1", "ask-2", "ask-3"].entries()) {
      await take(engine, ...two(host));
      await world.elapse(SECOND_MS);
      // As many notices as actions at once, and neither in the other's slots.
      expect(underwayOf(world)).toEqual({ actions: 2, notices: Math.min(index + 1, 2) });
    }
    world.underway.find(({ notice }) => notice !== null)?.succeed();
    await world.until("the third is asked about", () => world.attempts.length === 5, 100);
    expect(underwayOf(world)).toEqual({ actions: 2, notices: 2 });
  });

  test.each(["engine", "worker"])("an idle %s finds the request that others left behind 600 actions", async (which) => {
    const world = new EngineWorld(kind);
    const leaving = await world.engine([HANGING, ASKING], { leaveEffects: true });
    await take(leaving, ...alertsOf("a", 600));
    await world.elapse(SECOND_MS);
    await take(leaving, ...two("ask"));
    await world.elapse(SECOND_MS);
    if (which.endsWith("worker")) await world.worker({ concurrency: 2 });
    else await world.engine([HANGING, ASKING], { concurrency: 2 });
    await world.until("it is asked", () => underwayOf(world).notices === 1, 100);
    await world.elapse(SECOND_MS);
    // One that comes when all slots are taken, and actions look over as often as they can.
    await take(leaving, ...two("ask again"));
    await world.until("it is asked again", () => underwayOf(world).notices === 2, 100);
    expect(underwayOf(world)).toEqual({ actions: 2, notices: 2 });
  });

  test.each(["an engine", "a worker"])("actions of %s go on while notices hang", async (which) => {
    const world = new EngineWorld(kind);
    const hosts = Array.from({ length: 150 }, (_, index) => `ask-${index}`);
    const leaving = await world.engine([HANGING, ASKING], { leaveEffects: true });
    await take(leaving, ...hosts.map((host) => alertOf("first", { host })));
    world.outcome = () => "done";
    const first = await world.worker();
    await world.until("the groups are full", () => world.attempts.length === hosts.length, 200);
    await world.stop(first);
    await take(leaving, ...hosts.map((host) => alertOf("second", { host })));
    await take(leaving, ...alertsOf("a", 200));
    world.outcome = ({ notice }) => (notice === null ? "done" : undefined);
    if (which.endsWith("worker")) await world.worker({ concurrency: 2 });
    else await world.engine([HANGING, ASKING], { concurrency: 2 });
    const done = () => world.attempts.filter(({ policy, ended }) => policy === "act" && ended === "done").length;
    await world.until("all have run", () => done() === 200, 200);
    expect(underwayOf(world)).toEqual({ actions: 0, notices: 2 });
  });
});

describe("within 10 s", () => {
  test("the attempts of a killed engine are delivered again by another one", async () => {
    const world = new EngineWorld(MEMORY);
    const first = await world.engine(policies);
    await take(first, ...alertsOf("a", 3));
    await world.elapse(5 * SECOND_MS);
    first.kill();
    const diedAtMs = world.clock.now();
    await world.engine(policies);
    await world.until("they are back", () => world.attempts.length === 6, 100);
    expect(world.clock.now() - diedAtMs).toBeLessThanOrEqual(10 * SECOND_MS);
  });

  test("an attempt that could not be read during an outage begins", async () => {
    const world = new EngineWorld(MEMORY);
    let isAway = false;
    const away = (call: StoreCall) => (isAway && call.method !== "commit" ? "fail" : "pass");
    const engine = await world.engine([policyOf(null, { retry: { limit: 1, delay: "1s" } })], { fateOf: away });
    world.outcome = ({ attempt }) => (attempt === 1 ? "failed" : "done");
    await take(engine, alertOf("a"));
    await world.settle();
    isAway = true;
    await world.elapse(3 * SECOND_MS);
    isAway = false;
    const backAtMs = world.clock.now();
    await world.until("the retry has run", () => world.attempts.length === 2, 100);
    expect(world.clock.now() - backAtMs).toBeLessThanOrEqual(10 * SECOND_MS);
  });
});

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

/** More alerts than an engine may have under way: they are refused at once, nothing of them is decided, and they may be sent again. */
import { describe, expect, test } from "vitest";
import type { BecalmError } from "../../src/model/errors.ts";
import { alertOf, EngineWorld, everything, MEMORY, policyOf, redisKind, take } from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
const policies = [policyOf({ function: "skip_when_exceed", count: 1 })];

function alertsOf(request: number, count: number) {
  return Array.from({ length: count }, (_, index) => alertOf(`${request}-${index}`));
}

describe.each([MEMORY, redisKind(server)])("an engine on $name with a bound of 100 alerts", (kind) => {
  test("refuses what is beyond it as BECALM_BUSY and has decided nothing of it; sent again it is taken", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine(policies, { maxAlertsUnderWay: 100 });
    const requests = Array.from({ length: 50 }, (_, request) => alertsOf(request, 10));
    const outcomes = await Promise.allSettled(requests.map((alerts) => engine.ingest(alerts)));
    const refused = requests.filter((_, index) => outcomes[index]?.status === "rejected");
    expect(refused).toHaveLength(40);
    for (const outcome of outcomes)
      if (outcome.status === "rejected") expect(outcome.reason).toMatchObject({ code: "BECALM_BUSY" });
    await world.settle();
    expect(await everything(engine)).toHaveLength(100);
    for (const alerts of refused) expect(await take(engine, ...alerts)).toHaveLength(10);
    await world.settle();
    expect(await everything(engine)).toHaveLength(500);
  });

  test("has room again after a request that failed", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    let isAway = true;
    const engine = await world.engine(policies, {
      maxAlertsUnderWay: 100,
      fateOf: ({ method }) => (isAway && method === "commit" ? "fail" : "pass"),
    });
    const { rejected } = await engine.ingest(alertsOf(0, 100));
    expect(rejected).toHaveLength(100);
    isAway = false;
    expect(await take(engine, ...alertsOf(0, 100))).toHaveLength(100);
  });
});

describe("the bound on bytes", () => {
  const large = (name: string) => alertOf(name, { annotations: { text: "x".repeat(20_000) } });

  test("refuses as the one on alerts does, before anything is decided", async () => {
    const world = new EngineWorld(MEMORY);
    world.outcome = () => "done";
    const engine = await world.engine(policies, { maxBytesUnderWay: 200_000 });
    const outcomes = await Promise.allSettled(["a", "b", "c", "d", "e"].map((name) => engine.ingest([large(name)])));
    expect(outcomes.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    expect(await everything(engine)).toHaveLength(3);
    expect(await take(engine, large("d"), large("e"))).toHaveLength(2);
  });
});

test("a request that is larger than the bound is taken when nothing else is under way", async () => {
  const world = new EngineWorld(MEMORY);
  world.outcome = () => "done";
  const engine = await world.engine(policies, { maxAlertsUnderWay: 10, maxBytesUnderWay: 1_000 });
  const [first, second] = await Promise.allSettled([engine.ingest(alertsOf(0, 30)), engine.ingest(alertsOf(1, 1))]);
  expect(first.status).toBe("fulfilled");
  expect(second.status === "rejected" && (second.reason as BecalmError).code).toBe("BECALM_BUSY");
  await expect(engine.ingest(alertsOf(1, 1))).resolves.toMatchObject({ rejected: [] });
});

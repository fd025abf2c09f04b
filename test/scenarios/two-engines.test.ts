/** Two engines on one namespace at once, and commits that lose: every promise of one engine holds for both together. */
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { IngestResult } from "../../src/engine.ts";
import type { PolicyDocument } from "../../src/formats/policy-file.ts";
import { partitionOf } from "../../src/model/ids.ts";
import {
  alertOf,
  type EngineSetup,
  EngineWorld,
  everything,
  MEMORY,
  PARTITION_COUNT,
  POLL_MS,
  policyOf,
  redisKind,
  standing,
  take,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";
import type { StoreCall, StoreFate } from "../support/watched-store.ts";

const server = useRedis();
const ALERT_COUNT = 60;
const HOSTS = ["db-1", "db-2", "db-3"];
const STEP_MS = 1_000;
const policy = policyOf({ function: "skip_when_exceed" });

const storm = Array.from({ length: ALERT_COUNT }, (_, index) =>
  alertOf(`a${index}`, { host: HOSTS[index % HOSTS.length] as string }),
);

/** Sends a storm in small requests through both engines at once, the same alerts to both; what is refused is sent again. */
async function sendToBoth(
  world: EngineWorld,
  engines: readonly { ingest(alerts: typeof storm): Promise<IngestResult> }[],
): Promise<void> {
  const send = async (engine: (typeof engines)[number]) => {
    for (let at = 0; at < storm.length; at += 6) {
      for (let alerts = storm.slice(at, at + 6); alerts.length > 0; ) {
        const { rejected } = await engine.ingest(alerts);
        expect(rejected.map(({ error }) => error.code)).toEqual(rejected.map(() => "BECALM_CONFLICT"));
        alerts = rejected.map(({ alert }) => alerts[alert] as (typeof storm)[number]);
      }
    }
  };
  let isSent = false;
  const sent = Promise.all(engines.map(send)).finally(() => {
    isSent = true;
  });
  await world.until("the storm is sent", () => isSent);
  await sent;
}

describe.each([MEMORY, redisKind(server)])("two engines on one namespace on $name", (kind) => {
  async function bothOn(world: EngineWorld, policy: PolicyDocument) {
    const conflicts: string[] = [];
    const setup: EngineSetup = {
      isFar: true,
      onOutcome: (outcome) => outcome !== "applied" && conflicts.push(outcome),
    };
    const engines = [await world.engine([policy], setup), await world.engine([policy], setup)] as const;
    return { engines, conflicts };
  }

  test.each([1, 2, 5])(
    "skip_when_exceed executes exactly its count of %i in each group, and every episode has one instance",
    async (count) => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const { engines } = await bothOn(world, policyOf({ function: "skip_when_exceed", count }));
      await sendToBoth(world, engines);
      await world.until(
        "everything is decided",
        async () => (await everything(engines[0])).every(({ state }) => state === "Success" || state === "Skipped"),
        STEP_MS,
      );
      expect(await world.stored()).toHaveLength(ALERT_COUNT);
      for (const host of HOSTS) {
        const ran = world.attempts.filter(({ alert }) => alert?.labels["host"] === host);
        expect(ran).toHaveLength(count);
        expect(new Set(ran.map(({ instance }) => instance)).size).toBe(count);
      }
      expect(await unsound(world, engines[1])).toEqual([]);
    },
  );

  test("wait_when_proceed never runs two of a group at once, and runs each exactly once", async () => {
    const world = new EngineWorld(kind);
    const { engines } = await bothOn(world, policyOf({ function: "wait_when_proceed" }));
    await sendToBoth(world, engines);
    await world.until(
      "all have run",
      async () => {
        for (const host of HOSTS) {
          const underway = world.underway.filter(({ alert }) => alert?.labels["host"] === host);
          expect(underway.length).toBeLessThanOrEqual(1);
          underway[0]?.succeed();
        }
        return (await everything(engines[0])).every(({ state }) => state === "Success");
      },
      POLL_MS,
    );
    expect(world.attempts).toHaveLength(ALERT_COUNT);
    expect(new Set(world.attempts.map(({ instance }) => instance)).size).toBe(ALERT_COUNT);
    expect(await unsound(world, engines[0])).toEqual([]);
  });

  test("commits of both meet, lose and are decided again: conflicts happen, and nothing is lost by them", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const { engines, conflicts } = await bothOn(world, policyOf({ function: "relevance", by: [] }));
    await sendToBoth(world, engines);
    await world.until(
      "all have run",
      async () => (await everything(engines[0])).every(({ state }) => state === "Success"),
      STEP_MS,
    );
    expect(conflicts.length).toBeGreaterThan(0);
    expect(world.attempts).toHaveLength(ALERT_COUNT);
    expect(await unsound(world, engines[0])).toEqual([]);
  });

  test("an approval that both answer is decided once", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const { engines } = await bothOn(world, policyOf({ function: "defense" }));
    const [, held] = (await take(engines[0], alertOf("a"), alertOf("b"))) as [string, string];
    await world.settle();
    const answers = await Promise.allSettled([
      engines[0].approve({ id: held }, { by: "ada", why: "yes" }),
      engines[1].deny({ id: held }, { by: "bob", why: "no" }),
    ]);
    await world.until(
      "it is decided",
      async () => (await standing(engines[0], held)) !== "Processing approved",
      POLL_MS,
    );
    expect(answers.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await standing(engines[1], held)).toBe(
      answers[0].status === "fulfilled" ? "Success approved" : "Skipped approval_denied",
    );
  });
});

describe.each([MEMORY, redisKind(server)])("a commit that loses on $name", (kind) => {
  /** Lets the first `count` commits lose, and lists what was asked of the store for the group. */
  function losing(count: number, asked: string[]): (call: StoreCall) => StoreFate {
    return ({ method, count: commits }) => {
      if (method === "commit" || method === "lease" || method === "endLease") asked.push(method);
      return method === "commit" && commits <= count ? { outcome: "conflict" } : "pass";
    };
  }

  test("three times in a row takes a lease on the group, then wins, and gives the lease back", async () => {
    const world = new EngineWorld(kind);
    const asked: string[] = [];
    const engine = await world.engine([policy], { fateOf: losing(3, asked), isStarted: false });
    const [id] = (await take(engine, alertOf("a"))) as [string];
    expect(asked).toEqual(["commit", "commit", "commit", "lease", "commit", "endLease"]);
    expect(await standing(engine, id)).toBe("Processing group_opened");
    const { group } = await engine.get(id).snapshot();
    const partition = partitionOf(group as string, PARTITION_COUNT);
    const lease = { groupId: group as string, partition, owner: "somebody else", ttlMs: 1 };
    await delay(2);
    expect(await (await world.outside()).lease(lease)).toBe(true);
  });

  test("twenty times in a row is refused as BECALM_CONFLICT with nothing written; sent again it is taken", async () => {
    const world = new EngineWorld(kind);
    const asked: string[] = [];
    const engine = await world.engine([policy], { fateOf: losing(20, asked), isStarted: false });
    const { rejected } = await engine.ingest([alertOf("a")]);
    expect(rejected.map(({ error }) => error.code)).toEqual(["BECALM_CONFLICT"]);
    expect(asked.filter((method) => method === "commit")).toHaveLength(20);
    expect(await world.stored()).toEqual([]);
    const [id] = (await take(engine, alertOf("a"))) as [string];
    expect(await standing(engine, id)).toBe("Processing group_opened");
  });
});

test("a commit that meets a lease waits until that has run out, and is not refused", async () => {
  const world = new EngineWorld(redisKind(server));
  const engine = await world.engine([policy], { isStarted: false });
  await take(engine, alertOf("a"));
  const group = (await everything(engine))[0]?.group as string;
  const store = await world.outside();
  const request = {
    groupId: group,
    partition: partitionOf(group, PARTITION_COUNT),
    owner: "somebody else",
    ttlMs: 1_000,
  };
  expect(await store.lease(request)).toBe(true);
  const [id] = (await take(engine, alertOf("b"))) as [string];
  expect(await standing(engine, id)).toBe("Skipped limit_reached");
});

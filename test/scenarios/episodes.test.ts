/** Episodes through live engines: what receipts do, whichever sender and whichever engine they come by. */
import { describe, expect, test } from "vitest";
import type { AlertInput } from "../../src/formats/alert-input.ts";
import {
  alertOf,
  EngineWorld,
  MEMORY,
  MINUTE_MS,
  policyOf,
  redisKind,
  SECOND_MS,
  START_MS,
  standing,
  take,
  unsound,
} from "../support/engine-world.ts";
import { mixedStream, randomFrom } from "../support/receipt-streams.ts";
import { useRedis } from "../support/redis-server.ts";
import { SlowEpisodes, type SlowReceipt, type SlowWord } from "../support/slow-episodes.ts";

const server = useRedis();
/** What was open before an engine came is given so long. */
const GRACE_MS = 5 * MINUTE_MS;
const HELD = policyOf({ function: "defense", by: ["host"], count: 1, window: "31d" }, { approval: { timeout: "31d" } });

const WORDS: Readonly<Record<string, readonly SlowWord[]>> = {
  created: ["begins"],
  duplicate: ["goes_on"],
  late: ["late"],
  resolved: ["ends"],
  ignored: ["ends", "nothing_open"],
};

function inputOf({ form, status, startsAtMs, endsAtMs }: SlowReceipt, shiftMs: number): AlertInput {
  const at = (ms: number | null) => (ms === null ? null : ms + shiftMs);
  const own = form === "v4" ? { status } : {};
  return { labels: { alertname: "Down", host: "h" }, startsAt: at(startsAtMs), endsAt: at(endsAtMs), ...own };
}

async function opener(engine: Awaited<ReturnType<EngineWorld["engine"]>>): Promise<void> {
  await take(engine, alertOf("opener"));
}

describe.each([
  { kind: MEMORY, seeds: 40 },
  { kind: redisKind(server), seeds: 8 },
])("on $kind.name", ({ kind, seeds }) => {
  test("the end of an alert is recorded with when it was, if it was heard of later", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([HELD]);
    const alert = (name: string, more: Partial<AlertInput> = {}): AlertInput => ({
      labels: { alertname: name, host: "h" },
      status: "firing",
      ...more,
    });
    const names = ["runs", "late", "at once", "ahead"];
    const ids = await take(engine, ...names.map((name) => alert(name)));
    await world.elapse(10 * MINUTE_MS);
    const nowMs = world.clock.now();
    await engine.ingest([
      alert("late", { status: "resolved", endsAt: nowMs - 3 * MINUTE_MS }),
      alert("at once", { status: "resolved" }),
      alert("ahead", { status: "resolved", endsAt: nowMs + MINUTE_MS }),
    ]);
    const events = await Promise.all(
      ids.slice(1).map(async (id) => (await engine.get(id).history()).entries.at(-1)?.event),
    );
    const ended = { type: "alert.resolved", atMs: nowMs };
    expect(events).toEqual([{ ...ended, endedAtMs: nowMs - 3 * MINUTE_MS }, ended, ended]);
    expect(await unsound(world, engine)).toEqual([]);
  });

  test("random streams of two senders, by two engines, make exactly the episodes of the slow model", async () => {
    for (let seed = 1; seed <= seeds; seed += 1) {
      const stream = mixedStream(randomFrom(seed)).slice(0, 70);
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const policies = [policyOf(null), { ...HELD, name: "held" }];
      const engines = [await world.engine(policies), await world.engine(policies)];
      await world.elapse(GRACE_MS + 1);
      const shiftMs = world.clock.now() - (stream[0] as SlowReceipt).receivedAtMs;
      const slow = new SlowEpisodes();
      for (const [index, receipt] of stream.entries()) {
        await world.elapse(receipt.receivedAtMs + shiftMs - world.clock.now());
        const word = slow.receive(receipt);
        const { instances, rejected } = await (engines[index % 2] as (typeof engines)[0]).ingest([
          inputOf(receipt, shiftMs),
        ]);
        expect(rejected).toEqual([]);
        for (const { outcome } of instances) expect(WORDS[outcome], `seed ${seed}, receipt ${index}`).toContain(word);
      }
      const { instances } = await (engines[0] as (typeof engines)[0]).list({ limit: 1_000 });
      const made = instances.filter(({ kind: made }) => made === "action");
      expect(made, `seed ${seed}`).toHaveLength(slow.episodes.length * 2);
      for (const engine of engines) engine.kill();
    }
  });

  test("a lease that runs out takes back what nobody has decided yet, and one that is renewed does not", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([HELD]);
    await world.elapse(GRACE_MS);
    await opener(engine);
    const firing = (name: string) => {
      const leased = { status: undefined, startsAt: START_MS, endsAt: world.clock.now() + 4 * MINUTE_MS };
      return alertOf(name, leased as Partial<AlertInput>);
    };
    const [left, renewed] = (await take(engine, firing("left"), firing("renewed"))) as [string, string];
    for (let minute = 0; minute < 8; minute += 1) {
      await world.elapse(MINUTE_MS);
      await take(engine, firing("renewed"));
      if (minute === 2) expect(await standing(engine, left)).toBe("Waiting defense_threshold");
    }
    expect(await standing(engine, left)).toBe("Skipped lease_over");
    expect(await standing(engine, renewed)).toBe("Waiting defense_threshold");
    expect((await engine.get(left).history()).entries.at(-1)?.event).toMatchObject({ reason: "lease_over" });
    // It fires again: a new episode, a new decision.
    const [again] = (await take(engine, firing("left"))) as [string];
    expect(again).not.toBe(left);
  });

  test.each(["lease", "resolve"])(
    "a %s that ends while the action runs takes back nothing that comes later",
    async (how) => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "approve_when_failed", count: 1 })]);
      await world.elapse(GRACE_MS);
      const firing = alertOf("a", {
        status: how === "lease" ? undefined : "firing",
        startsAt: START_MS,
      } as Partial<AlertInput>);
      const [id = ""] = await take(engine, firing);
      await world.settle();
      if (how === "resolve") await engine.ingest([alertOf("a", { status: "resolved" })]);
      await world.elapse(6 * MINUTE_MS);
      world.underway[0]?.fail();
      await world.elapse(2 * SECOND_MS);
      expect(await standing(engine, id)).toBe("Waiting retries_exhausted");
      // It fires again: another episode, which the first one does not hear of.
      await take(engine, firing);
      expect(await standing(engine, id)).toBe("Waiting retries_exhausted");
      expect(await unsound(world, engine)).toEqual([]);
    },
  );

  test("no lease runs out within the resolve timeout after an engine has come: senders renew first", async () => {
    const world = new EngineWorld(kind);
    const first = await world.engine([HELD]);
    await opener(first);
    const leased = { status: undefined, endsAt: START_MS + MINUTE_MS } as Partial<AlertInput>;
    const [id] = (await take(first, alertOf("a", leased))) as [string];
    await world.stop(first);
    await world.elapse(3 * 60 * MINUTE_MS);
    const second = await world.engine([HELD]);
    await world.elapse(GRACE_MS - SECOND_MS);
    expect(await standing(second, id)).toBe("Waiting defense_threshold");
    const renewal = { status: undefined, endsAt: world.clock.now() + 4 * MINUTE_MS } as Partial<AlertInput>;
    expect(await take(second, alertOf("a", renewal))).toEqual([id]);
    await world.elapse(3 * MINUTE_MS);
    expect(await standing(second, id)).toBe("Waiting defense_threshold");
    await world.elapse(2 * MINUTE_MS);
    expect(await standing(second, id)).toBe("Skipped lease_over");
  });

  test.each([
    [
      "has another rule",
      [{ ...HELD, converge: { function: "defense" as const, by: ["name"], count: 2, window: "5m" } }],
    ],
    ["matches it no longer", [{ ...HELD, match: ['alertname="Other"'] }]],
    ["is gone", [{ ...HELD, name: "other", match: ['alertname="Other"'] }]],
  ])("an episode goes on and ends under a policy that %s", async (_, changed) => {
    const world = new EngineWorld(kind);
    const before = await world.engine([HELD]);
    await opener(before);
    const [id] = (await take(before, alertOf("a"))) as [string];
    await world.stop(before);
    const engine = await world.engine(changed);
    await world.elapse(MINUTE_MS);
    const goesOn = await engine.ingest([alertOf("a", { startsAt: START_MS + 7 })]);
    expect(goesOn.instances).toMatchObject([{ id, outcome: "duplicate" }]);
    const resolved = await engine.ingest([alertOf("a", { status: "resolved", endsAt: world.clock.now() })]);
    expect(resolved.instances).toMatchObject([{ id, outcome: "resolved" }]);
    expect(await standing(engine, id)).toBe("Skipped alert_resolved");
    // What begins now is the business of the policies in force.
    await world.elapse(2 * MINUTE_MS);
    const again = await engine.ingest([alertOf("a", { startsAt: world.clock.now() })]);
    expect(again.instances.map(({ outcome }) => outcome)).toEqual(again.unmatched.length === 0 ? ["created"] : []);
  });

  test("late words and resolves of nothing are reported, and change nothing", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null)]);
    const outcomes = async (...alerts: AlertInput[]) =>
      (await engine.ingest(alerts)).instances.map(({ outcome }) => outcome);
    expect(await outcomes(alertOf("a", { status: "resolved", endsAt: START_MS }))).toEqual(["ignored"]);
    expect(await outcomes(alertOf("a"), alertOf("a", { status: "resolved", endsAt: START_MS }))).toEqual([
      "created",
      "ignored",
    ]);
    await world.elapse(59 * SECOND_MS);
    expect(await outcomes(alertOf("a"))).toEqual(["late"]);
    await world.elapse(SECOND_MS);
    expect(await outcomes(alertOf("a"))).toEqual(["created"]);
    const early = { status: "resolved", endsAt: START_MS - 1 } as const;
    expect(await outcomes(alertOf("a", early))).toEqual(["late"]);
    expect(await world.stored()).toHaveLength(2);
  });

  test("a start far after the last receipt of an alert that nobody resolved ends its episode and begins another", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([HELD]);
    await opener(engine);
    const [first] = (await take(engine, alertOf("a"))) as [string];
    await world.elapse(60 * MINUTE_MS);
    const [second] = (await take(engine, alertOf("a", { startsAt: world.clock.now() - MINUTE_MS }))) as [string];
    expect(second).not.toBe(first);
    expect(await standing(engine, first)).toBe("Skipped resolve_lost");
    expect(await standing(engine, second)).toBe("Waiting defense_threshold");
  });

  test("the record goes with its instance: an alert that comes back after the retention is acted upon again", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf(null)], { retentionMs: 10 * MINUTE_MS });
    await take(engine, alertOf("a"));
    await world.settle();
    await world.elapse(30 * MINUTE_MS);
    await world.elapse(30 * MINUTE_MS);
    expect(await world.stored()).toEqual([]);
    const again = await engine.ingest([alertOf("a")]);
    expect(again.instances).toMatchObject([{ outcome: "created" }]);
  });
});

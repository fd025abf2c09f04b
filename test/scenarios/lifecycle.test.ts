/** One instance's life beside convergence: silences, people, resolved alerts, retries, cancelling, closing. */
import { describe, expect, test } from "vitest";
import {
  alertOf,
  EngineWorld,
  MEMORY,
  MINUTE_MS,
  POLL_MS,
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
import type { StoreCall } from "../support/watched-store.ts";

const server = useRedis();
const who = { by: "ada", why: "I looked at it" };

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  describe("a silence", () => {
    const silenced = (fromMs: number, toMs: number, more: object = {}) => ({
      policies: [policyOf({ function: "skip_when_exceed" }, more)],
      silences: [
        {
          match: ['host="db-1"'],
          from: new Date(fromMs).toISOString(),
          to: new Date(toMs).toISOString(),
          author: "bob",
          comment: "rack move",
        },
      ],
    });

    test("skips what starts in it, invisible to convergence, and is named in the audit", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine(silenced(START_MS, START_MS + MINUTE_MS, { after_silence: "skip" }));
      const [id] = (await take(engine, alertOf("a"))) as [string];
      expect(await standing(engine, id)).toBe("Skipped silenced");
      const { entries } = await engine.get(id).history();
      expect(entries[0]?.event).toMatchObject({ silence: { author: "bob", comment: "rack move" } });
      await world.elapse(MINUTE_MS);
      expect(await take(engine, alertOf("a"))).toEqual([id]);
      expect(await standing(engine, id)).toBe("Skipped silenced");
      const [next] = (await take(engine, alertOf("b"))) as [string];
      await world.settle();
      expect(await standing(engine, next)).toBe("Success group_opened");
    });

    test("holds from its first millisecond to the one before its end", async () => {
      for (const [fromMs, toMs, isSilenced] of [
        [0, 1, true],
        [1, 2, false],
        [-1, 0, false],
      ] as const) {
        const world = new EngineWorld(kind);
        const engine = await world.engine(silenced(START_MS + fromMs, START_MS + toMs));
        const [id] = (await take(engine, alertOf("a"))) as [string];
        expect(await standing(engine, id)).toBe(isSilenced ? "Skipped silenced" : "Processing group_opened");
      }
    });

    test("does not keep a person from running the instance: closed, then started anyway", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine(silenced(START_MS, START_MS + MINUTE_MS));
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await engine.get(id).send({ type: "end", ...who });
      await engine.get(id).send({ type: "start", approved: true, ...who });
      await world.settle();
      expect(await standing(engine, id)).toBe("Success run_anyway");
      const { entries } = await engine.get(id).history();
      const started = entries.find(({ reason }) => reason === "run_anyway");
      expect(started).toMatchObject({ actor: "ada", event: { silence: { author: "bob" } } });
      expect(await unsound(world, engine)).toEqual([]);
    });
  });

  describe("an alert that resolves", () => {
    test("skips what waits or is held, and touches nothing that has started", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "defense", count: 1 })]);
      const ids = await take(engine, alertOf("a"), alertOf("b"));
      const resolved = await engine.ingest([
        alertOf("a", { status: "resolved" }),
        alertOf("b", { status: "resolved" }),
        alertOf("c", { status: "resolved" }),
      ]);
      expect(resolved.instances.map(({ outcome }) => outcome)).toEqual(["ignored", "resolved", "ignored"]);
      expect(await standings(engine, ids)).toEqual(["Processing group_opened", "Skipped alert_resolved"]);
      expect(await world.stored()).toHaveLength(3);
    });

    test("changes nothing under on_resolved: keep", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "defense", count: 1 }, { on_resolved: "keep" })]);
      const ids = await take(engine, alertOf("a"), alertOf("b"));
      await take(engine, alertOf("b", { status: "resolved" }));
      expect(await standing(engine, ids[1] as string)).toBe("Waiting defense_threshold");
    });

    test("and starts later is a new episode, and the old one is left alone", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf(null)]);
      const [first] = (await take(engine, alertOf("a"))) as [string];
      await take(engine, alertOf("a", { status: "resolved", endsAt: START_MS }));
      const [second] = (await take(engine, alertOf("a", { startsAt: START_MS + 1 }))) as [string];
      expect(second).not.toBe(first);
      expect(await standings(engine, [first, second])).toEqual(["Processing no_rule", "Processing no_rule"]);
    });

    test("is one episode until then, whatever start it is sent with", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf(null)]);
      const [id] = (await take(engine, alertOf("a"))) as [string];
      for (const startsAt of [START_MS + 1, START_MS - 5_000, null])
        expect(await take(engine, alertOf("a", { startsAt }))).toEqual([id]);
      expect((await engine.list()).instances).toHaveLength(1);
    });
  });

  describe("retries", () => {
    test("wait delay, delay * backoff, ...; attempt numbers and idempotency keys rise; the last failure stands", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "failed";
      const engine = await world.engine([policyOf(null, { retry: { limit: 2, delay: "10s", backoff: 3 } })]);
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await world.elapse(10 * SECOND_MS);
      expect(world.attempts.map(({ attempt }) => attempt)).toEqual([1, 2]);
      await world.elapse(30 * SECOND_MS - 1);
      expect(world.attempts).toHaveLength(2);
      await world.elapse(POLL_MS);
      expect(world.attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      expect(new Set(world.attempts.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(3);
      await world.elapse(60 * MINUTE_MS);
      expect(await standing(engine, id)).toBe("Failed failed");
      expect(world.attempts).toHaveLength(3);
      expect(await unsound(world, engine)).toEqual([]);
    });

    test("a retry that is due can be cancelled, and does not come then", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "failed";
      const engine = await world.engine([policyOf(null, { retry: { limit: 2, delay: "10s" } })]);
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await world.settle();
      await engine.get(id).send({ type: "cancel", ...who });
      await world.elapse(10 * MINUTE_MS);
      expect(await standing(engine, id)).toBe("Failed cancelled");
      expect(world.attempts).toHaveLength(1);
    });

    test("a granted round has its retries afresh, and its attempt numbers keep rising", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "failed";
      const policy = policyOf({ function: "approve_when_failed" }, { retry: { limit: 1, delay: "10s" } });
      const engine = await world.engine([policy]);
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await world.elapse(10 * SECOND_MS);
      expect(await standing(engine, id)).toBe("Waiting retries_exhausted");
      await engine.approve({ id }, who);
      await world.elapse(10 * SECOND_MS);
      expect(world.attempts.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
      expect(await standing(engine, id)).toBe("Waiting retries_exhausted");
    });
  });

  describe("cancelling", () => {
    test("a running attempt fires its AbortSignal; the instance fails, is not retried, and a late result changes nothing", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf(null, { retry: { limit: 3, delay: "1s" } })]);
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await world.settle();
      expect(world.attempts[0]?.signal.aborted).toBe(false);
      const cancelled = await engine.get(id).send({ type: "cancel", ...who });
      expect(cancelled).toMatchObject({ state: "Failed", reason: "cancelled" });
      expect(world.attempts[0]?.signal.aborted).toBe(true);
      world.attempts[0]?.succeed();
      await world.elapse(MINUTE_MS);
      expect(await standing(engine, id)).toBe("Failed cancelled");
      expect(world.attempts).toHaveLength(1);
      expect(await (await world.outside()).listEffects({ limit: 9 })).toEqual([]);
    });

    test("a peer in progress releases those that wait for it", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "skip_when_success" })]);
      const ids = (await take(engine, alertOf("a"), alertOf("b"))) as [string, string];
      await world.settle();
      await engine.get(ids[0]).send({ type: "cancel", ...who });
      await world.settle();
      expect(await standing(engine, ids[1])).toBe("Processing no_peer_in_the_way");
    });

    test("an event that the state has no edge for is refused with a stable code, and leaves no line", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine([policyOf(null)]);
      const [id] = (await take(engine, alertOf("a"))) as [string];
      await world.settle();
      const before = await engine.get(id).history();
      for (const type of ["cancel", "approval.granted", "approval.denied"] as const) {
        await expect(engine.get(id).send({ type, ...who })).rejects.toMatchObject({ code: "BECALM_EVENT_REFUSED" });
      }
      expect(await engine.get(id).history()).toEqual(before);
      await expect(engine.get("00-000000000000000000000000").snapshot()).rejects.toMatchObject({
        code: "BECALM_NOT_FOUND",
      });
      await expect(engine.get("nonsense").snapshot()).rejects.toMatchObject({ code: "BECALM_NOT_FOUND" });
    });
  });

  test("a closed instance ignores its alert, resolved or sent again", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf(null)]);
    const [id] = (await take(engine, alertOf("a"))) as [string];
    await world.settle();
    await engine.get(id).send({ type: "end", ...who });
    const again = await engine.ingest([alertOf("a"), alertOf("a", { status: "resolved" })]);
    expect(again.instances.map(({ outcome }) => outcome)).toEqual(["duplicate", "ignored"]);
    expect(await standing(engine, id)).toBe("Idle closed");
    expect(await pathOf(engine, id)).toBe("Idle > Processing > Success > Idle");
    expect(world.attempts).toHaveLength(1);
  });

  test("a broken alert is rejected with its index; the others of its request are taken", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null)]);
    const broken = { labels: { alertname: "x".repeat(20_000) } };
    const result = await engine.ingest([alertOf("a"), broken, 7 as never, { labels: {} }, alertOf("b")]);
    expect(result.instances.map(({ alert }) => alert)).toEqual([0, 4]);
    expect(result.rejected.map(({ alert, error }) => [alert, error.code])).toEqual([
      [1, "BECALM_ALERT_INVALID"],
      [2, "BECALM_ALERT_INVALID"],
      [3, "BECALM_ALERT_INVALID"],
    ]);
  });

  test("a predicate that throws rejects its waitFor, at once or at the step that it throws for", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null)]);
    const [id] = (await take(engine, alertOf("a"))) as [string];
    await world.settle();
    const throwAt = (state: string) =>
      engine.get(id).waitFor((snapshot) => {
        if (snapshot.state === state) throw new Error("a bug of the program");
        return false;
      });
    await expect(throwAt("Processing")).rejects.toThrow("a bug of the program");
    const later = expect(throwAt("Success")).rejects.toThrow("a bug of the program");
    await world.settle();
    world.attempts[0]?.succeed();
    await later;
    expect(await standing(engine, id)).toBe("Success no_rule");
  });

  test("what listeners get says why only if it is asked: it reads the history once, then", async () => {
    const world = new EngineWorld(kind);
    const calls: string[] = [];
    const fateOf = ({ method }: StoreCall) => {
      calls.push(method);
      return "pass" as const;
    };
    const engine = await world.engine([policyOf(null)], { fateOf });
    const said: string[] = [];
    engine.subscribe((steps) => said.push(...steps.map((step) => `${step.event}: ${step.sentence().en}`)));
    const [id] = (await take(engine, alertOf("a"))) as [string];
    const done = engine.get(id).waitFor(({ state }) => state === "Success");
    await world.settle();
    world.attempts[0]?.succeed();
    const snapshot = await done;
    const reads = () => calls.filter((method) => method === "history").length;
    const before = reads();
    const { sentence, labels } = await snapshot.explain();
    expect([sentence?.en, labels?.["alertname"]]).toEqual(["Attempt 1 succeeded.", "DiskFull"]);
    await snapshot.explain();
    expect(reads() - before).toBe(1);
    expect(JSON.stringify(snapshot)).not.toContain("explain");
    expect(said).toEqual([
      'start: Action "act" runs: no convergence rule governs it.',
      "effect.done: Attempt 1 succeeded.",
    ]);
  });

  test("a subscriber that throws changes nothing: the alert is taken, its effect runs, others are told", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf(null)]);
    const [id] = (await take(engine, alertOf("a"))) as [string];
    await world.settle();
    const told: string[] = [];
    engine.get(id).subscribe(() => {
      throw new Error("a bug of the program");
    });
    engine.get(id).subscribe(({ state }) => void told.push(state));
    world.attempts[0]?.succeed();
    await world.settle();
    expect(await standing(engine, id)).toBe("Success no_rule");
    expect(told).toEqual(["Success"]);
    expect(world.faults.join()).toContain("a bug of the program");
  });
});

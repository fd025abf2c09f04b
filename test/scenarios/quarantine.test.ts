/** Stored state that this program cannot read: nothing is written over it, and everything else goes on. */

import { describe, expect, test } from "vitest";
import { COMMIT_INSTANCE_COUNT_MAX } from "../../src/model/limits.ts";
import {
  alertOf,
  EngineWorld,
  MEMORY,
  MINUTE_MS,
  overwrite,
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

const server = useRedis();
const who = { by: "ada", why: "known" };
const TRIED_AGAIN_MS = 30 * SECOND_MS;

/** A checkpoint's text with some fields of its body changed. */
async function changed(world: EngineWorld, id: string, fields: object): Promise<string> {
  const stored = (await world.stored()).find((one) => one.id === id);
  const [head, ...body] = (stored?.value ?? "").split(" ");
  return `${head} ${JSON.stringify({ ...(JSON.parse(body.join(" ")) as object), ...fields })}`;
}

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  describe("a checkpoint that", () => {
    test.each([
      ["is garbage", "BECALM_CHECKPOINT_INVALID", null],
      ["belongs to another machine", "BECALM_CHECKPOINT_UNKNOWN_MACHINE", { machine: "toaster@1/1" }],
      ["has a newer machine version", "BECALM_CHECKPOINT_NEWER", { machine: "action-instance@99/1" }],
      ["has a newer format", "BECALM_CHECKPOINT_NEWER", { machine: "action-instance@1/99" }],
      ["has an unknown state", "BECALM_CHECKPOINT_INVALID", { state: "Dancing" }],
      ["was made under an unknown policy", "BECALM_CHECKPOINT_INVALID", { policy: "gone@0000000000000000" }],
    ] as const)("%s is refused with %s, listed, and left byte for byte as it is", async (_, code, fields) => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([policyOf({ function: "defense" }, { approval: { timeout: "1m" } })]);
      const [opener, held] = (await take(engine, alertOf("a"), alertOf("b"))) as [string, string];
      const value = fields === null ? "garbage that is no checkpoint" : await changed(world, held, fields);
      await overwrite(world, { id: held }, value);
      await expect(engine.get(held).snapshot()).rejects.toMatchObject({ code });
      await expect(engine.get(held).send({ type: "approval.granted", ...who })).rejects.toMatchObject({ code });
      const again = await engine.ingest([alertOf("b"), alertOf("a")]);
      expect(again.rejected.map(({ error }) => error.code)).toEqual([code]);
      expect(again.instances.map(({ id }) => id)).toEqual([opener]);
      await world.elapse(10 * MINUTE_MS);
      const { quarantined } = await engine.list({ quarantined: true });
      expect(quarantined.map(({ id, error }) => [id, error.code])).toEqual([[held, code]]);
      expect((await engine.list()).instances.map(({ id }) => id)).not.toContain(held);
      expect((await world.stored()).find(({ id }) => id === held)?.value).toBe(value);
    });
  });

  test("a repaired checkpoint goes on in the same engine: its timer fires", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf({ function: "defense" }, { approval: { timeout: "1m" } })]);
    const [, held] = (await take(engine, alertOf("a"), alertOf("b"))) as [string, string];
    const repair = await overwrite(world, { id: held }, "garbage");
    await world.elapse(2 * MINUTE_MS);
    await repair();
    await world.elapse(TRIED_AGAIN_MS);
    await world.elapse(POLL_MS);
    expect(await standing(engine, held)).toBe("Skipped approval_timeout");
  });

  test("a repaired checkpoint goes on in the same engine: its outstanding effect runs", async () => {
    const world = new EngineWorld(kind);
    const policies = [policyOf(null)];
    const first = await world.engine(policies);
    const [id] = (await take(first, alertOf("a"))) as [string];
    await world.settle();
    first.kill();
    const repair = await overwrite(world, { id }, "garbage");
    await world.storage.expireLeases();
    const second = await world.engine(policies);
    await world.elapse(POLL_MS);
    expect(world.attempts).toHaveLength(1);
    await repair();
    await world.storage.expireLeases();
    await world.elapse(POLL_MS);
    world.attempts[1]?.succeed();
    await world.settle();
    expect(await standing(second, id)).toBe("Success no_rule");
  });

  test("a peer in progress that became unreadable is not a peer: those that wait for it go on", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf({ function: "wait_when_proceed" })]);
    const ids = (await take(engine, alertOf("a"), alertOf("b"), alertOf("c"))) as [string, string, string];
    await world.settle();
    await overwrite(world, { id: ids[0] }, "garbage");
    const [next] = (await take(engine, alertOf("d"))) as [string];
    await world.elapse(POLL_MS);
    for (let turn = 0; turn < 3; turn += 1) {
      expect(world.underway).toHaveLength(2);
      world.underway[1]?.succeed();
      await world.elapse(POLL_MS);
    }
    expect(await standings(engine, [ids[1], ids[2], next])).toEqual(Array(3).fill("Success no_peer_in_the_way"));
  });

  test("a waiter that became unreadable keeps no group open: the window's end is its end", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf({ function: "skip_when_success" })]);
    const ids = (await take(engine, alertOf("a"), alertOf("b"))) as [string, string];
    await world.settle();
    await overwrite(world, { id: ids[1] }, "garbage");
    world.attempts[0]?.succeed();
    await world.elapse(5 * MINUTE_MS);
    const [late] = (await take(engine, alertOf("late"))) as [string];
    expect(await standing(engine, late)).toBe("Skipped peer_succeeded");
    await world.elapse(1);
    const [fresh] = (await take(engine, alertOf("fresh"))) as [string];
    expect(await standing(engine, fresh)).toBe("Processing no_peer_in_the_way");
  });

  test("waiters that became unreadable hide none that stands behind them, however many they are", async () => {
    const world = new EngineWorld(kind);
    const engine = await world.engine([policyOf({ function: "wait_when_proceed", count: 1 })]);
    const names = Array.from({ length: COMMIT_INSTANCE_COUNT_MAX + 5 }, (_, index) => alertOf(`w-${index}`));
    await take(engine, alertOf("peer"));
    const waiting = await take(engine, ...names);
    const last = (await take(engine, alertOf("last")))[0] as string;
    await world.settle();
    for (const id of waiting) await overwrite(world, { id }, "garbage");
    world.attempts[0]?.succeed();
    await world.until("the last one runs", async () => world.attempts.length === 2, POLL_MS);
    world.attempts[1]?.succeed();
    await world.settle();
    expect(await standing(engine, last)).toBe("Success no_peer_in_the_way");
  });

  test("a grant of a group passes over the instances that cannot be read", async () => {
    const world = new EngineWorld(kind);
    world.outcome = () => "done";
    const engine = await world.engine([policyOf({ function: "defense" })]);
    const ids = (await take(engine, alertOf("a"), alertOf("b"), alertOf("c"), alertOf("d"))) as [
      string,
      string,
      string,
      string,
    ];
    const { group } = await engine.get(ids[1]).snapshot();
    await overwrite(world, { id: ids[1] }, "garbage");
    expect((await engine.approve({ group: group as string }, who)).map(({ id }) => id)).toEqual([ids[2], ids[3]]);
  });

  describe("a group that cannot be read", () => {
    const rule = policyOf({ function: "defense" }, { approval: { timeout: "1m" } });

    test("has its alerts refused as BECALM_GROUP_UNREADABLE; other groups go on, and so does it when it is repaired", async () => {
      const world = new EngineWorld(kind);
      const engine = await world.engine([rule]);
      const [, held] = (await take(engine, alertOf("a"), alertOf("b"))) as [string, string];
      const { group } = await engine.get(held).snapshot();
      const repair = await overwrite(world, { group: group as string }, '{"format":99}');
      const result = await engine.ingest([alertOf("c"), alertOf("c", { host: "db-2" })]);
      expect(result.rejected.map(({ alert, error }) => [alert, error.code])).toEqual([[0, "BECALM_GROUP_UNREADABLE"]]);
      expect(result.instances.map(({ alert, outcome }) => [alert, outcome])).toEqual([[1, "created"]]);
      await world.elapse(2 * MINUTE_MS);
      await repair();
      await world.elapse(TRIED_AGAIN_MS);
      await world.elapse(POLL_MS);
      expect(await standing(engine, held)).toBe("Skipped approval_timeout");
      const [again] = (await take(engine, alertOf("c"))) as [string];
      expect(await standing(engine, again)).toBe("Waiting defense_threshold");
      expect(await unsound(world, engine)).toEqual([]);
    });

    test("with more due timers than one look takes does not keep the timers of other groups waiting", async () => {
      const world = new EngineWorld(kind);
      world.outcome = () => "done";
      const engine = await world.engine([rule]);
      const ids = await take(engine, ...Array.from({ length: 300 }, (_, index) => alertOf(`a${index}`)));
      await world.elapse(1);
      const [, other] = (await take(engine, alertOf("a", { host: "db-2" }), alertOf("b", { host: "db-2" }))) as [
        string,
        string,
      ];
      const { group } = await engine.get(ids[9] as string).snapshot();
      await overwrite(world, { group: group as string }, "garbage");
      await world.elapse(MINUTE_MS);
      await world.elapse(POLL_MS);
      await world.elapse(POLL_MS);
      expect(await standing(engine, other)).toBe("Skipped approval_timeout");
    });
  });
});

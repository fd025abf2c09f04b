/** What every store guarantees to those who choose what they run, and of what could not be delivered. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Outbox } from "../../src/stores/outbox.ts";
import type { Commit, Store } from "../../src/stores/store.ts";
import type { StoreWorld } from "./store-contract.ts";
import { commitOf, effectOf } from "./store-fixtures.ts";

const SHORT_MS = 40;
const LONG_MS = 60_000;

export function outboxContract(name: string, makeWorld: () => Promise<StoreWorld>, partitions: number): void {
  describe(`${name}: the outbox of those who choose`, () => {
    let world: StoreWorld;
    let store: Store;
    let outbox: Outbox;

    beforeEach(async () => {
      world = await makeWorld();
      store = world.store;
      await store.open({ mode: "live", partitions });
      outbox = store.outbox;
    });

    async function applied(...commits: Partial<Commit>[]): Promise<void> {
      for (const parts of commits) {
        expect(await store.commit(commitOf(parts))).toBe("applied");
        await world.outlast(3);
      }
    }

    const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => id);
    const free = (after: { freeSinceMs: number; id: string } | null = null, limit = 100) =>
      outbox.free({ partition: 0, after, limit });
    const claim = (owner: string, effectIds: readonly string[], leaseMs = LONG_MS) =>
      outbox.claim({ owner, leaseMs, effectIds });
    /** As a process that dies does: its claim runs out. */
    const abandoned = async (owner: string, id: string) => {
      const [claimed] = await claim(owner, [id], SHORT_MS);
      await world.outlast(SHORT_MS + 2);
      return claimed?.deliveries;
    };

    test("is walked through in the order of becoming free, without what somebody holds, and nothing is claimed", async () => {
      await applied(
        { effects: [effectOf("00-b"), effectOf("00-a"), effectOf("00-c")] },
        { effects: [effectOf("00-held")], effectClaimMs: LONG_MS },
        { effects: [effectOf("00-0")] },
        { partition: 1, effects: [effectOf("01-a", { partition: 1 })] },
      );
      const first = await free(null, 2);
      expect(ids(first)).toEqual(["00-a", "00-b"]);
      const rest = await free(first[1] ?? null);
      expect(ids(rest)).toEqual(["00-c", "00-0"]);
      expect(await free(rest[1] ?? null)).toEqual([]);
      expect(rest[0]).toMatchObject({ ...effectOf("00-c"), deliveries: 0 });
      expect(ids(await store.claimEffects({ owner: "o", leaseMs: LONG_MS, limit: 10, partition: 0 }))).toHaveLength(4);
    });

    test("goes on after an effect that is gone, also among many of one moment", async () => {
      const all = Array.from({ length: 30 }, (_, index) => `00-${10 + index}`);
      await applied({ effects: all.map((id) => effectOf(id)) });
      const [first] = await free(null, 1);
      const at = { freeSinceMs: first?.freeSinceMs ?? 0, id: "00-20" };
      await applied({ settledEffectIds: ["00-20", "00-21"] });
      expect(ids(await free(at, 3))).toEqual(["00-22", "00-23", "00-24"]);
      expect(ids(await free({ ...at, id: "00-39" }, 3))).toEqual([]);
    });

    test("gives what is named to one claimer at a time, and nothing that is gone or held", async () => {
      await applied({ effects: ["00-a", "00-b", "00-c"].map((id) => effectOf(id)) }, { settledEffectIds: ["00-c"] });
      const claimed = await claim("a", ["00-b", "00-a", "00-c", "00-none"]);
      expect(claimed).toEqual([
        { ...effectOf("00-a"), deliveries: 1 },
        { ...effectOf("00-b"), deliveries: 1 },
      ]);
      expect(await claim("b", ["00-a", "00-b"])).toEqual([]);
      expect(await claim("b", [])).toEqual([]);
      expect(await store.extendClaims({ owner: "a", leaseMs: LONG_MS, effectIds: ["00-a", "00-b"] })).toEqual([]);
      await expect(claim("a", ["00-a"], 0)).rejects.toMatchObject({ code: "BECALM_ARGUMENT_INVALID" });
    });

    test("counts deliveries: each claim that was not given back", async () => {
      await applied({ effects: [effectOf("00-a")] }, { effects: [effectOf("00-own")], effectClaimMs: SHORT_MS });
      await world.outlast(SHORT_MS + 2);
      expect(await abandoned("a", "00-own")).toBe(2);
      for (const [index, owner] of ["a", "b", "b", "c"].entries())
        expect(await abandoned(owner, "00-a")).toBe(index + 1);
      expect((await free()).find(({ id }) => id === "00-a")?.deliveries).toBe(4);
      const [again] = await store.claimEffects({ owner: "d", leaseMs: LONG_MS, limit: 1 });
      expect(again).toMatchObject({ id: "00-own", deliveries: 3, heldBy: "a" });
      await claim("e", ["00-a"]);
      await outbox.giveBack({ owner: "e", effectIds: ["00-a", "00-own"], delayMs: 0 });
      await world.outlast(2);
      expect(await free()).toMatchObject([{ id: "00-a", deliveries: 4 }]);
      expect(await claim("f", ["00-a"])).toMatchObject([{ deliveries: 5 }]);
      await store.releaseClaims({ owner: "f", effectIds: ["00-a"] });
      await world.outlast(2);
      expect(await claim("g", ["00-a"])).toMatchObject([{ deliveries: 5 }]);
    });

    test("keeps what is given back for later from everybody until then", async () => {
      await applied({ effects: [effectOf("00-a")], effectClaimMs: LONG_MS });
      const giveBack = { owner: "engine-a", effectIds: ["00-a"] };
      await outbox.giveBack({ ...giveBack, delayMs: LONG_MS });
      expect(await free()).toEqual([]);
      expect(await claim("b", ["00-a"])).toEqual([]);
      await outbox.giveBack({ ...giveBack, delayMs: SHORT_MS });
      await world.outlast(SHORT_MS + 2);
      expect(await claim("b", ["00-a"])).toMatchObject([{ id: "00-a", deliveries: 1 }]);
      await outbox.giveBack({ owner: "b", effectIds: ["00-a"], delayMs: LONG_MS });
      await outbox.giveBack({ owner: "c", effectIds: ["00-a"], delayMs: 0 });
      expect(await free()).toEqual([]);
      await outbox.giveBack({ owner: "b", effectIds: ["00-a"], delayMs: 0 });
      await world.outlast(2);
      expect(await claim("c", ["00-a"])).toMatchObject([{ id: "00-a", deliveries: 1 }]);
    });

    test("delivers what is set aside to nobody until it is resumed, and then as if it never had been", async () => {
      await applied({ effects: [effectOf("00-a"), effectOf("00-b")] });
      await applied({ partition: 1, effects: [effectOf("01-c", { partition: 1 })] });
      await abandoned("a", "00-a");
      await claim("b", ["00-a", "01-c"]);
      expect(await outbox.setAside({ owner: "other", effectIds: ["00-a"] })).toEqual([]);
      expect(await outbox.setAside({ owner: "b", effectIds: ["00-a", "00-b"] })).toEqual(["00-a"]);
      await world.outlast(3);
      await outbox.setAside({ owner: "b", effectIds: ["01-c"] });
      const letters = await outbox.deadLetters({ limit: 10 });
      expect(letters).toMatchObject([
        { ...effectOf("00-a"), deliveries: 2 },
        { id: "01-c", partition: 1, deliveries: 1 },
      ]);
      expect(letters[0]?.setAsideAtMs).toBeLessThanOrEqual(letters[1]?.setAsideAtMs ?? 0);
      expect(letters[0]?.setAsideAtMs).toBeLessThan(4_000_000_000_000);
      expect(ids(await outbox.deadLetters({ limit: 1 }))).toEqual(["00-a"]);
      expect(ids(await store.claimEffects({ owner: "c", leaseMs: SHORT_MS, limit: 10 }))).toEqual(["00-b"]);
      expect(await claim("c", ["00-a"])).toEqual([]);
      expect(ids(await store.listEffects({ limit: 10 }))).toEqual(["00-a", "00-b", "01-c"]);
      expect(await store.unclaimedEffects(0)).toEqual([]);
      expect(await outbox.resume(["00-a", "00-b", "00-none"])).toEqual(["00-a"]);
      await world.outlast(2);
      expect(await claim("c", ["00-a"])).toMatchObject([{ id: "00-a", deliveries: 1 }]);
      expect(ids(await outbox.deadLetters({ limit: 10 }))).toEqual(["01-c"]);
      await applied({ partition: 1, settledEffectIds: ["01-c"] });
      expect(await outbox.deadLetters({ limit: 10 })).toEqual([]);
    });
  });
}

/** What every store guarantees of what is counted beside groups. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Commit, Store, TallyWrite } from "../../src/stores/store.ts";
import type { StoreWorld } from "./store-contract.ts";
import { checkedGroup, commitOf, GROUP, groupOf, newInstance } from "./store-fixtures.ts";

const KEY = `${GROUP} 17`;

export function tallyContract(name: string, makeWorld: () => Promise<StoreWorld>, partitions: number): void {
  describe(`${name}: what is counted beside a group`, () => {
    let store: Store;

    beforeEach(async () => {
      store = (await makeWorld()).store;
      await store.open({ mode: "live", partitions });
    });

    const tally = (key = KEY, partition = 0) => store.tally({ partition, key });
    const counted = (added: readonly string[], removed: readonly string[] = []): TallyWrite => {
      return { kind: "count", key: KEY, added, removed };
    };

    async function applied(...commits: Partial<Commit>[]): Promise<void> {
      for (const parts of commits) expect(await store.commit(commitOf(parts))).toBe("applied");
    }

    test("adds up over commits that were decided on one version of the group, and leaves the group as it was", async () => {
      await applied({ group: groupOf(0) });
      expect(await tally()).toBeNull();
      const group = checkedGroup(1);
      const commits = ["00-a", "00-b", "00-c"].map((id) =>
        store.commit(commitOf({ group, instances: [newInstance(id)], tallies: [counted([id])] })),
      );
      expect(await Promise.all(commits)).toEqual(["applied", "applied", "applied"]);
      expect(await tally()).toEqual({ count: 3, sample: ["00-a", "00-b", "00-c"] });
      expect((await store.load({ partition: 0, groupId: GROUP, instanceIds: [] })).group?.version).toBe(1);
    });

    test("belongs to its partition and its key", async () => {
      await applied({ tallies: [counted(["00-a"])] });
      expect(await tally(KEY, 1)).toBeNull();
      expect(await tally(`${KEY}0`)).toBeNull();
    });

    test("keeps the ids of the first twenty, and takes the next ones for those that are no longer counted", async () => {
      const ids = Array.from({ length: 30 }, (_, index) => `00-${index}`);
      await applied({ tallies: [counted(ids.slice(0, 15))] }, { tallies: [counted(ids.slice(15))] });
      expect(await tally()).toEqual({ count: 30, sample: ids.slice(0, 20) });
      await applied({ tallies: [counted(["00-z", "00-y"], ["00-3", "00-25"])] });
      const left = [...ids.slice(0, 20).filter((id) => id !== "00-3"), "00-z"];
      expect(await tally()).toEqual({ count: 30, sample: left });
    });

    test("may count fewer than none: what is taken away may have been counted elsewhere", async () => {
      await applied({ tallies: [counted([], ["00-a"])] });
      expect(await tally()).toEqual({ count: -1, sample: [] });
    });

    test("counts nothing twice when a commit is sent again", async () => {
      const commit = commitOf({ tallies: [counted(["00-a"])] });
      expect([await store.commit(commit), await store.commit(commit)]).toEqual(["applied", "duplicate"]);
      expect(await tally()).toEqual({ count: 1, sample: ["00-a"] });
    });

    test("counts nothing when the commit is refused", async () => {
      const refused = commitOf({ group: checkedGroup(7), tallies: [counted(["00-a"])] });
      expect(await store.commit(refused)).toBe("conflict");
      expect(await tally()).toBeNull();
    });

    test("is taken only as it was read: whoever counts in between makes the taking commit a conflict", async () => {
      const take = (expected: { count: number; sample: readonly string[] } | null) =>
        store.commit(
          commitOf({ instances: [newInstance("00-summary")], tallies: [{ kind: "take", key: KEY, expected }] }),
        );
      await applied({ tallies: [counted(["00-a"])] });
      for (const expected of [null, { count: 1, sample: [] }, { count: 2, sample: ["00-a"] }, { count: 0, sample: [] }])
        expect(await take(expected)).toBe("conflict");
      const read = await tally();
      await applied({ tallies: [counted(["00-b"])] });
      expect(await take(read)).toBe("conflict");
      expect((await store.load({ partition: 0, groupId: null, instanceIds: ["00-summary"] })).instances.size).toBe(0);
      expect(await take(await tally())).toBe("applied");
      expect(await tally()).toBeNull();
    });

    test.each<[string, readonly TallyWrite[]]>([
      ["a key that is empty", [{ ...counted(["00-a"]), key: "" }]],
      ["a key with a line break", [{ ...counted(["00-a"]), key: "a\nb" }]],
      ["an id with a space", [counted(["00-a b"])]],
      ["a tally that stands twice", [counted(["00-a"]), { kind: "take", key: KEY, expected: null }]],
    ])("refuses %s and writes nothing", async (_, tallies) => {
      const commit = commitOf({ instances: [newInstance("00-a")], tallies });
      await expect(store.commit(commit)).rejects.toMatchObject({ code: "BECALM_ARGUMENT_INVALID" });
      expect((await store.list({ limit: 1 })).instances).toEqual([]);
    });
  });
}

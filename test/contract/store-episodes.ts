/** What every store guarantees of the records of episodes. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Commit, Store } from "../../src/stores/store.ts";
import type { StoreWorld } from "./store-contract.ts";
import { changedInstance, commitOf, episodeOf, GROUP, groupOf, newInstance } from "./store-fixtures.ts";

export function episodeContract(name: string, makeWorld: () => Promise<StoreWorld>, partitions: number): void {
  describe(`${name}: records of episodes`, () => {
    let store: Store;

    beforeEach(async () => {
      store = (await makeWorld()).store;
      await store.open({ mode: "live", partitions });
    });

    async function records(keys: readonly string[], partition = 0): Promise<Record<string, string>> {
      const { episodes } = await store.load({ partition, groupId: null, instanceIds: [], episodeKeys: keys });
      return Object.fromEntries(episodes);
    }

    async function applied(...commits: Partial<Commit>[]): Promise<void> {
      for (const parts of commits) expect(await store.commit(commitOf(parts))).toBe("applied");
    }

    test("are written with a commit and read with a batch, only those that exist", async () => {
      await applied({
        group: groupOf(0),
        instances: [newInstance("00-a")],
        episodes: [episodeOf("ka"), episodeOf("kb")],
      });
      const request = {
        partition: 0,
        groupId: GROUP,
        instanceIds: ["00-a", "00-b"],
        episodeKeys: ["kb", "none", "ka"],
      };
      const loaded = await store.load(request);
      expect(loaded.group?.version).toBe(1);
      expect([...loaded.instances.keys()]).toEqual(["00-a"]);
      expect(Object.fromEntries(loaded.episodes)).toEqual({ ka: "episode of ka", kb: "episode of kb" });
      expect(await records([])).toEqual({});
    });

    test("belong to their partition", async () => {
      await applied({ episodes: [episodeOf("k")] });
      expect(await records(["k"], 1)).toEqual({});
      await applied({ partition: 1, episodes: [episodeOf("k", { value: "other" })] });
      expect(await records(["k"])).toEqual({ k: "episode of k" });
      expect(await records(["k"], 1)).toEqual({ k: "other" });
    });

    test("refuse a commit that expects another record, or none, and nothing of it is written", async () => {
      await applied({ episodes: [episodeOf("k")] });
      for (const expected of [null, "another", "episode of", "episode of k "]) {
        const episodes = [episodeOf("new"), episodeOf("k", { expected, value: "later" })];
        expect(await store.commit(commitOf({ instances: [newInstance("00-a")], episodes }))).toBe("conflict");
      }
      const missing = [episodeOf("missing", { expected: "there" })];
      expect(await store.commit(commitOf({ episodes: missing }))).toBe("conflict");
      expect(await records(["k", "new", "missing"])).toEqual({ k: "episode of k" });
      expect((await store.list({ limit: 10 })).instances).toEqual([]);
    });

    test("are not written by a commit that is refused for another reason", async () => {
      await applied({ instances: [newInstance("00-a")] });
      const again = commitOf({ instances: [newInstance("00-a")], episodes: [episodeOf("k")] });
      expect(await store.commit(again)).toBe("conflict");
      expect(await records(["k"])).toEqual({});
    });

    test("are seen by the commits that are in flight with them, and the first of several wins", async () => {
      const write = (value: string, expected: string | null) =>
        store.commit(commitOf({ episodes: [episodeOf("k", { value, expected })] }));
      expect(
        await Promise.all([write("1", null), write("2", null), write("3", "1"), write("4", "1"), write("5", "3")]),
      ).toEqual(["applied", "conflict", "applied", "conflict", "applied"]);
      expect(await records(["k"])).toEqual({ k: "5" });
    });

    test("are renewed all at once or not at all, also by whoever repeats it", async () => {
      await applied({ episodes: [episodeOf("a"), episodeOf("b")] });
      const renew = (...values: [string, string, string][]) =>
        store.renewEpisodes({
          partition: 0,
          writes: values.map(([key, expected, value]) => ({ key, expected, value })),
        });
      expect(await renew(["a", "episode of a", "a2"], ["b", "episode of b", "b2"])).toBe("applied");
      expect(await renew(["a", "a2", "a3"], ["b", "episode of b", "b3"])).toBe("conflict");
      expect(await renew(["a", "a2", "a3"], ["missing", "x", "y"])).toBe("conflict");
      expect(await records(["a", "b", "missing"])).toEqual({ a: "a2", b: "b2" });
      expect(await renew(["a", "episode of a", "a2"], ["b", "b2", "b3"])).toBe("applied");
      expect(await records(["a", "b"])).toEqual({ a: "a2", b: "b3" });
      expect(await renew()).toBe("applied");
    });

    test("may be as many as a commit has instances", async () => {
      const keys = Array.from({ length: 1_200 }, (_, index) => `key-${index}`);
      await applied({ episodes: keys.map((key) => episodeOf(key)) });
      expect(Object.keys(await records(keys))).toHaveLength(1_200);
      const changed = keys.map((key) => episodeOf(key, { expected: `episode of ${key}`, value: "x" }));
      await applied({ episodes: changed });
      expect(await store.commit(commitOf({ episodes: [...changed.slice(1), episodeOf("key-0")] }))).toBe("conflict");
    });

    test("go with their instance if they are still what was read, and stay if they are not", async () => {
      await applied({
        instances: [newInstance("00-a"), newInstance("00-b"), newInstance("00-c")],
        episodes: [episodeOf("a"), episodeOf("b"), episodeOf("c")],
      });
      expect(await store.remove("00-a", 1, { episode: { key: "a", value: "episode of a" } })).toBe(true);
      expect(await store.remove("00-b", 1, { episode: { key: "b", value: "another" } })).toBe(true);
      await applied({ instances: [changedInstance("00-c", 1)] });
      expect(await store.remove("00-c", 1, { episode: { key: "c", value: "episode of c" } })).toBe(false);
      expect(await records(["a", "b", "c"])).toEqual({ b: "episode of b", c: "episode of c" });
    });

    test("keep an instance while one of them is not as expected, with all that belongs to it", async () => {
      await applied(
        { instances: [newInstance("00-a")], episodes: [episodeOf("a"), episodeOf("mark")] },
        { partition: 1, instances: [newInstance("01-a")], episodes: [episodeOf("mark", { value: "other" })] },
      );
      const episode = { key: "a", value: "episode of a" };
      const removed = (id: string, key: string, expected: string | null) =>
        store.remove(id, 1, { episode, condition: { key, expected } });
      for (const expected of [null, "other", "episode of", "episode of mark "])
        expect(await removed("00-a", "mark", expected)).toBe(false);
      expect(await removed("00-a", "none", "episode of mark")).toBe(false);
      expect(await store.history("00-a")).not.toBeNull();
      expect(await records(["a", "mark"])).toEqual({ a: "episode of a", mark: "episode of mark" });
      expect(await removed("01-a", "mark", "episode of mark")).toBe(false);
      expect(await removed("00-a", "mark", "episode of mark")).toBe(true);
      expect(await removed("01-a", "none", null)).toBe(true);
      expect(await records(["a", "mark"])).toEqual({ mark: "episode of mark" });
      expect((await store.list({ limit: 9 })).instances).toEqual([]);
    });

    test.each([
      ["an empty key", [episodeOf("")]],
      ["a key with a space", [episodeOf("a b")]],
      ["a value of two lines", [episodeOf("a", { value: "1\n2" })]],
      ["an empty value", [episodeOf("a", { value: "" })]],
      ["an empty text that is expected", [episodeOf("a", { expected: "" })]],
      ["a key twice", [episodeOf("a"), episodeOf("b"), episodeOf("a")]],
    ])("are refused with %s", async (_, episodes) => {
      const wrong = { code: "BECALM_ARGUMENT_INVALID" };
      await expect(store.commit(commitOf({ episodes }))).rejects.toMatchObject(wrong);
      await expect(store.renewEpisodes({ partition: 0, writes: episodes })).rejects.toMatchObject(wrong);
    });
  });
}

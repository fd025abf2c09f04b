/**
 * What every store guarantees. Each store's own test file runs this against a fresh, empty namespace per test.
 */
import { beforeEach, describe, expect, test } from "vitest";
import type { Commit, Store, StoredInstance } from "../../src/stores/store.ts";
import { episodeContract } from "./store-episodes.ts";
import {
  changedInstance,
  checkedGroup,
  commitOf,
  effectOf,
  everythingIn,
  GROUP,
  groupOf,
  newInstance,
  timerOf,
} from "./store-fixtures.ts";
import { outboxContract } from "./store-outbox.ts";
import { processesContract } from "./store-processes.ts";
import { tallyContract } from "./store-tallies.ts";

export type StoreWorld = {
  /** Not opened yet. */
  store: Store;
  /** Resolves when at least so many ms have passed by the store's clock. */
  outlast(ms: number): Promise<void>;
};

export type StoreContractOptions = {
  /** Alerts live in these partitions; default 16. */
  partitions?: number;
};

const SHORT_MS = 30;
/** For what is asked in several calls while it still lives: a busy machine takes its time between two calls. */
const WHILE_MS = 500;
const LONG_MS = 600_000;

export function storeContract(
  name: string,
  makeWorld: () => Promise<StoreWorld>,
  options: StoreContractOptions = {},
): void {
  const partitions = options.partitions ?? 16;
  episodeContract(name, makeWorld, partitions);
  tallyContract(name, makeWorld, partitions);
  processesContract(name, makeWorld, partitions);
  outboxContract(name, makeWorld, partitions);

  describe(`${name}: the store's contract`, () => {
    let world: StoreWorld;
    let store: Store;

    beforeEach(async () => {
      world = await makeWorld();
      store = world.store;
    });

    async function applied(...commits: Partial<Commit>[]): Promise<void> {
      for (const parts of commits) expect(await store.commit(commitOf(parts))).toBe("applied");
    }

    async function refusesUnchanged(parts: Partial<Commit>, outcome: string): Promise<void> {
      const before = await everythingIn(store);
      expect(await store.commit(commitOf(parts))).toBe(outcome);
      expect(await everythingIn(store)).toEqual(before);
    }

    const load = (ids: string[], groupId: string | null = null) =>
      store.load({ partition: 0, groupId, instanceIds: ids });
    const timers = (untilMs = Infinity, limit = 100, lane: "work" | "approval" = "work") =>
      store.timers({ lane, untilMs, limit });
    const look = () => store.listEffects({ limit: 100 });
    const claim = (owner: string, leaseMs: number, limit = 100) => store.claimEffects({ owner, leaseMs, limit });
    const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => id);

    describe("what it tells of itself", () => {
      test("is the time of every clock of its own, and that no commit is lost", async () => {
        await store.open({ mode: "live", partitions });
        await store.commit(commitOf());
        const { clocks, lost } = await store.pulse();
        for (const { where, nowMs } of clocks) {
          expect(where).not.toBe("");
          expect(Number.isInteger(nowMs)).toBe(true);
        }
        expect(lost).toEqual([]);
      });

      test("is that it can be written, which leaves nothing to be found", async () => {
        await store.open({ mode: "live", partitions });
        await store.tryWrite();
        await store.tryWrite();
        expect((await store.list({ limit: 5 })).instances).toEqual([]);
        expect(await store.strayInstances()).toEqual([]);
      });

      test("is its durability profile, with a sentence, also before there is a namespace", async () => {
        const { durability, findings } = await store.describe();
        expect(["none", "async", "everysec", "always", "replicated", "unknown"]).toContain(durability);
        expect(findings.find(({ what }) => what === "durability")?.is).toContain(`${durability}: `);
      });
    });

    describe("namespace", () => {
      test("is null while it is missing, and looking does not create it", async () => {
        expect(await store.open({})).toBeNull();
        expect(await store.open({ mode: "live" })).toBeNull();
        expect(await store.open({})).toBeNull();
      });

      test("keeps its mode and number of partitions", async () => {
        expect(await store.open({ mode: "virtual", partitions })).toEqual({
          mode: "virtual",
          partitions,
          highestTimeMs: null,
          format: 3,
        });
        expect(await store.open({})).toEqual({ mode: "virtual", partitions, highestTimeMs: null, format: 3 });
        expect(await store.open({ mode: "virtual", partitions })).toEqual({
          mode: "virtual",
          partitions,
          highestTimeMs: null,
          format: 3,
        });
      });

      test("refuses another mode and another number of partitions, and stays as it is", async () => {
        await store.open({ mode: "live", partitions });
        await expect(store.open({ mode: "virtual", partitions })).rejects.toMatchObject({
          code: "BECALM_NAMESPACE_MODE",
        });
        await expect(store.open({ mode: "live", partitions: 3 })).rejects.toMatchObject({
          code: "BECALM_NAMESPACE_PARTITIONS",
        });
        expect(await store.open({})).toEqual({ mode: "live", partitions, highestTimeMs: null, format: 3 });
      });

      test.each([0, 101, 1.5, -1, Number.NaN])("refuses %s partitions", async (wrong) => {
        await expect(store.open({ mode: "live", partitions: wrong })).rejects.toMatchObject({
          code: "BECALM_ARGUMENT_INVALID",
        });
      });

      test("must be open before anything is asked of it", async () => {
        await expect(store.commit(commitOf())).rejects.toMatchObject({ code: "BECALM_STORE_FAILED" });
        await expect(timers()).rejects.toMatchObject({ code: "BECALM_STORE_FAILED" });
        await expect(store.list({ limit: 1 })).rejects.toMatchObject({ code: "BECALM_STORE_FAILED" });
      });

      test("has a format that only rises", async () => {
        await store.open({ mode: "live", partitions });
        expect(await store.raiseFormat(1)).toBe(3);
        expect(await store.open({})).toMatchObject({ format: 3 });
        expect(await store.raiseFormat(4)).toBe(4);
        expect(await store.raiseFormat(3)).toBe(4);
      });

      test("is refused, also to readers, when a newer version has raised its format", async () => {
        await store.open({ mode: "live", partitions });
        await store.raiseFormat(4);
        for (const spec of [{ mode: "live", partitions } as const, {}])
          await expect(store.open(spec)).rejects.toMatchObject({ code: "BECALM_NAMESPACE_NEWER" });
      });

      test("remembers the highest time, which never falls", async () => {
        await store.open({ mode: "virtual", partitions });
        expect(await store.advanceTime(1_700_000_000_123)).toBe(1_700_000_000_123);
        expect(await store.advanceTime(5)).toBe(1_700_000_000_123);
        expect(await store.advanceTime(1_700_000_000_124)).toBe(1_700_000_000_124);
        expect(await store.open({})).toMatchObject({ highestTimeMs: 1_700_000_000_124 });
      });
    });

    describe("commit", () => {
      beforeEach(() => store.open({ mode: "live", partitions }));

      test("creates instances with version 1 and raises the version by one with each commit", async () => {
        await applied({ instances: [newInstance("00-a"), newInstance("00-b")] });
        await applied({ instances: [changedInstance("00-a", 1)] }, { instances: [changedInstance("00-a", 2)] });
        const { instances } = await load(["00-a", "00-b", "00-none"]);
        expect([...instances.values()]).toEqual([
          { id: "00-a", version: 3, value: "changed 00-a" },
          { id: "00-b", version: 1, value: "born 00-b" },
        ]);
      });

      test("creates a group with version 1 and raises its version by one with each commit", async () => {
        expect(await load([], GROUP)).toEqual({ group: null, instances: new Map(), episodes: new Map() });
        await applied({ group: groupOf(0) }, { group: groupOf(1) });
        expect((await load([], GROUP)).group).toEqual({ version: 2, value: "group at 1" });
      });

      test("loads nothing when nothing is asked for", async () => {
        expect(await load([])).toEqual({ group: null, instances: new Map(), episodes: new Map() });
      });

      test("answers duplicate to a commit id that it has seen, and writes nothing", async () => {
        const commit = commitOf({ group: groupOf(0), instances: [newInstance("00-a")], effects: [effectOf("e1")] });
        expect(await store.commit(commit)).toBe("applied");
        const before = await everythingIn(store);
        expect(await store.commit(commit)).toBe("duplicate");
        expect(await store.commit({ ...commit, instances: [newInstance("00-b")] })).toBe("duplicate");
        expect(await everythingIn(store)).toEqual(before);
      });

      test("looks at the commit id first, then at the lease, then at versions", async () => {
        const commit = commitOf({ group: groupOf(0) });
        expect(await store.commit(commit)).toBe("applied");
        await store.lease({ groupId: GROUP, partition: 0, owner: "engine-b", ttlMs: LONG_MS });
        expect(await store.commit(commit)).toBe("duplicate");
        expect(await store.commit(commitOf({ group: groupOf(7) }))).toBe("fenced");
        expect(await store.commit(commitOf({ group: groupOf(7), owner: "engine-b" }))).toBe("conflict");
      });

      test("does not remember the id of a commit that it refused", async () => {
        const commit = commitOf({ instances: [changedInstance("00-a", 1)] });
        expect(await store.commit(commit)).toBe("conflict");
        await applied({ instances: [newInstance("00-a")] });
        expect(await store.commit(commit)).toBe("applied");
      });

      const everything: Partial<Commit> = {
        instances: [newInstance("00-new")],
        effects: [effectOf("e-new")],
        settledEffectIds: ["e-old"],
        timersArmed: [timerOf("00-new", 5)],
        timersCancelled: [timerOf("00-a", 5)],
      };
      const withMembers: Partial<Commit> = {
        ...everything,
        membersAdded: [{ set: "waiters", instanceId: "00-new", order: 9 }],
        membersRemoved: [{ set: "held", instanceId: "00-a" }],
      };

      async function seed(): Promise<void> {
        await applied({
          group: groupOf(0),
          instances: [newInstance("00-a")],
          effects: [effectOf("e-old")],
          timersArmed: [timerOf("00-a", 5)],
          membersAdded: [{ set: "held", instanceId: "00-a", order: 1 }],
        });
      }

      test.each<[string, Partial<Commit>]>([
        [
          "an instance that exists is created",
          { ...everything, instances: [newInstance("00-new"), newInstance("00-a")] },
        ],
        [
          "an instance has another version",
          { ...everything, instances: [newInstance("00-new"), changedInstance("00-a", 2)] },
        ],
        [
          "an instance is missing",
          { ...everything, instances: [newInstance("00-new"), changedInstance("00-none", 1)] },
        ],
        [
          "an instance's version only starts with the same digits",
          { ...everything, instances: [changedInstance("00-a", 11)] },
        ],
        ["a group that exists is created", { ...withMembers, group: groupOf(0) }],
        ["a group has another version", { ...withMembers, group: groupOf(2) }],
        ["a group is missing", { ...withMembers, group: groupOf(1, { id: "other" }) }],
      ])("answers conflict and writes nothing when %s", async (_, parts) => {
        await seed();
        await refusesUnchanged(parts, "conflict");
      });

      test("answers fenced and writes nothing while somebody else has the lease", async () => {
        await seed();
        expect(await store.lease({ groupId: GROUP, partition: 0, owner: "engine-b", ttlMs: LONG_MS })).toBe(true);
        await refusesUnchanged({ ...withMembers, group: groupOf(1) }, "fenced");
        await applied({ ...withMembers, group: groupOf(1), owner: "engine-b" });
      });

      test("writes all of a commit that it applies", async () => {
        await seed();
        await applied({ ...withMembers, group: groupOf(1) });
        const after = await everythingIn(store);
        expect(ids(after.instances)).toEqual(["00-new", "00-a"]);
        expect(ids(after.effects)).toEqual(["e-new"]);
        expect(after.work.map(({ owner }) => owner)).toEqual(["00-new"]);
        expect(after.groups).toEqual([{ group: { version: 2, value: "group at 1" }, waiters: ["00-new"], held: [] }]);
      });

      test("puts in before it takes out", async () => {
        await applied({
          group: groupOf(0),
          effects: [effectOf("e1")],
          settledEffectIds: ["e1"],
          timersArmed: [timerOf("00-a", 5)],
          timersCancelled: [timerOf("00-a", 5)],
          membersAdded: [{ set: "waiters", instanceId: "00-a", order: 1 }],
          membersRemoved: [{ set: "waiters", instanceId: "00-a" }],
        });
        expect(await everythingIn(store)).toMatchObject({ effects: [], work: [], groups: [{ waiters: [] }] });
      });

      test.each<[string, Partial<Commit>]>([
        ["a partition that does not exist", { partition: 99 }],
        ["an instance of another partition", { instances: [newInstance("01-a")] }],
        ["an instance id without a partition", { instances: [newInstance("a")] }],
        ["the same instance twice", { instances: [newInstance("00-new"), newInstance("00-new")] }],
        ["a commit that follows itself", { commitId: "me", afterCommitId: "me" }],
        ["a commit that follows nothing with a name", { afterCommitId: "" }],
        ["a version that is no whole number", { instances: [changedInstance("00-a", 1.5)] }],
        ["a checkpoint whose head holds a space", { instances: [newInstance("00-new", { head: "a b" })] }],
        ["a checkpoint with a line break", { instances: [newInstance("00-new", { body: "a\nb" })] }],
        [
          "members of a group that is only compared",
          { group: checkedGroup(1), membersAdded: [{ set: "held", instanceId: "00-new", order: 1 }] },
        ],
        ["a new group that is only compared", { group: checkedGroup(0) }],
        ["a history line with a line break", { instances: [newInstance("00-new", { historyLines: ["a\nb"] })] }],
        ["members without a group", { membersAdded: [{ set: "held", instanceId: "00-a", order: 1 }] }],
        [
          "members of sets that are said to be empty",
          {
            group: groupOf(1, { areSetsEmpty: true }),
            membersAdded: [{ set: "held", instanceId: "00-a", order: 1 }],
          },
        ],
        ["an effect of another partition", { effects: [effectOf("e1", { partition: 1 })] }],
        ["a timer of another partition", { timersArmed: [timerOf("01-a", 5)] }],
        ["a timer whose owner holds a space", { timersArmed: [timerOf("00-a b", 5)] }],
        ["a timer without an arm number", { timersCancelled: [timerOf("00-a", 5, { arm: Number.NaN })] }],
        ["a due time that is not a number", { timersArmed: [timerOf("00-a", Number.NaN)] }],
        ["a group that lives no time", { group: groupOf(1, { ttlMs: 0 }) }],
        ["an owner with a line break", { owner: "a\nb" }],
        ["no commit id", { commitId: "" }],
        ["effects that are claimed for no time", { effectClaimMs: 0 }],
      ])("refuses %s and writes nothing", async (_, parts) => {
        await seed();
        const before = await everythingIn(store);
        await expect(store.commit(commitOf({ ...everything, ...parts }))).rejects.toMatchObject({
          code: "BECALM_ARGUMENT_INVALID",
        });
        expect(await everythingIn(store)).toEqual(before);
      });

      test("lets exactly one of many competing commits through", async () => {
        await applied({ group: groupOf(0) });
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, () => store.commit(commitOf({ group: groupOf(1) }))),
        );
        expect(outcomes.filter((outcome) => outcome === "applied")).toHaveLength(1);
        expect(outcomes.filter((outcome) => outcome === "conflict")).toHaveLength(19);
      });

      test("refuses a commit that follows one which was not applied, whatever the versions say", async () => {
        await applied({ group: groupOf(0) });
        const lost = commitOf({ group: groupOf(0) });
        const behind = commitOf({ group: groupOf(1), afterCommitId: lost.commitId, instances: [newInstance("00-b")] });
        expect(await Promise.all([store.commit(lost), store.commit(behind)])).toEqual(["conflict", "conflict"]);
        expect((await load(["00-b"], GROUP)).group).toEqual({ version: 1, value: "group at 0" });
        expect((await load(["00-b"])).instances.size).toBe(0);
      });

      test("knows a commit in its own partition only", async () => {
        const first = commitOf({ partition: 0, instances: [newInstance("00-a")] });
        expect(await store.commit(first)).toBe("applied");
        const elsewhere = { partition: 1, instances: [newInstance("01-a")] };
        expect(await store.commit(commitOf({ ...elsewhere, afterCommitId: first.commitId }))).toBe("conflict");
        expect(await store.commit(commitOf({ ...elsewhere, commitId: first.commitId }))).toBe("applied");
      });

      test("applies a commit that follows one in flight, and one that follows it again", async () => {
        const first = commitOf({ group: groupOf(0) });
        const second = commitOf({ group: groupOf(1), afterCommitId: first.commitId });
        const third = commitOf({ group: checkedGroup(2), afterCommitId: second.commitId });
        const outcomes = await Promise.all([first, second, third].map((commit) => store.commit(commit)));
        expect(outcomes).toEqual(["applied", "applied", "applied"]);
        expect(await store.commit(commitOf({ afterCommitId: "a commit of long ago" }))).toBe("conflict");
      });

      test("applies commits that are in flight together in the order they were sent", async () => {
        await applied({ group: groupOf(0) });
        const commits = Array.from({ length: 50 }, (_, index) => commitOf({ group: groupOf(index + 1) }));
        expect(new Set(await Promise.all(commits.map((commit) => store.commit(commit))))).toEqual(new Set(["applied"]));
      });

      test("keeps what one commit takes out and a later one puts in again, when both are in flight together", async () => {
        const timer = timerOf("00-a", 7);
        await applied({ effects: [effectOf("00-a:1")], timersArmed: [timer] });
        const takes = commitOf({ settledEffectIds: ["00-a:1"], timersCancelled: [timer] });
        const puts = commitOf({ effects: [effectOf("00-a:1", { value: "again" })], timersArmed: [timer] });
        expect(await Promise.all([takes, puts].map((commit) => store.commit(commit)))).toEqual(["applied", "applied"]);
        expect(await timers(7, 10)).toEqual([timer]);
        expect(await store.claimEffects({ owner: "o", leaseMs: LONG_MS, limit: 10 })).toMatchObject([
          { value: "again" },
        ]);
      });

      test("holds 256 instances with everything that belongs to them", async () => {
        const all = Array.from({ length: 256 }, (_, index) => `00-${String(index).padStart(3, "0")}`);
        await applied({
          group: groupOf(0),
          instances: all.map((id) => newInstance(id)),
          effects: all.map((id) => effectOf(`${id}:1`)),
          timersArmed: all.map((id) => timerOf(id, 7)),
          membersAdded: all.map((instanceId, order) => ({ set: "waiters" as const, instanceId, order })),
        });
        expect((await load(all)).instances.size).toBe(256);
        expect(await timers(7, 1_000)).toHaveLength(256);
        expect(await store.claimEffects({ owner: "o", leaseMs: LONG_MS, limit: 1_000 })).toHaveLength(256);
        expect(await store.members({ groupId: GROUP, partition: 0, set: "waiters", limit: 1_000 })).toEqual(all);
      });

      test.each([
        ["Chinese", "磁盘告警：使用率 95 %"],
        ["emoji", "🔥🧯 \u{1F468}\u200D\u{1F692}"],
        ["quotes, breaks and zeros", '"\\ \r\n\t\u0000 \u2028'],
        ["a leading number and space", "12 34 56"],
        ["nothing", ""],
        ["a mebibyte", "ü".repeat(512 * 1_024)],
      ])("keeps values with %s as they are", async (_, value) => {
        const line = value.replaceAll("\n", " ");
        await applied({
          group: groupOf(0, { value }),
          instances: [newInstance("00-a", { body: line, historyLines: [line, line] })],
          effects: [effectOf("e1", { value })],
          effectClaimMs: LONG_MS,
        });
        const { group, instances } = await load(["00-a"], GROUP);
        expect(group).toEqual({ version: 1, value });
        expect(instances.get("00-a")).toEqual({ id: "00-a", version: 1, value: `born ${line}` });
        expect(await store.history("00-a")).toEqual([line, line]);
        expect(await look()).toEqual([{ id: "e1", partition: 0, value }]);
        await store.savePolicies([{ key: "磁盘@1", value }]);
        expect(await store.policies()).toEqual([{ key: "磁盘@1", value }]);
      });
    });

    describe("groups", () => {
      beforeEach(() => store.open({ mode: "live", partitions }));

      const add = (instanceId: string, order: number, set: "waiters" | "held" = "waiters") => ({
        set,
        instanceId,
        order,
      });
      const members = (set: "waiters" | "held", limit = 100, offset = 0) =>
        store.members({ groupId: GROUP, partition: 0, set, limit, offset });

      test("keep each set in the order of its numbers, and pages of it", async () => {
        await applied({
          group: groupOf(0),
          membersAdded: [add("00-c", 3), add("00-a", 20), add("00-b", 100), add("00-h", 1, "held")],
        });
        expect(await members("waiters")).toEqual(["00-c", "00-a", "00-b"]);
        expect(await members("waiters", 1)).toEqual(["00-c"]);
        expect(await members("waiters", 2, 1)).toEqual(["00-a", "00-b"]);
        expect(await members("waiters", 2, 5)).toEqual([]);
        expect(await members("held")).toEqual(["00-h"]);
      });

      test("keep the first order of an id that is added again, until it was removed", async () => {
        await applied({ group: groupOf(0), membersAdded: [add("00-a", 1), add("00-b", 2)] });
        await applied({ group: groupOf(1), membersAdded: [add("00-a", 9)] });
        expect(await members("waiters")).toEqual(["00-a", "00-b"]);
        await applied({ group: groupOf(2), membersRemoved: [{ set: "waiters", instanceId: "00-a" }] });
        await applied({ group: groupOf(3), membersAdded: [add("00-a", 9)] });
        expect(await members("waiters")).toEqual(["00-b", "00-a"]);
      });

      test("with a time-to-live go with their sets when it has passed, and a new one starts empty", async () => {
        await applied({
          group: groupOf(0, { ttlMs: SHORT_MS }),
          membersAdded: [add("00-a", 1), add("00-h", 1, "held")],
        });
        await world.outlast(SHORT_MS + 1);
        expect((await load([], GROUP)).group).toBeNull();
        expect([await members("waiters"), await members("held")]).toEqual([[], []]);
        expect(await store.commit(commitOf({ group: groupOf(1) }))).toBe("conflict");
        await applied({ group: groupOf(0), membersAdded: [add("00-b", 1)] });
        expect([await members("waiters"), await members("held")]).toEqual([["00-b"], []]);
      });

      test("stay when a later commit takes the time-to-live away", async () => {
        await applied({ group: groupOf(0, { ttlMs: LONG_MS }), membersAdded: [add("00-a", 1)] });
        // In flight together: one after the other, the time-to-live could pass in between.
        const short = store.commit(commitOf({ group: groupOf(1, { ttlMs: SHORT_MS }) }));
        const kept = store.commit(commitOf({ group: groupOf(2), membersAdded: [add("00-h", 1, "held")] }));
        expect([await short, await kept]).toEqual(["applied", "applied"]);
        await world.outlast(SHORT_MS + 1);
        expect((await load([], GROUP)).group).toMatchObject({ version: 3 });
        expect([await members("waiters"), await members("held")]).toEqual([["00-a"], ["00-h"]]);
      });

      test("that are only compared keep their version, their end and their members, and refuse what was decided on another version", async () => {
        await applied({ group: groupOf(0, { ttlMs: WHILE_MS }), membersAdded: [add("00-a", 1)] });
        await applied({ group: checkedGroup(1), instances: [newInstance("00-b")] });
        expect((await load([], GROUP)).group).toEqual({ version: 1, value: "group at 0" });
        expect(await members("waiters")).toEqual(["00-a"]);
        expect(await store.commit(commitOf({ group: checkedGroup(2) }))).toBe("conflict");
        await world.outlast(WHILE_MS + 1);
        expect((await load([], GROUP)).group).toBeNull();
        expect(await store.commit(commitOf({ group: checkedGroup(1) }))).toBe("conflict");
      });

      test("are leased to one owner, who can renew; afterwards anybody can", async () => {
        const lease = (owner: string, ttlMs: number) => store.lease({ groupId: GROUP, partition: 0, owner, ttlMs });
        expect(await lease("engine-a", LONG_MS)).toBe(true);
        expect(await lease("engine-b", LONG_MS)).toBe(false);
        expect(await lease("engine-a", SHORT_MS)).toBe(true);
        await world.outlast(SHORT_MS + 1);
        expect(await lease("engine-b", LONG_MS)).toBe(true);
        expect(await store.commit(commitOf({ group: groupOf(0) }))).toBe("fenced");
      });

      test("are free again as soon as their lease is given back, which only its owner can do", async () => {
        const request = { groupId: GROUP, partition: 0 };
        await store.lease({ ...request, owner: "engine-b", ttlMs: LONG_MS });
        await store.endLease({ ...request, owner: "engine-c" });
        expect(await store.commit(commitOf({ group: groupOf(0) }))).toBe("fenced");
        await store.endLease({ ...request, owner: "engine-b" });
        await world.outlast(SHORT_MS);
        await applied({ group: groupOf(0) });
        await store.endLease({ ...request, owner: "engine-b" });
      });

      test("are not fenced by the lease of a run, which one owner has until it has run out", async () => {
        const lease = (owner: string, ttlMs: number) => store.leaseRun({ owner, ttlMs });
        expect(await lease("engine-b", LONG_MS)).toBe(true);
        expect(await lease("engine-a", LONG_MS)).toBe(false);
        await applied({ group: groupOf(0) });
        expect(await lease("engine-b", SHORT_MS)).toBe(true);
        await world.outlast(SHORT_MS + 1);
        expect(await lease("engine-a", LONG_MS)).toBe(true);
      });

      test("are free again after a lease that nobody renewed", async () => {
        await store.lease({ groupId: GROUP, partition: 0, owner: "engine-b", ttlMs: SHORT_MS });
        await world.outlast(SHORT_MS + 1);
        await applied({ group: groupOf(0) });
      });
    });

    describe("timers", () => {
      test("gives those that are due between two times, however many there are before", async () => {
        const armed = [1, 2, 3, 4].map((dueAtMs) => timerOf(`00-${dueAtMs}`, dueAtMs, { lane: "approval" }));
        await applied({ timersArmed: armed });
        const due = (fromMs: number, untilMs: number, limit = 10) =>
          store.timers({ lane: "approval", fromMs, untilMs, limit });
        expect(await due(2, 3)).toEqual(armed.slice(1, 3));
        expect(await due(3, Infinity, 1)).toEqual([armed[2]]);
        expect(await due(5, Infinity)).toEqual([]);
        expect(await due(-Infinity, 1)).toEqual([armed[0]]);
      });

      beforeEach(() => store.open({ mode: "live", partitions }));

      const armed = async (rows: ReturnType<typeof timerOf>[]) => {
        for (const partition of new Set(rows.map((row) => row.partition))) {
          await applied({ partition, timersArmed: rows.filter((row) => row.partition === partition) });
        }
      };

      test("come by due time, owner, name and arm number over all partitions", async () => {
        const sorted = [
          timerOf("02-z", 1),
          timerOf("00-a", 5, { name: "approval" }),
          timerOf("00-a", 5, { arm: 2 }),
          timerOf("00-a", 5, { arm: 10 }),
          timerOf("00-aa", 5),
          timerOf("01-a", 5),
          timerOf("01-a", 5, { name: "wait" }),
          timerOf("02-a", 5),
          timerOf("00-a", 1_700_000_000_000),
        ];
        await armed(sorted.toReversed());
        expect(await timers()).toEqual(sorted);
        for (let limit = 0; limit <= sorted.length; limit += 1)
          expect(await timers(Infinity, limit)).toEqual(sorted.slice(0, limit));
        expect(await timers(5)).toEqual(sorted.slice(0, 8));
        expect(await timers(4)).toEqual(sorted.slice(0, 1));
      });

      test("of owners in any script come in the order of code points, also where a limit cuts a tie", async () => {
        const owners = ["A!", "a", "é", "磁盘", "Ｆ", "😀"];
        await applied({ timersArmed: owners.toReversed().map((owner) => timerOf(owner, 5, { partition: 0 })) });
        for (let limit = 1; limit <= owners.length; limit += 1) {
          expect((await timers(5, limit)).map(({ owner }) => owner)).toEqual(owners.slice(0, limit));
        }
      });

      test("armed many times come by number, not by text, also where a limit cuts a tie", async () => {
        const arms = [1, 2, 9, 10, 11, 100];
        await applied({ timersArmed: arms.toReversed().map((arm) => timerOf("00-a", 5, { arm })) });
        for (let limit = 1; limit <= arms.length; limit += 1) {
          expect((await timers(5, limit)).map(({ arm }) => arm)).toEqual(arms.slice(0, limit));
        }
      });

      test("may be thousands in one commit", async () => {
        const many = Array.from({ length: 6_000 }, (_, index) =>
          timerOf(`00-${String(index).padStart(4, "0")}`, index),
        );
        await applied({ timersArmed: many });
        expect(await timers(Infinity, 10_000)).toEqual(many);
        await applied({ timersCancelled: many });
        expect(await timers()).toEqual([]);
      });

      test("of the two lanes do not mix", async () => {
        await armed([timerOf("00-a", 5), timerOf("00-a", 6, { lane: "approval" })]);
        expect(await timers()).toEqual([timerOf("00-a", 5)]);
        expect(await timers(Infinity, 10, "approval")).toEqual([timerOf("00-a", 6, { lane: "approval" })]);
        await applied({ timersCancelled: [timerOf("00-a", 5)] });
        expect(await timers(Infinity, 10, "approval")).toHaveLength(1);
      });

      test("stay until they are cancelled, one arm at a time, and a missing one is not an error", async () => {
        await armed([timerOf("00-a", 5), timerOf("00-a", 6, { arm: 2 })]);
        expect(await timers()).toEqual(await timers());
        await applied({ timersCancelled: [timerOf("00-a", 5), timerOf("00-b", 5)] });
        expect(await timers()).toEqual([timerOf("00-a", 6, { arm: 2 })]);
      });

      test("move when the same one is armed again", async () => {
        await armed([timerOf("00-a", 5)]);
        await armed([timerOf("00-a", 9)]);
        expect(await timers()).toEqual([timerOf("00-a", 9)]);
      });
    });

    describe("what has waited longest in the outbox", () => {
      test("is taken first: what a claim ran out of before what was committed later and claimed by nobody", async () => {
        await store.open({ mode: "live", partitions });
        await applied({ effects: [effectOf("old")], effectClaimMs: SHORT_MS });
        await world.outlast(SHORT_MS + 5);
        await applied({ effects: [effectOf("a-new")] });
        await world.outlast(5);
        await applied({ effects: [effectOf("a-newer")] });
        for (const id of ["old", "a-new", "a-newer"]) expect(ids(await claim("engine-b", LONG_MS, 1))).toEqual([id]);
      });
    });

    describe("timers of one partition", () => {
      test("are those of all, without the others", async () => {
        await store.open({ mode: "live", partitions });
        const far = `0${Math.min(partitions - 1, 3)}`;
        await applied({ timersArmed: [timerOf("00-a", 5), timerOf("00-b", 3)] });
        await applied({ partition: Number(far), timersArmed: [timerOf(`${far}-c`, 4), timerOf(`${far}-d`, 9)] });
        const of = (partition: number, limit = 5) => store.timers({ lane: "work", untilMs: 8, limit, partition });
        expect((await of(0)).map(({ owner }) => owner)).toEqual(["00-b", "00-a"]);
        expect((await of(0, 1)).map(({ owner }) => owner)).toEqual(["00-b"]);
        expect((await of(Number(far))).map(({ owner }) => owner)).toEqual([`${far}-c`]);
        await expect(of(partitions)).rejects.toMatchObject({ code: "BECALM_ARGUMENT_INVALID" });
      });
    });

    describe("what an audit asks", () => {
      beforeEach(() => store.open({ mode: "live", partitions }));

      test("when timers are due, in the order of the question; null for those that are not armed", async () => {
        const rows = [timerOf("00-a", 5), timerOf("00-a", 7, { lane: "approval" }), timerOf("00-b", 9, { arm: 12 })];
        await applied({ timersArmed: rows });
        await applied({ timersCancelled: [timerOf("00-a", 0)] });
        const asked = [timerOf("00-b", 0, { arm: 12 }), timerOf("00-a", 0), timerOf("00-a", 0, { lane: "approval" })];
        expect(await store.dueTimes([...asked, timerOf("00-b", 0)])).toEqual([9, null, 7, null]);
        expect(await store.dueTimes([])).toEqual([]);
        await expect(store.dueTimes([timerOf("00-a", 0, { partition: 99 })])).rejects.toMatchObject({
          code: "BECALM_ARGUMENT_INVALID",
        });
      });

      test("lists name every instance that a commit left, and no other one", async () => {
        const instances = Array.from({ length: 1_100 }, (_, index) =>
          newInstance(`00-${index}`, { createdAtMs: index }),
        );
        await applied({ instances });
        await applied({ instances: [changedInstance("00-7", 1)] });
        await applied({ partition: 1, instances: [newInstance("01-a")] });
        await store.remove("00-3", 1);
        expect(await store.strayInstances()).toEqual([]);
      });

      test("every effect that a commit left can be claimed", async () => {
        const effects = Array.from({ length: 1_200 }, (_, index) => effectOf(`e${index}`));
        await applied({ effects }, { effects: [effectOf("f")], effectClaimMs: LONG_MS }, { settledEffectIds: ["e7"] });
        expect(await store.unclaimedEffects(0)).toEqual([]);
        expect(await store.unclaimedEffects(1)).toEqual([]);
      });
    });

    describe("outbox", () => {
      beforeEach(() => store.open({ mode: "live", partitions }));

      test("gives an effect to one claimer at a time", async () => {
        await applied({ effects: [effectOf("e2"), effectOf("e1")] });
        const claimed = ["e1", "e2"].map((id) => ({ ...effectOf(id), deliveries: 1 }));
        expect(await claim("engine-a", LONG_MS)).toEqual(claimed);
        expect(await claim("engine-b", LONG_MS)).toEqual([]);
        expect(ids(await look())).toEqual(["e1", "e2"]);
      });

      test("gives at most as many as asked for, from every partition", async () => {
        for (const partition of [0, 1, 2]) {
          const effects = [1, 2, 3].map((number) => effectOf(`0${partition}:${number}`, { partition }));
          await applied({ partition, effects });
        }
        const taken = await claim("engine-a", LONG_MS, 4);
        expect(taken).toHaveLength(4);
        expect(ids(taken)).toEqual(ids(taken).toSorted());
        const rest = await claim("engine-b", LONG_MS);
        expect([...ids(taken), ...ids(rest)].toSorted()).toEqual(ids(await look()));
        expect(await claim("engine-c", LONG_MS)).toEqual([]);
      });

      test("gives from one partition when asked to", async () => {
        await applied({ effects: [effectOf("e1")] }, { partition: 1, effects: [effectOf("e2", { partition: 1 })] });
        const request = { owner: "engine-a", leaseMs: LONG_MS, limit: 10, partition: 1 };
        expect(ids(await store.claimEffects(request))).toEqual(["e2"]);
        expect(ids(await store.listEffects({ limit: 10, partition: 0 }))).toEqual(["e1"]);
      });

      test("keeps an effect for its committer when it was put in claimed", async () => {
        await applied({ effects: [effectOf("e1")], effectClaimMs: LONG_MS });
        expect(await claim("engine-b", LONG_MS)).toEqual([]);
        expect(await store.extendClaims({ owner: "engine-a", leaseMs: LONG_MS, effectIds: ["e1"] })).toEqual([]);
      });

      test("gives an effect to the next one when its claim has run out", async () => {
        await applied({ effects: [effectOf("e1")], effectClaimMs: SHORT_MS });
        await world.outlast(SHORT_MS + 1);
        expect(ids(await claim("engine-b", SHORT_MS))).toEqual(["e1"]);
        await world.outlast(SHORT_MS + 1);
        expect(ids(await claim("engine-a", LONG_MS))).toEqual(["e1"]);
      });

      test("prolongs what its owner holds and names what it lost", async () => {
        await applied(
          { effects: [effectOf("mine"), effectOf("lost")], effectClaimMs: SHORT_MS },
          { effects: [effectOf("free")] },
        );
        await world.outlast(SHORT_MS + 1);
        expect(ids(await claim("engine-b", LONG_MS, 1))).toEqual(["free"]);
        expect(await store.extendClaims({ owner: "engine-a", leaseMs: LONG_MS, effectIds: ["mine"] })).toEqual([]);
        expect(ids(await claim("engine-b", LONG_MS))).toEqual(["lost"]);
        const asked = { owner: "engine-a", leaseMs: LONG_MS, effectIds: ["lost", "mine", "free", "none"] };
        expect(await store.extendClaims(asked)).toEqual(["lost", "free", "none"]);
      });

      test("does not let an owner prolong what it never claimed", async () => {
        await applied({ effects: [effectOf("e1")] });
        expect(await store.extendClaims({ owner: "engine-a", leaseMs: LONG_MS, effectIds: ["e1"] })).toEqual(["e1"]);
        expect(await store.extendClaims({ owner: "engine-a", leaseMs: LONG_MS, effectIds: [] })).toEqual([]);
        expect(ids(await claim("engine-b", LONG_MS))).toEqual(["e1"]);
      });

      test("that its owner gives back is for whoever comes first, and those of others stay", async () => {
        await applied({ effects: [effectOf("mine")], effectClaimMs: LONG_MS });
        await applied({ owner: "engine-b", effects: [effectOf("other")], effectClaimMs: LONG_MS });
        await store.releaseClaims({ owner: "engine-a", effectIds: ["mine", "other", "none"] });
        await world.outlast(2);
        expect(ids(await claim("engine-c", LONG_MS))).toEqual(["mine"]);
        await store.releaseClaims({ owner: "engine-c", effectIds: [] });
        expect(ids(await look())).toEqual(["mine", "other"]);
      });

      test("refuses a claim of no time", async () => {
        const refused = { code: "BECALM_ARGUMENT_INVALID" };
        await expect(claim("engine-a", 0)).rejects.toMatchObject(refused);
        const none = { owner: "engine-a", leaseMs: 0, effectIds: ["e1"] };
        await expect(store.extendClaims(none)).rejects.toMatchObject(refused);
      });

      test("forgets an effect with the commit that settles it", async () => {
        await applied(
          { effects: [effectOf("e1"), effectOf("e2")], effectClaimMs: LONG_MS },
          { settledEffectIds: ["e1", "none"] },
        );
        expect(ids(await look())).toEqual(["e2"]);
        expect(await store.extendClaims({ owner: "engine-a", leaseMs: LONG_MS, effectIds: ["e1", "e2"] })).toEqual([
          "e1",
        ]);
      });
    });

    describe("instances", () => {
      beforeEach(() => store.open({ mode: "live", partitions }));

      async function born(...rows: [id: string, createdAtMs: number][]): Promise<void> {
        for (const [id, createdAtMs] of rows) {
          await applied({ partition: Number(id.slice(0, 2)), instances: [newInstance(id, { createdAtMs })] });
        }
      }

      test("are listed newest first, equal times by greater id, in pages that fit together", async () => {
        await born(["00-b", 5], ["01-a", 5], ["00-a", 5], ["02-x", 9], ["01-b", 5], ["00-c", 1]);
        const expected = ["02-x", "01-b", "01-a", "00-b", "00-a", "00-c"];
        for (let limit = 1; limit <= 7; limit += 1) {
          const seen: string[] = [];
          let cursor: string | null = null;
          do {
            const page = await store.list(cursor === null ? { limit } : { limit, cursor });
            expect(page.instances.length).toBeLessThanOrEqual(limit);
            seen.push(...ids(page.instances));
            cursor = page.next;
          } while (cursor !== null);
          expect(seen).toEqual(expected);
        }
      });

      test("are listed once each while newer and equally old ones arrive between pages", async () => {
        await born(["00-b", 5], ["00-d", 5], ["01-b", 5]);
        const first = await store.list({ limit: 2 });
        expect(ids(first.instances)).toEqual(["01-b", "00-d"]);
        await born(["00-z", 6], ["00-e", 5], ["00-c", 5], ["01-a", 5]);
        const second = await store.list({ limit: 10, cursor: first.next as string });
        expect(ids(second.instances)).toEqual(["00-c", "00-b"]);
        expect(second.next).toBeNull();
      });

      test("are listed from where a page ended although the instance there was removed", async () => {
        await born(["00-a", 5], ["00-b", 5], ["00-c", 5], ["00-d", 5]);
        const first = await store.list({ limit: 2 });
        expect(ids(first.instances)).toEqual(["00-d", "00-c"]);
        await store.remove("00-c", 1);
        expect(ids((await store.list({ limit: 2, cursor: first.next as string })).instances)).toEqual(["00-b", "00-a"]);
      });

      test("are listed as nothing when there is none", async () => {
        expect(await store.list({ limit: 5 })).toEqual({ instances: [], next: null });
      });

      test.each(["", "x", "5", "_00-a", "5_a"])("refuse the cursor %j", async (cursor) => {
        await expect(store.list({ limit: 5, cursor })).rejects.toMatchObject({ code: "BECALM_ARGUMENT_INVALID" });
      });

      test("keep their history in the order of commits", async () => {
        await applied({ instances: [newInstance("00-a", { historyLines: ["one", ""] })] });
        await applied({ instances: [changedInstance("00-a", 1, { historyLines: [] })] });
        await applied({ instances: [changedInstance("00-a", 2, { historyLines: ["two", "three"] })] });
        expect(await store.history("00-a")).toEqual(["one", "", "two", "three"]);
      });

      test("without a history line have an empty history, and missing ones have none", async () => {
        await applied({ instances: [newInstance("00-a", { historyLines: [] })] });
        expect(await store.history("00-a")).toEqual([]);
        for (const id of ["00-none", "99-a", "a", ""]) expect(await store.history(id)).toBeNull();
      });

      test("remember the latest time that their alert was received again", async () => {
        await born(["00-a", 1], ["01-a", 1], ["00-b", 1]);
        for (const [id, atMs] of [
          ["00-a", 7],
          ["00-a", 5],
          ["01-a", 1_700_000_000_000],
          ["00-none", 5],
          ["x", 5],
        ] as const) {
          await store.touch(id, atMs);
        }
        const touched = await store.touched(["00-a", "01-a", "00-b", "00-none", "x"]);
        expect([...touched].toSorted(([a], [b]) => (a < b ? -1 : 1))).toEqual([
          ["00-a", 7],
          ["01-a", 1_700_000_000_000],
        ]);
        expect((await store.touched([])).size).toBe(0);
      });

      test("are found under what their commits say, newest first, without those that are found elsewhere", async () => {
        const at = (id: string, createdAtMs: number, places: string[]) =>
          newInstance(id, { createdAtMs, openUnder: places });
        const far = `0${Math.min(partitions - 1, 3)}-b`;
        await applied({
          instances: [at("00-a", 3, ["Waiting"]), at("00-c", 3, ["Waiting", "silence:s1"]), at("00-d", 9, [])],
        });
        await applied({ partition: Number(far.slice(0, 2)), instances: [at(far, 20_000_000_000_000, ["Waiting"])] });
        const under = async (name: string, limit = 10, cursor?: string) =>
          store.list({ limit, under: name, ...(cursor === undefined ? {} : { cursor }) });
        expect(ids((await under("Waiting")).instances)).toEqual([far, "00-c", "00-a"]);
        expect(ids((await under("silence:s1")).instances)).toEqual(["00-c"]);
        expect(await under("Wait")).toEqual({ instances: [], next: null });
        expect(await Promise.all(["Waiting", "silence:s1", "Wait"].map((name) => store.countOpen(name)))).toEqual([
          3, 1, 0,
        ]);
        const first = await under("Waiting", 2);
        expect(ids(first.instances)).toEqual([far, "00-c"]);
        expect(await under("Waiting", 2, first.next as string)).toMatchObject({
          instances: [{ id: "00-a" }],
          next: null,
        });

        const moved = { createdAtMs: 3, wasOpenUnder: ["Waiting"], openUnder: ["Processing"] };
        await applied({ instances: [changedInstance("00-c", 1, moved)] });
        expect(ids((await under("Waiting")).instances)).toEqual([far, "00-a"]);
        expect(ids((await under("Processing")).instances)).toEqual(["00-c"]);
        expect(ids((await under("silence:s1")).instances)).toEqual(["00-c"]);
        const stays = { createdAtMs: 3, wasOpenUnder: ["Waiting"], openUnder: ["Waiting"] };
        await applied({ instances: [changedInstance("00-a", 1, stays)] });
        expect(ids((await under("Waiting")).instances)).toEqual([far, "00-a"]);
        expect(await Promise.all(["Waiting", "Processing"].map((name) => store.countOpen(name)))).toEqual([2, 1]);
        expect(await store.remove("00-a", 2)).toBe(true);
        expect(ids((await under("Waiting")).instances)).toEqual([far]);
      });

      test("are put under what they are found under afterwards, unless they have changed", async () => {
        await applied({ instances: [newInstance("00-a"), newInstance("00-b", { createdAtMs: 2_000 })] });
        const place = { createdAtMs: 1_000, openUnder: ["Waiting"] };
        expect(await store.indexOpen({ id: "00-a", version: 1, ...place })).toBe(true);
        expect(await store.indexOpen({ id: "00-a", version: 1, ...place })).toBe(true);
        expect(await store.indexOpen({ id: "00-b", version: 2, ...place })).toBe(false);
        expect(await store.indexOpen({ id: "00-none", version: 1, ...place })).toBe(false);
        expect(await store.indexOpen({ id: "00-b", version: 1, createdAtMs: 2_000, openUnder: [] })).toBe(true);
        expect(ids((await store.list({ limit: 5, under: "Waiting" })).instances)).toEqual(["00-a"]);
      });

      test.each([
        { openUnder: ["two words"] },
        { wasOpenUnder: [""] },
        { openUnder: ["Waiting"], createdAtMs: -1 },
        { openUnder: ["Waiting"], createdAtMs: 1.5 },
      ])("refuse to be found under %j", async (parts) => {
        await expect(store.commit(commitOf({ instances: [newInstance("00-a", parts)] }))).rejects.toMatchObject({
          code: "BECALM_ARGUMENT_INVALID",
        });
      });

      test("are found from the oldest on, a partition at a time", async () => {
        await born(["00-b", 5], ["00-a", 5], ["00-c", 7], ["00-d", 3], ["01-a", 1]);
        const oldest = (createdUntilMs: number, limit: number, after?: { id: string; createdAtMs: number }) =>
          store.oldest({ partition: 0, createdUntilMs, limit, ...(after === undefined ? {} : { after }) });
        expect(await oldest(6, 10)).toEqual([
          { id: "00-d", createdAtMs: 3 },
          { id: "00-a", createdAtMs: 5 },
          { id: "00-b", createdAtMs: 5 },
        ]);
        expect(ids(await oldest(9, 2))).toEqual(["00-d", "00-a"]);
        expect(ids(await oldest(9, 2, { id: "00-a", createdAtMs: 5 }))).toEqual(["00-b", "00-c"]);
        expect(ids(await oldest(9, 9, { id: "00-aa", createdAtMs: 5 }))).toEqual(["00-b", "00-c"]);
        expect(await oldest(2, 10)).toEqual([]);
      });

      test("of the expected version but with another head are not changed: they grew from something else", async () => {
        await born(["00-a", 1]);
        const [stored] = (await store.list({ limit: 1 })).instances as [StoredInstance];
        const head = stored.value.slice(0, stored.value.indexOf(" "));
        const changed = (expectedHead: string) =>
          commitOf({ instances: [changedInstance("00-a", 1, { expectedHead })] });
        expect(await store.commit(changed(`${head}x`))).toBe("conflict");
        expect(await store.commit(changed(head.slice(1)))).toBe("conflict");
        expect((await store.list({ limit: 1 })).instances).toEqual([stored]);
        expect(await store.commit(changed(head))).toBe("applied");
      });

      test("are removed with all that belongs to them, if they still have the version", async () => {
        await born(["00-a", 1], ["00-b", 2]);
        await store.touch("00-a", 5);
        const before = await everythingIn(store);
        expect(await store.remove("00-a", 2)).toBe(false);
        expect(await store.remove("00-none", 1)).toBe(false);
        expect(await store.remove("x", 1)).toBe(false);
        expect(await everythingIn(store)).toEqual(before);
        expect(await store.remove("00-a", 1)).toBe(true);
        expect(await store.remove("00-a", 1)).toBe(false);
        expect(await store.history("00-a")).toBeNull();
        expect(await everythingIn(store)).toMatchObject({ touched: [], instances: [{ id: "00-b" }] });
        await born(["00-a", 9]);
        expect(await store.history("00-a")).toEqual(["birth of 00-a"]);
        expect((await store.touched(["00-a"])).size).toBe(0);
      });

      test("are in no list when they were removed before anybody listed them", async () => {
        await born(["00-b", 2], ["00-a", 1], ["00-c", 3]);
        expect(await store.remove("00-b", 1)).toBe(true);
        expect(ids(await store.oldest({ partition: 0, createdUntilMs: 9, limit: 9 }))).toEqual(["00-a", "00-c"]);
        expect(ids((await store.list({ limit: 9 })).instances)).toEqual(["00-c", "00-a"]);
      });
    });

    describe("policies", () => {
      beforeEach(() => store.open({ mode: "live", partitions }));

      test("are written once and never changed", async () => {
        await store.savePolicies([
          { key: "b@1", value: "first" },
          { key: "a@1", value: "{}" },
        ]);
        await store.savePolicies([
          { key: "b@1", value: "second" },
          { key: "b@2", value: "new" },
        ]);
        await store.savePolicies([]);
        expect(await store.policies()).toEqual([
          { key: "a@1", value: "{}" },
          { key: "b@1", value: "first" },
          { key: "b@2", value: "new" },
        ]);
      });
    });

    describe("dimension lock", () => {
      const acquire = (slots: number, leaseMs = LONG_MS, key = GROUP) =>
        store.lock.acquire({ key, partition: 0, slots, leaseMs });

      beforeEach(() => store.open({ mode: "live", partitions }));

      test("slots of different keys that are taken and given back at once are each their own", async () => {
        const keys = Array.from({ length: 20 }, (_, index) => `key ${index}`);
        const taken = await acquire(1, LONG_MS, "key 7");
        const holds = await Promise.all(keys.map((key) => acquire(1, LONG_MS, key)));
        expect(keys.filter((_, index) => holds[index] === null)).toEqual(["key 7"]);
        await Promise.all([taken?.release(), holds[3]?.release(), holds[4]?.release()]);
        const again = await Promise.all(keys.map((key) => acquire(1, LONG_MS, key)));
        expect(keys.filter((_, index) => again[index] !== null)).toEqual(["key 3", "key 4", "key 7"]);
      });

      test("has as many holders as slots, and one more when one is released", async () => {
        const holds = [await acquire(3), await acquire(3), await acquire(3)];
        expect(holds).not.toContain(null);
        expect(await acquire(3)).toBeNull();
        expect(await acquire(1, LONG_MS, "other {key}")).not.toBeNull();
        await holds[1]?.release();
        expect(await acquire(3)).not.toBeNull();
        expect(await acquire(3)).toBeNull();
      });

      test("frees the slot of a holder that never came back", async () => {
        expect(await acquire(1, SHORT_MS)).not.toBeNull();
        await world.outlast(SHORT_MS + 1);
        expect(await acquire(1)).not.toBeNull();
      });

      test("keeps each of those that are taken at once for its own lease", async () => {
        const leases = [LONG_MS, SHORT_MS, LONG_MS];
        const takeAll = () => Promise.all(leases.map((leaseMs, index) => acquire(1, leaseMs, `key ${index}`)));
        expect(await takeAll()).not.toContain(null);
        await world.outlast(SHORT_MS + 1);
        expect((await takeAll()).map((hold) => hold !== null)).toEqual([false, true, false]);
      });

      test("does not let a late release free the slot of the next holder", async () => {
        const late = await acquire(1, SHORT_MS);
        await world.outlast(SHORT_MS + 1);
        expect(await acquire(1)).not.toBeNull();
        await late?.release();
        await late?.release();
        expect(await acquire(1)).toBeNull();
      });

      test("gives no more slots than there are to many that come at once", async () => {
        const holds = await Promise.all(Array.from({ length: 12 }, () => acquire(4)));
        const held = holds.filter((hold) => hold !== null);
        expect(held.length).toBeLessThanOrEqual(4);
        expect(held.length).toBeGreaterThan(0);
      });
    });
  });
}

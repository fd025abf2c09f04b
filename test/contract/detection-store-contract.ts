/** What every detection store guarantees. Each store's own test file runs this against a fresh, empty stream per test. */
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import type { KeyConfig } from "../../src/detection/core/checkpoint-keys.ts";
import type { DetectionCommit, DetectionStore, SeriesLevel } from "../../src/detection/detection-store.ts";

export type DetectionStoreWorld = {
  store: DetectionStore;
  /** A second store object over the same stream; null: there is none such. */
  again: () => DetectionStore | null;
  /** Resolves when at least so many ms have passed by the store's clock. */
  outlast(ms: number): Promise<void>;
};

const SHORT_MS = 40;
const LEVEL: SeriesLevel = { strategyId: "cpu", itemId: 1, dimensionsMd5: "aa", level: "critical" };
const INVALID = { code: "BECALM_ARGUMENT_INVALID" };

let commitCount = 0;

function commitOf(parts: Partial<DetectionCommit>): DetectionCommit {
  commitCount += 1;
  return {
    commitId: `commit-${commitCount}`,
    expectedVersion: 0,
    atMs: 1_000,
    piecesPut: [],
    piecesRemoved: [],
    alerts: [],
    auditEvents: [],
    groups: [],
    checkpoints: [],
    checkResults: [],
    ...parts,
  };
}

const group = (newestTime: number | null, rest: Partial<DetectionCommit["groups"][number]> = {}) => ({
  key: "g1",
  newestTime,
  seenAdded: [],
  seenForgottenBefore: null,
  seenTtlMs: 60_000,
  ...rest,
});

const texts = (rows: readonly { seq: number; value: string }[]) => rows.map(({ seq, value }) => `${seq} ${value}`);
const sorted = (map: ReadonlyMap<string, string>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1));

export function detectionStoreContract(name: string, makeWorld: (keys?: KeyConfig) => DetectionStoreWorld): void {
  describe(`${name}: the detection store's contract`, () => {
    let store: DetectionStore;
    beforeEach(() => {
      store = makeWorld().store;
    });

    const applied = async (parts: Partial<DetectionCommit>, on = store) => {
      const { version } = await on.load([]);
      expect(await on.commit(commitOf({ expectedVersion: version, ...parts }))).toBe("applied");
    };

    const everything = async () => ({
      loaded: await store.load(["g1"]),
      alerts: await store.alerts({ fromSeq: 1, limit: 100 }),
      audit: await store.auditEvents({ fromSeq: 1, limit: 100 }),
      checkpoints: [await store.getCheckpoint(LEVEL), await store.groupCheckpoint("g1"), await store.lastRunAtMs("g1")],
      results: await store.checkResults(LEVEL),
    });

    const full = (): Partial<DetectionCommit> => ({
      piecesPut: [["p", "1"]],
      alerts: ["x"],
      auditEvents: ["y"],
      groups: [group(500, { seenAdded: [[500, "aa.500"]] })],
      checkpoints: [{ ...LEVEL, time: 490 }],
      checkResults: [{ of: LEVEL, rows: [{ time: 490, text: "1|normal" }], keepCount: 5 }],
    });

    describe("a commit", () => {
      test("of an empty stream starts from version 0 and leaves everything in one step", async () => {
        expect((await store.load(["g1"])).version).toBe(0);
        await applied(full());
        const { loaded, alerts, audit, checkpoints, results } = await everything();
        expect({ ...loaded, pieces: sorted(loaded.pieces), seen: [...loaded.seen] }).toEqual({
          version: 1,
          alertCount: 1,
          pieces: [["p", "1"]],
          seen: [["g1", [[500, "aa.500"]]]],
        });
        expect([texts(alerts), texts(audit)]).toEqual([["1 x"], ["1 y"]]);
        expect(checkpoints).toEqual([490, 500, 1_000]);
        expect(results).toEqual([{ time: 490, text: "1|normal" }]);
      });

      test.each([0, 2, 5])(
        "that expects version %i of a stream at 1 is a conflict and changes nothing",
        async (version) => {
          await applied(full());
          const before = await everything();
          const late = commitOf({ ...full(), alerts: ["late"], expectedVersion: version });
          expect(await store.commit(late)).toBe("conflict");
          expect(await everything()).toEqual(before);
        },
      );

      test("that is sent again is a duplicate and changes nothing; after another one it is a conflict", async () => {
        const commit = commitOf(full());
        expect(await store.commit(commit)).toBe("applied");
        const before = await everything();
        expect(await store.commit(commit)).toBe("duplicate");
        expect(await everything()).toEqual(before);
        await applied({});
        expect(await store.commit(commit)).toBe("conflict");
      });

      test("puts, replaces and removes pieces, however many", async () => {
        const many = Array.from({ length: 1_203 }, (_, index): [string, string] => [`n${index}`, `v ${index}\n"`]);
        await applied({ piecesPut: many });
        await applied({ piecesPut: [["n0", "new"]], piecesRemoved: many.slice(2).map(([name]) => name) });
        expect(sorted((await store.load([])).pieces)).toEqual([
          ["n0", "new"],
          ["n1", 'v 1\n"'],
        ]);
      });

      test.each([
        ["an empty id", { commitId: "" }],
        ["a version below 0", { expectedVersion: -1 }],
        ["a piece twice", { piecesPut: [["a", "1"]], piecesRemoved: ["a"] }],
        ["a group twice", { groups: [group(1), group(2)] }],
        ["a time that is none", { checkpoints: [{ ...LEVEL, time: Number.NaN }] }],
        [
          "a level twice",
          {
            checkpoints: [
              { ...LEVEL, time: 1 },
              { ...LEVEL, time: 2 },
            ],
          },
        ],
        ["a life of nothing", { groups: [group(1, { seenTtlMs: 0 })] }],
        ["no result to keep", { checkResults: [{ of: LEVEL, rows: [], keepCount: 0 }] }],
        ["a level without a name", { ...full(), checkpoints: [{ ...LEVEL, level: "", time: 1 }] }],
      ] as [string, Partial<DetectionCommit>][])(
        "with %s is refused before anything is written",
        async (_what, parts) => {
          await expect(store.commit(commitOf({ piecesPut: [["z", "1"]], ...parts }))).rejects.toMatchObject(INVALID);
          expect((await store.load([])).version).toBe(0);
          expect((await store.load([])).pieces.size).toBe(0);
        },
      );

      test("is won by exactly one of many that expect the same version", async () => {
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, (_, index) => store.commit(commitOf({ alerts: [`a${index}`] }))),
        );
        expect(outcomes.filter((outcome) => outcome === "applied")).toHaveLength(1);
        expect((await store.load([])).alertCount).toBe(1);
      });

      test("leaves arrays that it was given free to change", async () => {
        const piecesPut: [string, string][] = [["a", "1"]];
        await applied({ piecesPut });
        piecesPut[0] = ["b", "2"];
        expect(sorted((await store.load([])).pieces)).toEqual([["a", "1"]]);
      });
    });

    describe("alerts and audit events", () => {
      test("are numbered from 1 without a gap over all commits, and read in pages", async () => {
        await applied({ alerts: ["a", "b"], auditEvents: ["m"] });
        await applied({ alerts: [] });
        await applied({ alerts: ["c"], auditEvents: ["n"] });
        expect(texts(await store.alerts({ fromSeq: 1, limit: 2 }))).toEqual(["1 a", "2 b"]);
        expect(texts(await store.alerts({ fromSeq: 3, limit: 10 }))).toEqual(["3 c"]);
        expect(await store.alerts({ fromSeq: 4, limit: 10 })).toEqual([]);
        expect(await store.alerts({ fromSeq: 1, limit: 0 })).toEqual([]);
        expect(texts(await store.auditEvents({ fromSeq: 2, limit: 1 }))).toEqual(["2 n"]);
        await expect(store.alerts({ fromSeq: 0, limit: 1 })).rejects.toMatchObject(INVALID);
      });
    });

    describe("checkpoints", () => {
      test("of a level are null until they are set", async () => {
        expect(await store.getCheckpoint(LEVEL)).toBeNull();
        expect(await store.setCheckpoint(LEVEL, 100)).toBe(100);
        expect(await store.getCheckpoint(LEVEL)).toBe(100);
        expect(await store.getCheckpoint({ ...LEVEL, level: "warning" })).toBeNull();
        expect(await store.getCheckpoint({ ...LEVEL, dimensionsMd5: "bb" })).toBeNull();
        await expect(store.setCheckpoint(LEVEL, Number.POSITIVE_INFINITY)).rejects.toMatchObject(INVALID);
      });

      test("never move backwards, whoever writes them in whatever order", async () => {
        const write = fc.record({
          time: fc.integer({ min: 0, max: 40 }),
          byCommit: fc.boolean(),
          strategy: fc.constantFrom("s1", "s2"),
        });
        await fc.assert(
          fc.asyncProperty(fc.array(write, { maxLength: 12 }), async (writes) => {
            const own = makeWorld().store;
            const highest = new Map<string, number>();
            let highestRecord: number | null = null;
            for (const { time, byCommit, strategy } of writes) {
              const of = { ...LEVEL, strategyId: strategy };
              const standing = Math.max(highest.get(strategy) ?? 0, time);
              highest.set(strategy, standing);
              if (byCommit) {
                await applied({ groups: [group(time)], checkpoints: [{ ...of, time }] }, own);
                highestRecord = Math.max(highestRecord ?? 0, time);
              } else expect(await own.setCheckpoint(of, time)).toBe(standing);
              expect(await own.getCheckpoint(of)).toBe(standing);
              expect(await own.groupCheckpoint("g1")).toBe(highestRecord);
            }
          }),
          { numRuns: 25 },
        );
      });

      test("of a commit that is refused do not move", async () => {
        await applied({ groups: [group(10)], checkpoints: [{ ...LEVEL, time: 10 }] });
        const ahead = { expectedVersion: 7, groups: [group(99)], checkpoints: [{ ...LEVEL, time: 99 }] };
        expect(await store.commit(commitOf(ahead))).toBe("conflict");
        expect([await store.getCheckpoint(LEVEL), await store.groupCheckpoint("g1")]).toEqual([10, 10]);
      });

      test("of a great many levels are all kept", async () => {
        const many = Array.from({ length: 701 }, (_, index) => ({ ...LEVEL, dimensionsMd5: `m${index}`, time: index }));
        await applied({ checkpoints: many });
        await applied({ checkpoints: many.map((one) => ({ ...one, time: 350 })) });
        expect(await store.getCheckpoint({ ...LEVEL, dimensionsMd5: "m5" })).toBe(350);
        expect(await store.getCheckpoint({ ...LEVEL, dimensionsMd5: "m700" })).toBe(700);
      });
    });

    describe("record ids", () => {
      test("are kept by group and forgotten by data time, within one commit in that order", async () => {
        await applied({
          groups: [
            group(30, {
              seenAdded: [
                [10, "a.10"],
                [20, "a.20"],
              ],
            }),
            { ...group(5), key: "g2" },
          ],
        });
        await applied({
          groups: [
            group(31, {
              seenAdded: [
                [19, "b.19"],
                [20, "b.20"],
              ],
              seenForgottenBefore: 20,
            }),
          ],
        });
        const { seen } = await store.load(["g1", "g2", "g3"]);
        expect([...(seen.get("g1") ?? [])].sort(([, a], [, b]) => (a < b ? -1 : 1))).toEqual([
          [20, "a.20"],
          [20, "b.20"],
        ]);
        expect([seen.get("g2"), seen.get("g3")]).toEqual([[], []]);
      });
    });

    describe("check results", () => {
      test("are kept in the order of data time, only the newest ones, each once", async () => {
        const rows = (...times: number[]) => times.map((time) => ({ time, text: `${time % 2}|normal` }));
        await applied({ checkResults: [{ of: LEVEL, rows: rows(1, 2, 3), keepCount: 4 }] });
        await applied({ checkResults: [{ of: LEVEL, rows: rows(3, 4, 5), keepCount: 4 }] });
        expect(await store.checkResults(LEVEL)).toEqual(rows(2, 3, 4, 5));
        expect(await store.checkResults({ ...LEVEL, level: "other" })).toEqual([]);
      });
    });

    test("keys are gone when their life has run out, and the stream itself is not", async () => {
      const world = makeWorld({ ttlMs: SHORT_MS });
      await applied({ ...full(), groups: [group(500, { seenAdded: [[500, "a"]], seenTtlMs: SHORT_MS })] }, world.store);
      await world.outlast(SHORT_MS + 5);
      expect([await world.store.getCheckpoint(LEVEL), await world.store.groupCheckpoint("g1")]).toEqual([null, null]);
      expect([await world.store.lastRunAtMs("g1"), await world.store.checkResults(LEVEL)]).toEqual([null, []]);
      const { version, seen, pieces, alertCount } = await world.store.load(["g1"]);
      expect({ version, seen: seen.get("g1"), pieces: [...pieces], alertCount }).toEqual({
        version: 1,
        seen: [],
        pieces: [["p", "1"]],
        alertCount: 1,
      });
    });

    test("another store object over the same stream sees the same", async () => {
      const world = makeWorld();
      const other = world.again();
      if (other === null) return;
      await applied({ alerts: ["x"] }, world.store);
      expect(texts(await other.alerts({ fromSeq: 1, limit: 9 }))).toEqual(["1 x"]);
      await applied({ alerts: ["y"] }, other);
      expect((await world.store.load([])).version).toBe(2);
    });
  });
}

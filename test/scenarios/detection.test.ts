/** Detection on a store: restarts, failures and competitors change nothing of what is stored. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { STRATEGY_ITEM_ID } from "../../src/detection/core/strategy.ts";
import { groupStrategies } from "../../src/detection/core/strategy-group.ts";
import { BATCH_ROWS, Detection } from "../../src/detection/detection.ts";
import type { DetectionStore } from "../../src/detection/detection-store.ts";
import { createDetector } from "../../src/detector.ts";
import { csvReader } from "../../src/formats/csv.ts";
import type { RecordRow } from "../../src/formats/record-row.ts";
import { loadStrategies } from "../../src/formats/strategy-file.ts";
import { BecalmError } from "../../src/model/errors.ts";
import { memoryDetectionStore } from "../../src/stores/memory/memory-detection-store.ts";
import { metricCsv, STRATEGIES, seededRandom } from "../support/metric-rows.ts";

const strategies = loadStrategies(STRATEGIES, { file: "strategies.yaml" });
const groupKeys = groupStrategies(strategies).map(({ key }) => key);
const rows = rowsOf(metricCsv({ count: 6 * BATCH_ROWS + 700, hosts: 20, seed: 1 }));
let commitCount = 0;

function rowsOf(csv: string): RecordRow[] {
  const reader = csvReader({ file: "rows.csv" });
  return [...reader.feed(csv), ...reader.end()];
}

function detectionOn(store: DetectionStore, random = () => 0.5): Detection {
  const commitId = () => {
    commitCount += 1;
    return `c${commitCount}`;
  };
  // Giving way takes a turn of the event loop here, not time.
  const pause = () => new Promise<void>((resolve) => setImmediate(resolve));
  return new Detection({ store, now: () => 1_000, commitId, pause, random }, strategies);
}

async function runOn(store: DetectionStore, batches: readonly (readonly RecordRow[])[] = [rows]): Promise<Detection> {
  const detection = detectionOn(store);
  await detection.load();
  await detection.take("rows.csv", batches);
  await detection.flush("rows.csv");
  return detection;
}

/** All that lasts, but for the version: how often somebody committed is nobody's business. */
async function lasting(store: DetectionStore) {
  const { pieces, seen } = await store.load(groupKeys);
  const { alerts, audit } = {
    alerts: await store.alerts({ fromSeq: 1, limit: 100_000 }),
    audit: await store.auditEvents({ fromSeq: 1, limit: 100_000 }),
  };
  const ids = groupKeys.map((key) =>
    (seen.get(key) ?? []).map(([time, id]) => `${time} ${id}`).toSorted((a, b) => (a < b ? -1 : 1)),
  );
  return {
    pieces: new Map([...pieces].sort(([a], [b]) => (a < b ? -1 : 1))),
    ids,
    alerts,
    audit: audit.map(({ value }) => value),
  };
}

const steady = memoryDetectionStore();
const undisturbed = runOn(steady).then(() => lasting(steady));

/** A store whose process dies now and then: before a commit, or after it and before the answer. */
function failing(store: DetectionStore, random: () => number): DetectionStore {
  return {
    ...bound(store),
    commit: async (commit) => {
      const chance = random();
      if (chance < 0.25) throw new BecalmError("BECALM_STORE_UNAVAILABLE", "died before");
      const outcome = await store.commit(commit);
      if (chance > 0.75) throw new BecalmError("BECALM_STORE_UNAVAILABLE", "died after");
      return outcome;
    },
  };
}

function bound(store: DetectionStore): DetectionStore {
  return {
    load: (keys) => store.load(keys),
    commit: (commit) => store.commit(commit),
    alerts: (page) => store.alerts(page),
    auditEvents: (page) => store.auditEvents(page),
    getCheckpoint: (of) => store.getCheckpoint(of),
    setCheckpoint: (of, time) => store.setCheckpoint(of, time),
    groupCheckpoint: (key) => store.groupCheckpoint(key),
    lastRunAtMs: (key) => store.lastRunAtMs(key),
    checkResults: (of) => store.checkResults(of),
    close: () => store.close(),
    [Symbol.asyncDispose]: () => store.close(),
  };
}

describe("detection on a store", () => {
  test("has something to lose: hundreds of alerts of all kinds, duplicates, late and rejected rows", async () => {
    const { alerts, pieces } = await undisturbed;
    const reasons = new Set(alerts.map(({ value }) => (JSON.parse(value) as { reason: string }).reason));
    expect([...reasons].sort()).toEqual(["data_returned", "no_data", "recovered", "resent", "superseded", "triggered"]);
    expect(alerts.length).toBeGreaterThan(300);
    const { counts } = JSON.parse(pieces.get("source rows.csv") as string) as { counts: Record<string, number> };
    for (const name of ["rejected", "duplicates", "late"]) expect(counts[name]).toBeGreaterThanOrEqual(5);
  });

  test("that dies at any commit, before it or before its answer, leaves what an undisturbed one leaves", async () => {
    for (let seed = 1; seed <= 12; seed += 1) {
      const store = memoryDetectionStore();
      const random = seededRandom(seed);
      for (let isDone = false; !isDone; ) {
        isDone = await runOn(failing(store, random)).then(
          () => true,
          () => false,
        );
      }
      expect(await lasting(store)).toEqual(await undisturbed);
    }
  });

  test("of two processes at once leaves what one leaves", async () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const store = memoryDetectionStore();
      const random = seededRandom(seed);
      const yielding: DetectionStore = {
        ...bound(store),
        commit: async (commit) => {
          for (let turns = Math.floor(random() * 4); turns > 0; turns -= 1) await new Promise(setImmediate);
          return store.commit(commit);
        },
      };
      await Promise.all([runOn(yielding), runOn(yielding), runOn(yielding)]);
      expect(await lasting(store)).toEqual(await undisturbed);
    }
  });

  test("gives the same alerts in the same order however rows come in pieces, with or without waiting between", async () => {
    const { alerts } = await undisturbed;
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: rows.length }), { maxLength: 25 }), async (cuts) => {
        const store = memoryDetectionStore();
        const at = [0, ...cuts.sort((a, b) => a - b), rows.length];
        // Cutting at the same place twice gives the empty list: nothing more is there for now.
        const pieces = at.slice(1).map((end, index) => rows.slice(at[index], end));
        await runOn(
          store,
          pieces.flatMap((piece) => [piece, []]),
        );
        expect(await store.alerts({ fromSeq: 1, limit: 100_000 })).toEqual(alerts);
      }),
      { numRuns: 12 },
    );
  });

  test("takes nothing twice: a second run of a finished source commits nothing", async () => {
    const store = memoryDetectionStore();
    await runOn(store);
    const before = await store.load([]);
    await runOn(store);
    expect(await store.load([])).toEqual(before);
  });

  test("stores what was reported once: a second run, which has nothing to add, commits nothing", async () => {
    const store = memoryDetectionStore();
    const told = async (): Promise<number> => {
      const detection = await runOn(store);
      detection.told(detection.alertCount);
      await detection.storeTold("rows.csv");
      return (await store.load([])).version;
    };
    const first = await told();
    expect(await told()).toBe(first);
  });

  test("stores what was reported once when two processes want to: the one that comes second commits nothing", async () => {
    const store = memoryDetectionStore();
    const both = [await runOn(store), await runOn(store)];
    const { version } = await store.load([]);
    for (const detection of both) {
      detection.told(detection.alertCount);
      await detection.storeTold("rows.csv");
    }
    expect((await store.load([])).version).toBe(version + 1);
  });

  test("detects nothing twice after the record ids have run out", async () => {
    let nowMs = 0;
    const store = memoryDetectionStore({ now: () => nowMs });
    for (let from = 0; from < rows.length; from += 900) {
      const detection = detectionOn(store);
      await detection.load();
      await detection.take("rows.csv", [rows.slice(0, from + 900)]);
      // Longer than any key lives.
      nowMs += 30 * 86_400_000;
    }
    await runOn(store);
    const { alerts } = await undisturbed;
    expect(await store.alerts({ fromSeq: 1, limit: 100_000 })).toEqual(alerts);
  });

  test("knows a point that waits by itself: it is no second one when the record ids have run out", async () => {
    let nowMs = 0;
    const store = memoryDetectionStore({ now: () => nowMs });
    const last = { line: 2, record: { time: 1_000, host: "h", metric: "cpu", value: 99 } };
    const take = async (given: readonly RecordRow[]) => {
      const detection = detectionOn(store);
      await detection.load();
      await detection.take("s", [given]);
    };
    await take([last]);
    nowMs += 30 * 86_400_000;
    expect((await store.load(groupKeys)).seen.get(groupKeys[0] as string)).toEqual([]);
    await take([last, last]);
    const { pieces } = await store.load([]);
    expect(JSON.parse(pieces.get("source s") as string)).toMatchObject({
      rows: 2,
      counts: { accepted: 1, duplicates: 1 },
    });
  });

  test("refuses another source under a known name", async () => {
    const store = memoryDetectionStore();
    await runOn(store);
    const other = rowsOf(metricCsv({ count: 10, hosts: 2, seed: 2 }));
    await expect(runOn(store, [other])).rejects.toMatchObject({ code: "BECALM_CONFLICT" });
  });

  test("refuses state that it cannot read, and writes nothing over it", async () => {
    for (const [name, value, code] of [
      ["format", "3", "BECALM_CHECKPOINT_NEWER"],
      ["head x", "{", "BECALM_CHECKPOINT_INVALID"],
      ["source x", "7", "BECALM_CHECKPOINT_INVALID"],
    ] as const) {
      const store = memoryDetectionStore();
      const nothing = { piecesRemoved: [], alerts: [], auditEvents: [], groups: [], checkpoints: [], checkResults: [] };
      await store.commit({ commitId: "x", expectedVersion: 0, atMs: 0, piecesPut: [[name, value]], ...nothing });
      await expect(runOn(store)).rejects.toMatchObject({ code });
      expect((await store.load([])).version).toBe(1);
    }
  });
});

describe("checkpoints of detection", () => {
  test("stand at what was committed: never before it, never behind it", async () => {
    const store = memoryDetectionStore();
    const highest = new Map<string, number>();
    const watching: DetectionStore = {
      ...bound(store),
      commit: async (commit) => {
        for (const of of commit.checkpoints) expect((await store.getCheckpoint(of)) ?? 0).toBeLessThanOrEqual(of.time);
        const outcome = await store.commit(commit);
        for (const { time, ...of } of commit.checkpoints) {
          expect(await store.getCheckpoint(of)).toBe(time);
          expect(time).toBeGreaterThanOrEqual(highest.get(JSON.stringify(of)) ?? 0);
          highest.set(JSON.stringify(of), time);
          expect((await store.checkResults(of)).at(-1)?.time).toBe(time);
        }
        return outcome;
      },
    };
    const { groups } = await runOn(watching);
    expect(highest.size).toBe(20 * 3);
    for (const { key } of groups) {
      expect(await store.groupCheckpoint(key)).toBeGreaterThanOrEqual(Math.max(...highest.values()) - 30);
      expect(await store.lastRunAtMs(key)).toBe(1_000);
    }
  });
});

describe("createDetector", () => {
  const hot = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ time: 1_000 + index * 10, host: "h", metric: "cpu", value: 99 }));

  test("takes records of a program, numbers the alerts, and goes on in a source that it knows", async () => {
    const store = memoryDetectionStore();
    const first = createDetector({ strategies, store });
    expect(await first.take(hot(2), { source: "s" })).toEqual({
      alerts: [],
      rejected: [],
      withoutValue: 0,
      unmatched: 0,
      late: 0,
    });
    const second = createDetector({ strategies, store });
    const { alerts, rejected } = await second.take([...hot(5), null, 7, { time: "x", metric: "cpu" }], {
      source: "s",
      flush: true,
    });
    expect(alerts.map(({ seq, severity, alert }) => [seq, severity, alert.status])).toEqual([
      [1, "warning", "firing"],
      [2, "critical", "firing"],
      [3, "warning", "resolved"],
    ]);
    expect(rejected.map(({ line, reason }) => [line, reason])).toEqual([
      [6, "record_not_an_object"],
      [7, "record_not_an_object"],
      [8, "time_not_a_number"],
    ]);
    expect(await first.alerts({ fromSeq: 2, limit: 5 })).toEqual(alerts.slice(1));
    const level = {
      strategyId: "cpu",
      itemId: STRATEGY_ITEM_ID,
      dimensionsMd5: alerts[0]?.dimensionsMd5 as string,
      level: "critical",
    };
    expect(await store.getCheckpoint(level)).toBe(1_040);
  });

  test("refuses what a program gives that is no data, and reads the next record", async () => {
    const detector = createDetector({ strategies });
    const [one, ...more] = hot(5);
    const odd = [10n, { id: 1n }, new Date(0)].map((host) => ({ ...one, host }));
    const { alerts, rejected } = await detector.take([{ ...one, row: 1n }, ...odd, ...more], { source: "s" });
    expect(rejected.map(({ line, reason }) => [line, reason])).toEqual([
      [2, "dimension_not_json"],
      [3, "dimension_not_json"],
      [4, "dimension_not_json"],
    ]);
    expect(alerts.map(({ seq, reason }) => [seq, reason])).toEqual([
      [1, "triggered"],
      [2, "triggered"],
      [3, "superseded"],
    ]);
  });

  test("does calls one after the other, and goes on after one that failed", async () => {
    const detector = createDetector({ strategies });
    const failing = (function* () {
      yield* hot(1);
      throw new Error("the source broke");
    })();
    const calls = [detector.take(failing, { source: "a" }), detector.take(hot(9), { source: "b", flush: true })];
    await expect(calls[0]).rejects.toThrow("the source broke");
    expect((await calls[1])?.alerts[0]).toMatchObject({ seq: 1, reason: "triggered" });
  });

  test("refuses strategies with mistakes", () => {
    expect(() => createDetector({ strategies: { strategies: [{ name: "x" }] } })).toThrow(/interval/);
  });
});

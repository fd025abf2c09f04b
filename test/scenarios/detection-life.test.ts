/** What lasts of a detection, and for how long: streams of an earlier format, retention, the clock of a silent input, labels that change. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { DetectedAlert } from "../../src/detection/core/detected-alert.ts";
import { Detection, type DetectionWorld } from "../../src/detection/detection.ts";
import type { DetectionStore } from "../../src/detection/detection-store.ts";
import { createDetector } from "../../src/detector.ts";
import { csvReader } from "../../src/formats/csv.ts";
import type { RecordRow } from "../../src/formats/record-row.ts";
import { loadStrategies } from "../../src/formats/strategy-file.ts";
import { memoryDetectionStore } from "../../src/stores/memory/memory-detection-store.ts";

const START = 1_795_417_160;

const STRATEGIES = `strategies:
  - name: cpu
    query: { value: value, time: time, dimensions: [host] }
    interval: 10s
    lateness: 0s
    levels: [{ severity: warning, when: ">= 90", trigger: { count: 2, window: 2 } }]
    no_data: { intervals: 3 }
`;

let commitCount = 0;

function detectionOn(store: DetectionStore, text = STRATEGIES, more: Partial<DetectionWorld> = {}) {
  const alerts: DetectedAlert[] = [];
  const world: DetectionWorld = {
    store,
    now: () => START * 1_000,
    commitId: () => {
      commitCount += 1;
      return `life-${commitCount}`;
    },
    pause: async () => {},
    random: () => 0.5,
    ...more,
  };
  const detection = new Detection(world, loadStrategies(text, { file: "strategies.yaml" }), {
    onAlerts: (some) => void alerts.push(...some),
  });
  return { detection, alerts };
}

const rowsFrom = (from: number, values: readonly number[], host = "a"): RecordRow[] =>
  values.map((value, index) => ({ line: index + 2, record: { time: from + 10 * index, host, value } }));

const brief = ({ reason, time, alert }: DetectedAlert) =>
  [reason, alert.labels["host"], (time - START) / 10, alert.status].join(" ");

describe("a stream of the format before series had their own order", () => {
  const read = (name: string) => readFileSync(new URL(`../data/detection-format-1/${name}`, import.meta.url), "utf8");
  const stored = JSON.parse(read("stored.json")) as {
    pieces: [string, string][];
    seen: [string, [number, string][]][];
    alerts: DetectedAlert[];
  };
  const strategies = read("strategies.yaml");
  const reader = csvReader({ file: "records.csv" });
  const rows = [...reader.feed(read("records.csv")), ...reader.end()];

  async function oldStream(): Promise<DetectionStore> {
    const store = memoryDetectionStore({ now: () => 1_000 });
    await store.commit({
      commitId: "old",
      expectedVersion: 0,
      atMs: 1_000,
      piecesPut: stored.pieces,
      piecesRemoved: [],
      alerts: stored.alerts.map((alert) => JSON.stringify(alert)),
      auditEvents: [],
      checkpoints: [],
      checkResults: [],
      groups: stored.seen.map(([key, seenAdded]) => ({
        key,
        newestTime: START + 190,
        seenAdded,
        seenForgottenBefore: null,
        seenTtlMs: 600_000,
      })),
    });
    return store;
  }

  test("goes on where it stood: open alerts end, counts fill, points that waited are detected, nothing is reported twice", async () => {
    const store = await oldStream();
    const { detection, alerts } = detectionOn(store, strategies);
    await detection.load();
    await detection.take("records.csv", [rows]);
    await detection.flush("records.csv");
    const fresh = detectionOn(memoryDetectionStore(), strategies);
    await fresh.detection.load();
    await fresh.detection.take("records.csv", [rows]);
    await fresh.detection.flush("records.csv");
    expect([...stored.alerts, ...alerts].map(brief).sort()).toEqual(fresh.alerts.map(brief).sort());
    expect(alerts.map(brief)).toEqual([
      "triggered counting 20 firing",
      "recovered counting 27 resolved",
      "data_returned silent 28 resolved",
      "recovered open 31 resolved",
    ]);
    expect(detection.position("records.csv")).toMatchObject({ rows: rows.length, counts: { accepted: rows.length } });
  });

  test("is stored in the new format with the first commit, and then opened as one", async () => {
    const store = await oldStream();
    const { detection } = detectionOn(store, strategies);
    await detection.load();
    await detection.take("records.csv", [rows.slice(0, 80)]);
    const { pieces } = await store.load([]);
    expect(pieces.get("format")).toBe("2");
    expect([...pieces.keys()].filter((name) => name.startsWith("pending "))).toEqual([]);
    const { detection: next, alerts } = detectionOn(store, strategies);
    await next.load();
    await next.take("records.csv", [rows]);
    await next.flush("records.csv");
    expect(alerts.map(brief).at(-1)).toBe("recovered open 31 resolved");
  });
});

test("a series that is forgotten and comes again in one batch is taken as a new one, and all of it is durable", async () => {
  const store = memoryDetectionStore();
  const { detection, alerts } = detectionOn(store);
  await detection.load();
  await detection.take("s", [[...rowsFrom(START, [99, 99]), ...rowsFrom(START + 7_200, [99, 99])]]);
  await detection.flush("s");
  expect(alerts.map(brief).filter((text) => /triggered|retired/.test(text))).toEqual([
    "triggered a 1 firing",
    "triggered a 721 firing",
  ]);
  const dimensionsMd5 = alerts[0]?.dimensionsMd5 ?? "";
  const rows = await store.checkResults({ strategyId: "cpu", itemId: 1, dimensionsMd5, level: "warning" });
  expect(rows.map(({ time }) => time - START)).toEqual([0, 10, 7_200, 7_210]);
});

describe("the alerts of a stream", () => {
  const flapping = rowsFrom(
    START,
    Array.from({ length: 80 }, (_, index) => (index % 4 < 2 ? 99 : 1)),
  );

  test("are kept up to a number, the newest of them, under the numbers that they had", async () => {
    const store = memoryDetectionStore();
    const { detection, alerts } = detectionOn(store, STRATEGIES, { keepCount: 6 });
    await detection.load();
    for (let from = 0; from < flapping.length; from += 10) await detection.take("s", [flapping.slice(0, from + 10)]);
    expect(alerts.length).toBe(40);
    const kept = await store.alerts({ fromSeq: 1, limit: 100 });
    expect(kept.length).toBeGreaterThanOrEqual(6);
    expect(kept.length).toBeLessThan(alerts.length);
    expect(kept.map(({ seq }) => seq)).toEqual(kept.map((_, index) => 40 - kept.length + 1 + index));
    expect(kept.map(({ value }) => JSON.parse(value))).toEqual(alerts.slice(-kept.length));
  });

  test("that are kept no longer leave the open ones open: they end under the labels that fired", async () => {
    const store = memoryDetectionStore();
    const open = rowsFrom(START, [99, 99], "open");
    const first = detectionOn(store, STRATEGIES, { keepCount: 2 });
    await first.detection.load();
    await first.detection.take("open", [open]);
    await first.detection.take("flapping", [flapping.slice(0, 8)]);
    const { detection, alerts } = detectionOn(store, STRATEGIES, { keepCount: 2 });
    await detection.load();
    await detection.take("open", [[...open, ...rowsFrom(START + 20, [1], "open")]]);
    expect(alerts.map(brief)).toEqual(["recovered open 2 resolved", "data_returned open 4 resolved"]);
  });
});

describe("the clock of a silent input", () => {
  const live = (nowMs: () => number) => detectionOn(memoryDetectionStore(), STRATEGIES, { now: nowMs });

  test("goes on with the computer's: the only host that goes silent is missed, and over when it comes back", async () => {
    let nowMs = (START + 20) * 1_000;
    const { detection, alerts } = live(() => nowMs);
    await detection.load();
    await detection.take("pipe", [rowsFrom(START, [1, 1, 1])]);
    nowMs += 29_000;
    await detection.tick("pipe");
    expect(alerts).toEqual([]);
    nowMs += 1_000;
    await detection.tick("pipe");
    expect(alerts.map(brief)).toEqual(["no_data a 5 firing"]);
    await detection.tick("pipe");
    expect(alerts.length).toBe(1);
    await detection.take("more", [rowsFrom(START + 60, [1])]);
    expect(alerts.map(brief).slice(1)).toEqual(["data_returned a 6 resolved"]);
  });

  test("does not start for records that are old, unless it is asked to", async () => {
    let nowMs = (START + 90_000) * 1_000;
    const { detection, alerts } = live(() => nowMs);
    await detection.load();
    await detection.take("pipe", [rowsFrom(START, [1, 1, 1])]);
    nowMs += 60_000;
    await detection.tick("pipe");
    expect(alerts).toEqual([]);
    await detection.tick("pipe", true);
    expect(alerts.map(brief)).toEqual(["no_data a 5 firing"]);
  });
});

describe("labels that a program adds", () => {
  test("are those of the moment in which an alert fires, also when it ends", async () => {
    let team = "core";
    const detector = createDetector({
      strategies: loadStrategies(STRATEGIES, { file: "strategies.yaml" }),
      enrich: ({ dimensions }) => ({ team, owner: `of ${String(dimensions["host"])}` }),
    });
    const records = (from: number, values: readonly number[]) =>
      rowsFrom(from, values).map((row) => ("record" in row ? row.record : null));
    const fired = await detector.take(records(START, [99, 99]), { source: "one" });
    team = "edge";
    const ended = await detector.take(records(START + 20, [1, 99, 99]), { source: "two", flush: true });
    expect(
      [...fired.alerts, ...ended.alerts].map(({ status, labels }) => [status, labels["team"], labels["owner"]]),
    ).toEqual([
      ["firing", "core", "of a"],
      ["resolved", "core", "of a"],
      ["firing", "edge", "of a"],
    ]);
  });
});

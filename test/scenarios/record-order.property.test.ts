/** The order in which records come: rows of files in any order, in any files, give the alerts of the rows in order. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { Detection } from "../../src/detection/detection.ts";
import type { RecordRow } from "../../src/formats/record-row.ts";
import { loadStrategies } from "../../src/formats/strategy-file.ts";
import { memoryDetectionStore } from "../../src/stores/memory/memory-detection-store.ts";
import { runDetect } from "../support/detect-run.ts";

const RUNS = Number(process.env["BECALM_RUNS"] ?? 40);
const START = 1_795_417_200;
const INTERVAL = 60;

const LEVELS = `strategies:
  - name: cpu
    query: { value: value, time: time, dimensions: [host] }
    interval: 1m
    levels:
      - { severity: critical, when: "> 8", trigger: { count: 2, window: 3 } }
      - { severity: warning, when: "> 5", trigger: { count: 1, window: 1 } }
    recovery: { count: 2 }
`;

const dir = mkdtempSync(join(tmpdir(), "becalm-order-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const levels = file("levels.yaml", LEVELS);
const withNoData = file("no-data.yaml", `${LEVELS}    no_data: { intervals: 3 }\n`);

type Row = { readonly time: number; readonly host: string; readonly value: number };

/** Of some hosts, each with holes of its own; in the order of time. */
function rowsOf(minutesMax: number): fc.Arbitrary<Row[]> {
  const host = fc.array(fc.option(fc.integer({ min: 0, max: 9 }), { freq: 6 }), {
    minLength: 1,
    maxLength: minutesMax,
  });
  return fc
    .array(host, { minLength: 1, maxLength: 4 })
    .map((hosts) =>
      hosts
        .flatMap((values, index) =>
          values.flatMap((value, minute) =>
            value === null ? [] : [{ time: START + minute * INTERVAL, host: `h${index}`, value }],
          ),
        )
        .sort((a, b) => a.time - b.time),
    )
    .filter((rows) => rows.length > 0);
}

/** Numbers between 0 and 1, one for each row. */
const chances = fc
  .infiniteStream(fc.double({ min: 0, max: 1, noNaN: true }))
  .map((stream) => () => stream.next().value as number);

function csvOf(rows: readonly Row[]): string {
  return `time,host,value\n${rows.map(({ time, host, value }) => `${time},${host},${value}\n`).join("")}`;
}

async function saidOf(strategies: string, files: readonly (readonly Row[])[], sort = false) {
  const paths = files.map((rows, index) => file(`${index}.csv`, csvOf(rows)));
  const { alerts, summary } = await runDetect(strategies, paths, { sort });
  return { alerts: alerts.toSorted(), records: summary["records"], accepted: summary["accepted"] };
}

function byKey(rows: readonly Row[], keyOf: (row: Row) => number): Row[] {
  const keyed = rows.map((row) => ({ row, key: keyOf(row) }));
  return keyed.sort((a, b) => a.key - b.key).map(({ row }) => row);
}

describe("records that come", () => {
  test("in any order within the lateness give the same alerts", async () => {
    await fc.assert(
      fc.asyncProperty(rowsOf(60), chances, async (rows, chance) => {
        const jittered = byKey(rows, ({ time }) => time + chance() * INTERVAL);
        expect(await saidOf(withNoData, [jittered])).toEqual(await saidOf(withNoData, [rows]));
      }),
      { numRuns: RUNS },
    );
  });

  test("in any number of files, each in any order within the lateness, give the same alerts", async () => {
    await fc.assert(
      fc.asyncProperty(rowsOf(60), chances, fc.integer({ min: 2, max: 4 }), async (rows, chance, count) => {
        const files: Row[][] = Array.from({ length: count }, () => []);
        const jittered = byKey(rows, ({ time }) => time + chance() * INTERVAL);
        for (const row of jittered) files[Math.floor(chance() * count) % count]?.push(row);
        const given = files.filter(({ length }) => length > 0);
        expect(await saidOf(levels, given)).toEqual(await saidOf(levels, [rows]));
      }),
      { numRuns: RUNS },
    );
  });

  test("in any interleaving of their series give the same alerts", async () => {
    await fc.assert(
      fc.asyncProperty(rowsOf(25), chances, async (rows, chance) => {
        const lag = new Map(["h0", "h1", "h2", "h3"].map((host) => [host, chance() * 1_500]));
        const interleaved = byKey(rows, ({ time, host }) => time + (lag.get(host) ?? 0));
        expect(await saidOf(levels, [interleaved])).toEqual(await saidOf(levels, [rows]));
      }),
      { numRuns: RUNS },
    );
  });

  test("in any order at all give the same alerts when they are sorted", async () => {
    await fc.assert(
      fc.asyncProperty(rowsOf(60), chances, async (rows, chance) => {
        const shuffled = byKey(rows, () => chance());
        expect(await saidOf(withNoData, [shuffled], true)).toEqual(await saidOf(withNoData, [rows]));
      }),
      { numRuns: RUNS },
    );
  });

  test("in any order at all are detected, known as duplicates, or refused with their series: none is lost silently", async () => {
    const strategies = loadStrategies(LEVELS, { file: "levels.yaml" });
    await fc.assert(
      fc.asyncProperty(rowsOf(90), chances, async (rows, chance) => {
        const refused: string[] = [];
        let commits = 0;
        const store = memoryDetectionStore();
        const world = {
          store,
          now: () => START * 1_000,
          commitId: () => {
            commits += 1;
            return `c${commits}`;
          },
          pause: async () => {},
          random: () => 0.5,
        };
        const detection = new Detection(world, strategies, {
          onRefused: (_source, { reason, series }) => void refused.push(`${reason} ${series}`),
        });
        await detection.load();
        const shuffled = byKey([...rows, ...rows.filter(() => chance() < 0.2)], () => chance());
        const given: RecordRow[] = shuffled.map((record, index) => ({ line: index + 2, record }));
        await detection.take("s", [given]);
        await detection.flush("s");
        const { accepted, duplicates, rejected, withoutValue, late } = detection.position("s").counts;
        expect(accepted + duplicates + rejected + withoutValue).toBe(shuffled.length);
        expect(late).toBeLessThanOrEqual(accepted);
        expect(refused.every((text) => /^too_old host=h\d$/.test(text))).toBe(true);
        expect(refused.length).toBe(rejected);
        const key = detection.groups[0]?.key ?? "";
        const head = JSON.parse((await store.load([key])).pieces.get(`head ${key}`) ?? "{}") as {
          counters: { detected: number };
        };
        expect(head.counters.detected).toBe(accepted);
      }),
      { numRuns: 3 * RUNS },
    );
  });
});

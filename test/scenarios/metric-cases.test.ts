/** Metric files and reports as people have them (test/data/cases/metrics): each comes out right or is refused loudly. */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { parseRecord } from "../../src/detection/records/record.ts";
import { createDetector } from "../../src/detector.ts";
import { memoryDetectionStore } from "../../src/stores/memory/memory-detection-store.ts";
import { startBecalm } from "../support/command.ts";
import { runCheck, runDetect } from "../support/detect-run.ts";
import { METRIC_CASES } from "../support/metric-cases.ts";
import { useRedis } from "../support/redis-server.ts";

const CASES = fileURLToPath(new URL("../data/cases/metrics/", import.meta.url));
const at = (folder: string, file: string) => join(CASES, folder, file);

/** Folders whose tests stand below, because they are more than one run over files. */
const OTHERS = [
  "08-telegraf-csv",
  "60-for-restart",
  "62-reload-query",
  "87-secondary-lib",
  "91-checkpoint-back",
  "95-fractional-interval",
  "99-told-late",
  "R08-unknown-method",
  "R09-empty-config",
  "R38-simple-ring-ratio",
];

describe("a metric case", () => {
  test.each(METRIC_CASES.map((one) => [`${one.folder} ${one.strategies} ${one.records.join(" ")}`, one] as const))(
    "%s comes out right or is refused loudly",
    async (_name, { folder, strategies, records, code = 0, counts, alerts, says }) => {
      const files = records.map((file) => at(folder, file));
      const run = await runDetect(at(folder, strategies), files, { strict: true });
      expect({ code: run.code, alerts: run.alerts.filter((line) => !line.startsWith("again")) }).toEqual({
        code,
        alerts,
      });
      expect(run.summary).toMatchObject(counts);
      if (says !== undefined) expect(run.notes).toContain(says);
      // What is refused is refused in every form that the summary has: nothing vanishes.
      const names = ["rejected", "unmatched", "withoutValue", "accepted", "duplicates"];
      const sum = names.reduce((total, name) => total + Number(run.summary[name] ?? 0), 0);
      expect(sum).toBeGreaterThanOrEqual(Number(run.summary["records"] ?? 0));
    },
  );

  test("has a test, whichever it is", () => {
    const tested = new Set([...METRIC_CASES.map(({ folder }) => folder), ...OTHERS]);
    expect(readdirSync(CASES).filter((folder) => !tested.has(folder))).toEqual([]);
  });

  test.each([
    ["80-precision-trap", "u.yaml", 0, /the values come in us/],
    ["82-unit-trap", "x.yaml", 1, /expected query\.unit, for limits that have one, found a limit in time/],
    ["82-unit-trap", "y.yaml", 1, /found a limit in bytes/],
    ["95-fractional-interval", "s.yaml", 1, /interval: expected a duration from 1s to 1d/],
    ["96-filter-ops", "l.yaml", 0, /✓/],
    ["96-filter-ops", "r.yaml", 0, /very text "~web-\.\*"/],
    ["97-level-order", "s.yaml", 0, /level critical can never fire/],
    ["R08-unknown-method", "s.yaml", 1, /has the part "unknown 50"/],
    ["R09-empty-config", "s.yaml", 1, /levels or no_data/],
    ["R09-empty-config", "t.yaml", 1, /expected a condition/],
    ["R38-simple-ring-ratio", "s.yaml", 1, /has the part "ring_ratio > 100"/],
  ])("%s %s is seen by check", async (...given) => {
    const [folder, file, code, text] = given;
    const checked = await runCheck([at(folder, file)]);
    expect(checked.text).toMatch(text);
    expect(checked.code).toBe(code);
  });

  test("30-semicolon with --delimiter is read, and its decimal commas are refused", async () => {
    const run = await runDetect(at("30-semicolon", "s.yaml"), [at("30-semicolon", "s.csv")], { delimiter: ";" });
    expect(run.summary).toMatchObject({ records: 2, rejected: 2, reasons: { value_not_a_number: 2 } });
    expect(run.notes).toContain("Not one of 2 records could be read");
  });

  test("R11-message says what held, and the unit", async () => {
    const { lines } = await runDetect(at("R11-message", "s.yaml"), [at("R11-message", "a.csv")]);
    expect(lines[0]).toContain("test: value 99 %, > 6 and <= 99 and != 50 in 1 of 1 points");
  });

  test("87-secondary-lib keeps the record, whatever a secondary value is", () => {
    const query = {
      dimensions: ["host"],
      metrics: [{ field: "_result_" }, { field: "b0" }],
      timeFields: ["time"],
      precision: 2,
    };
    for (const b0 of ["", Number.NaN, "+Inf", "--", [1], 1e308])
      expect(parseRecord(query, { host: "a", _result_: 56.2, b0, time: 1_700_000_000 })).toMatchObject({ value: 56.2 });
  });

  test("91-checkpoint-back: a checkpoint that is set back stays, one that is set ahead is where detection goes on", async () => {
    const store = memoryDetectionStore();
    const strategies = {
      strategies: [
        {
          name: "s",
          query: { value: "value", time: "time", dimensions: ["host"] },
          interval: "1m",
          levels: [{ severity: "warning", when: "> 90" }],
        },
      ],
    };
    const rows = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => ({ time: from + 60 * i, host: "a", value: 99 }));
    const first = await createDetector({ strategies, store }).take(
      rows(1_700_000_040, 4).map((row) => ({ ...row, value: 1 })),
      { source: "s" },
    );
    expect(first.alerts).toEqual([]);
    const { pieces } = await store.load([]);
    const [, , md5 = ""] = [...pieces.keys()].find((name) => name.startsWith("series "))?.split(" ") ?? [];
    const of = { strategyId: "s", itemId: 1, dimensionsMd5: md5, level: "warning" };
    expect(await store.getCheckpoint(of)).toBe(1_700_000_160);
    expect(await store.setCheckpoint(of, 1_600_000_000)).toBe(1_700_000_160);
    expect(await store.setCheckpoint(of, 1_700_000_400)).toBe(1_700_000_400);
    const more = await createDetector({ strategies, store }).take(rows(1_700_000_280, 6), { source: "t", flush: true });
    expect(more.alerts.map(({ reason, time }) => [reason, time])).toEqual([["triggered", 1_700_000_460]]);
  });
});

describe("a metric case on a store", () => {
  const redis = useRedis();
  const dir = mkdtempSync(join(tmpdir(), "becalm-cases-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  async function grow(folder: string, runs: readonly (readonly [string, string, boolean])[]) {
    const records = join(dir, `${folder}.csv`);
    const told: string[][] = [];
    const notes: string[] = [];
    for (const [strategies, file, flush] of runs) {
      copyFileSync(at(folder, file), records);
      const place = { store: redis.url, namespace: folder, flush };
      const run = await runDetect(at(folder, strategies), [records], place);
      expect(run.code).toBe(0);
      told.push(run.alerts.filter((line) => !line.startsWith("again")));
      notes.push(run.notes);
    }
    return { told, notes };
  }

  test("60-for-restart: the count survives the restart", async () => {
    const { told } = await grow("60-for-restart", [
      ["s.yaml", "a.csv", false],
      ["s.yaml", "b.csv", true],
    ]);
    expect(told).toEqual([[], ["fires triggered warning a 1700000280"]]);
  });

  test("62-reload-query: an edit of the query orphans no alert, and says so", async () => {
    const { told, notes } = await grow("62-reload-query", [
      ["s.yaml", "a.csv", false],
      ["s2.yaml", "b.csv", true],
    ]);
    expect(told).toEqual([
      ["fires triggered warning a 1700000100"],
      ["ends recovered warning a 1700000100-1700000460"],
    ]);
    expect(notes[1]).toContain("s was edited, 1 of its open alerts go on");
  });
});

describe("a live pipe", () => {
  test("99-told-late: an alert is reported one interval after its point, or at once without lateness", async () => {
    const records = [10, 99, 99].map((value, index) => `${1_700_000_040 + 60 * index},a,${value}`);
    const args = ["detect", "--strategies", at("99-told-late", "s.yaml"), "--records", "-", "--json", "--quiet"];
    const { child, ended } = startBecalm(args, {
      input: `time,host,value\n${records.join("\n")}\n`,
      keepsInputOpen: true,
    });
    const told = await new Promise((resolve) => child.stdout?.once("data", (text) => resolve(String(text))));
    expect(told).toContain('"startsAt":"2023-11-14T22:15:00.000Z"');
    child.stdin?.end();
    await ended;
  });

  test("71-deadman-single: with --live the only host that goes silent is missed", async () => {
    const args = ["detect", "--strategies", at("71-deadman-single", "s.yaml"), "--records", "-", "--json", "--live"];
    const input = readFileSync(at("71-deadman-single", "a.csv"), "utf8");
    const { child, ended } = startBecalm(args, { input: `${input}\n`, keepsInputOpen: true });
    const told = await new Promise((resolve) => child.stdout?.once("data", (text) => resolve(String(text))));
    expect(told).toContain('"reason":"no_data"');
    child.stdin?.end();
    await ended;
  });
});

import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { EnrichmentFile } from "../../src/cli/enrichment-file.ts";
import { runDetect } from "../support/detect-run.ts";

const dir = mkdtempSync(join(tmpdir(), "becalm-enrich-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const path = join(dir, "hosts.csv");

function write(text: string, changedAtSeconds: number): void {
  writeFileSync(path, text);
  utimesSync(path, changedAtSeconds, changedAtSeconds);
}

const series = (host: unknown) => ({ dimensions: { host }, dimensionFields: ["host"] });

describe("a file of labels", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: 1_000_000 }));
  afterEach(() => void vi.useRealTimers());

  test("gives the labels of the row whose first cell is the dimension, without empty ones", async () => {
    write("host,team,rack\na,core,r1\nb,,r2\n7,edge,\n", 1);
    const { labelsOf } = await EnrichmentFile.open(path);
    expect([series("a"), series("b"), series(7), series("c"), series(null)].map(labelsOf)).toEqual([
      { team: "core", rack: "r1" },
      { rack: "r2" },
      { team: "edge" },
      {},
      {},
    ]);
  });

  test("is read again when it has changed, at most once a second", async () => {
    write("host,team\na,core\n", 1);
    const file = await EnrichmentFile.open(path);
    write("host,team\na,edge\n", 2);
    await file.reloadIfChanged();
    expect(file.labelsOf(series("a"))).toEqual({ team: "core" });
    vi.setSystemTime(1_001_000);
    await file.reloadIfChanged();
    expect(file.labelsOf(series("a"))).toEqual({ team: "edge" });
  });

  test("that is broken or gone while it is used leaves what was read before, until it is mended", async () => {
    write("host,team\na,core\n", 1);
    const file = await EnrichmentFile.open(path);
    for (const [nowMs, act] of [
      [1_002_000, () => write("", 2)],
      [1_004_000, () => rmSync(path)],
    ] as const) {
      act();
      vi.setSystemTime(nowMs);
      await file.reloadIfChanged();
      expect(file.labelsOf(series("a"))).toEqual({ team: "core" });
    }
    write("host,team\na,edge\n", 3);
    vi.setSystemTime(1_006_000);
    await file.reloadIfChanged();
    expect(file.labelsOf(series("a"))).toEqual({ team: "edge" });
  });
});

test("becalm detect --enrich puts the file's labels beside those of the series", async () => {
  write("host,team\na,core\n", 1);
  const strategies = join(dir, "s.yaml");
  writeFileSync(
    strategies,
    'strategies:\n  - name: s\n    query: { value: v, time: t, dimensions: [host] }\n    interval: 1m\n    levels: [{ severity: warning, when: "> 1" }]\n',
  );
  writeFileSync(join(dir, "r.csv"), "t,host,v\n1700000000,a,5\n1700000000,b,5\n");
  const { lines } = await runDetect(strategies, [join(dir, "r.csv")], { enrich: path });
  const labels = lines.slice(0, 2).map((line) => (JSON.parse(line) as { body: { labels: object }[] }).body[0]?.labels);
  expect(labels.toSorted((a, b) => JSON.stringify(b).length - JSON.stringify(a).length)).toEqual([
    { team: "core", host: "a", alertname: "s", severity: "warning" },
    { host: "b", alertname: "s", severity: "warning" },
  ]);
});

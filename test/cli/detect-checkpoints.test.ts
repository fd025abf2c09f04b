import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { redisDetectionStore } from "../../src/stores/redis/redis-detection-store.ts";
import { runDetect } from "../support/detect-run.ts";
import { useRedis } from "../support/redis-server.ts";

const redis = useRedis();
const dir = mkdtempSync(join(tmpdir(), "becalm-checkpoints-"));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const START = 1_700_000_040;
const strategies = join(dir, "s.yaml");
writeFileSync(
  strategies,
  `strategies:
  - name: cpu
    query: { value: value, time: time, dimensions: [host] }
    interval: 1m
    levels:
      - { severity: critical, when: "> 95" }
      - { severity: warning, when: "> 80" }
`,
);
const records = join(dir, "r.csv");
writeFileSync(records, `time,host,value\n${[1, 90, 90].map((value, i) => `${START + 60 * i},a,${value}\n`).join("")}`);

const where = () => ({ store: redis.url, namespace: "checkpoints" });
type Row = { level: string; series: string; lastTime: number; openSince: number | null; checkpoint: number };

describe("becalm detect --checkpoints", () => {
  test("says so when no level has looked at a point yet", async () => {
    const run = await runDetect(strategies, [], { ...where(), namespace: "empty", checkpoints: true });
    expect(run).toMatchObject({ code: 0, lines: [] });
  });

  test("shows how far each level of each series has looked, and what is open; it reads and changes nothing", async () => {
    await runDetect(strategies, [records], where());
    const shown = async () => {
      const { code, lines } = await runDetect(strategies, [], { ...where(), checkpoints: true });
      expect(code).toBe(0);
      return lines.map((line) => JSON.parse(line) as Row);
    };
    const rows = await shown();
    expect(rows).toMatchObject([
      { level: "critical", series: "host=a", lastTime: START + 120, openSince: null, checkpoint: START + 120 },
      { level: "warning", series: "host=a", lastTime: START + 120, openSince: START + 60, checkpoint: START + 120 },
    ]);
    const store = redisDetectionStore(redis.url, { namespace: "checkpoints" });
    const { version } = await store.load([]);
    const md5 = (rows[0] as unknown as { dimensionsMd5: string }).dimensionsMd5;
    const level = { strategyId: "cpu", itemId: 1, dimensionsMd5: md5, level: "warning" };
    expect(await store.setCheckpoint(level, START + 600)).toBe(START + 600);
    await store.close();
    expect(version).toBeGreaterThan(0);
    expect((await shown())[1]).toMatchObject({ level: "warning", lastTime: START + 120, checkpoint: START + 600 });
  });
});

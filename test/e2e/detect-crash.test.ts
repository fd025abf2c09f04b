/** SIGKILL at random moments: what is stored in the end is what an undisturbed run stores. */
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { groupStrategies } from "../../src/detection/core/strategy-group.ts";
import { loadStrategies } from "../../src/formats/strategy-file.ts";
import { redisDetectionStore } from "../../src/stores/redis/redis-detection-store.ts";
import { becalm, startBecalm, useFiles } from "../support/command.ts";
import { metricCsv, STRATEGIES, seededRandom } from "../support/metric-rows.ts";
import { useRedis } from "../support/redis-server.ts";

/** BECALM_KILLS=200 looks harder; BECALM_SEED makes the moments other ones. */
const KILLS = Number(process.env["BECALM_KILLS"] ?? 20);
const SEED = Number(process.env["BECALM_SEED"] ?? 1);
const KILLS_A_STREAM = 5;

const redis = useRedis();
const file = useFiles();
const strategies = file("strategies.yaml", STRATEGIES);
const records = file("records.csv", metricCsv({ count: 60_000, hosts: 60, seed: 8 }));
const groupKeys = groupStrategies(loadStrategies(STRATEGIES, { file: "strategies.yaml" })).map(({ key }) => key);

let undisturbed: { stdout: string; stored: unknown };
/** Of an undisturbed run. */
let commitCount: number;

const args = (stream: string) => {
  const where = ["--store", redis.url, "--stream", stream];
  return ["detect", "--strategies", strategies, "--records", records, "--json", "--quiet", "--from-seq", "1", ...where];
};

async function stored(stream: string) {
  const store = redisDetectionStore(redis.url, { stream });
  const { pieces, seen, version } = await store.load(groupKeys);
  const alerts = await store.alerts({ fromSeq: 1, limit: 1_000_000 });
  const audit = await store.auditEvents({ fromSeq: 1, limit: 1_000_000 });
  await store.close();
  // The lives of record ids are counted by the server's clock: none has run out here.
  return { pieces: new Map([...pieces].sort(([a], [b]) => (a < b ? -1 : 1))), seen, alerts, audit, version };
}

/** Resolves when `count` more commits are stored, or the process has ended. */
async function hasCommitted(stream: string, count: number, ended: Promise<unknown>): Promise<void> {
  let hasEnded = false;
  const ending = ended.then(() => (hasEnded = true));
  const store = redisDetectionStore(redis.url, { stream });
  const untilVersion = (await store.load([])).version + count;
  while (!hasEnded && (await store.load([])).version < untilVersion) await Promise.race([delay(2), ending]);
  await store.close();
}

beforeAll(async () => {
  const { code, stdout } = await becalm(args("undisturbed"));
  expect(code).toBe(0);
  const found = await stored("undisturbed");
  commitCount = found.version;
  undisturbed = { stdout, stored: found };
});

describe("a detection that is killed", () => {
  const streams = Array.from({ length: Math.ceil(KILLS / KILLS_A_STREAM) }, (_, index) => index);

  test.each(streams)(
    "again and again (stream %i), and started again, stores and tells what an undisturbed one does",
    async (index) => {
      const random = seededRandom(SEED * 1_000 + index);
      // One that came to its end before it was killed twice, as on a busy machine, shows too little: another stream is begun.
      for (let attempt = 0; (await killAgainAndAgain(`killed-${index}-${attempt}`, random)) < 2; attempt += 1)
        expect(attempt, "it came to its end every time").toBeLessThan(5);
    },
  );
});

/** How often it was killed. However often: what it has stored and told in the end is what an undisturbed one does. */
async function killAgainAndAgain(stream: string, random: () => number): Promise<number> {
  let killed = 0;
  for (let starts = 0; starts < KILLS_A_STREAM; starts += 1) {
    const { child, ended } = startBecalm(args(stream));
    // The kills of one stream share its work between them; some come before the first commit, some between two.
    const share = (random() * commitCount) / KILLS_A_STREAM;
    if (random() < 0.2) await Promise.race([delay(random() * 400), ended]);
    else await hasCommitted(stream, 1 + Math.floor(share), ended).then(() => delay(random() * 20));
    child.kill("SIGKILL");
    const { signal } = await ended;
    if (signal === null) break;
    killed += 1;
  }
  const { code, stdout } = await becalm(args(stream));
  expect(code).toBe(0);
  expect(stdout).toBe(undisturbed.stdout);
  expect(await stored(stream)).toEqual(undisturbed.stored);
  return killed;
}

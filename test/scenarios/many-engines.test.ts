/**
 * Many engines on one group at once. After the group has opened none of its alerts is parked and none is refused, whatever its function: most
 * decisions change nothing that another's rests on, and engines whose decisions do take turns.
 */
import { describe, expect, test } from "vitest";
import type { Engine } from "../../src/engine.ts";
import { CONVERGENCE_FUNCTIONS, type ConvergenceFunction } from "../../src/model/convergence-rule.ts";
import { partitionOf } from "../../src/model/ids.ts";
import { SUMMARY_SAMPLE_COUNT_MAX } from "../../src/model/limits.ts";
import {
  alertOf,
  EngineWorld,
  everything,
  MINUTE_MS,
  PARTITION_COUNT,
  policyOf,
  redisKind,
  take,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
const COUNT = 2;
const ALERT_COUNT = 400;
const REQUEST_COUNT = 5;
/** Once the first ones have run, all others are skipped: nobody's decision changes the group. */
const SKIPPING: readonly ConvergenceFunction[] = [
  "skip_when_success",
  "approve_when_failed",
  "skip_when_proceed",
  "skip_when_exceed",
  "collect",
  "collect_alarm",
  "trigger",
];

/** Every engine sends its share, some alerts a request, and all of them at once. */
async function storm(world: EngineWorld, engines: readonly Engine[]): Promise<{ refused: number; p99Ms: number }> {
  const took: number[] = [];
  let refused = 0;
  const send = async (engine: Engine, own: number) => {
    for (let at = own; at < ALERT_COUNT; at += engines.length * REQUEST_COUNT) {
      const alerts = Array.from({ length: REQUEST_COUNT }, (_, index) => at + index * engines.length)
        .filter((index) => index < ALERT_COUNT)
        .map((index) => alertOf(`storm-${index}`));
      const beganMs = performance.now();
      const { rejected } = await engine.ingest(alerts);
      took.push(performance.now() - beganMs);
      refused += rejected.length;
    }
  };
  let isSent = false;
  const sent = Promise.all(engines.map(send)).finally(() => {
    isSent = true;
  });
  await world.until("the storm is sent", () => isSent);
  await sent;
  took.sort((a, b) => a - b);
  return { refused, p99Ms: took[Math.ceil(took.length * 0.99) - 1] as number };
}

/** The group as it is stored. */
async function stored(world: EngineWorld, engine: Engine) {
  const groupId = (await everything(engine))[0]?.group as string;
  const store = await world.outside();
  return (await store.load({ partition: partitionOf(groupId, PARTITION_COUNT), groupId, instanceIds: [] })).group;
}

async function parkedCount(engine: Engine): Promise<number> {
  let parked = 0;
  for (const { id } of await everything(engine)) {
    const { entries } = await engine.get(id).history();
    if (entries.some(({ event }) => event.type === "lock.busy")) parked += 1;
  }
  return parked;
}

describe.each([2, 4, 8])("%i engines on one group", (engineCount) => {
  test.each(CONVERGENCE_FUNCTIONS)("park and refuse no alert after it has opened under %s", async (fn) => {
    const world = new EngineWorld(redisKind(server));
    world.outcome = () => "done";
    let lost = 0;
    const onOutcome = (outcome: string) => {
      if (outcome !== "applied") lost += 1;
    };
    const policy = policyOf({ function: fn, by: [], count: COUNT });
    const engines: Engine[] = [];
    for (let index = 0; index < engineCount; index += 1)
      engines.push(await world.engine([policy], { isFar: true, onOutcome }));
    const [first] = engines as [Engine];
    await take(first, ...Array.from({ length: COUNT }, (_, index) => alertOf(`opens-${index}`)));
    await world.settle();
    lost = 0;
    const before = await stored(world, first);
    const { refused, p99Ms } = await storm(world, engines);
    console.info(`${engineCount} engines, ${fn}: p99 ${p99Ms.toFixed(0)} ms, ${lost} commits lost`);
    expect(refused).toBe(0);
    expect(await parkedCount(first)).toBe(0);
    expect((await everything(first)).filter(({ kind }) => kind === "action")).toHaveLength(ALERT_COUNT + COUNT);
    expect(await unsound(world, first)).toEqual([]);
    if (!SKIPPING.includes(fn)) return;
    expect(lost).toBe(0);
    expect(await stored(world, first)).toEqual(before);
    await world.elapse(5 * MINUTE_MS);
    const [summary] = (await everything(first)).filter(({ kind }) => kind === "summary");
    if (summary === undefined) return;
    const { notice } = (await first.get(summary.id).history()).birth;
    expect(notice).toMatchObject({ skipped: fn === "collect" ? ALERT_COUNT : ALERT_COUNT + 1 });
    expect(new Set(notice?.kind === "summary" ? notice.sample : []).size).toBe(SUMMARY_SAMPLE_COUNT_MAX);
  });
});

/** The figures of `becalm report`, from what engines have recorded. */
import { expect, test } from "vitest";
import { compose } from "../../src/compose.ts";
import { InstanceReader } from "../../src/runtime/instance-reader.ts";
import { type OutcomeFigures, OutcomeReport } from "../../src/simulate/outcome-report.ts";
import { recordStored } from "../../src/simulate/stored-recording.ts";
import {
  alertOf,
  EngineWorld,
  MEMORY,
  MINUTE_MS,
  policyOf,
  SECOND_MS,
  START_MS,
  take,
} from "../support/engine-world.ts";

async function figuresOf(world: EngineWorld): Promise<OutcomeFigures> {
  const reader = new InstanceReader(await compose({ store: await world.outside() }));
  const report = new OutcomeReport();
  await recordStored(reader, report, {
    fromMs: START_MS,
    nowMs: world.clock.now(),
    onUnreadable: (id) => expect.unreachable(`${id} cannot be read`),
  });
  const [row] = report.rows();
  return row?.figures as OutcomeFigures;
}

const resolved = (name: string) => ({ ...alertOf(name), status: "resolved" as const });
const WHO = { by: "ada", why: "looked at it" };

test("of those skipped for a peer it is said how many resolved, and how soon after their decision", async () => {
  const world = new EngineWorld(MEMORY);
  const engine = await world.engine([policyOf({ function: "skip_when_exceed", count: 1, window: "10m" })]);
  await take(engine, ...["a", "b", "c", "d", "e"].map((name) => ({ ...alertOf(name), status: "firing" as const })));
  await world.finishAll();
  await world.elapse(2 * MINUTE_MS);
  await engine.ingest([resolved("b")]);
  await world.elapse(3 * MINUTE_MS);
  await engine.ingest([resolved("c"), resolved("d")]);
  await world.settle();
  const { executed, skipped } = await figuresOf(world);
  expect(executed).toMatchObject({ count: 1, succeeded: 1, failed: 0, retried: 0, attempts: 1, underWay: 0 });
  expect(skipped).toEqual({
    count: 4,
    reasons: { limit_reached: 4 },
    forPeer: {
      count: 4,
      resolved: 3,
      lost: 0,
      unknown: 1,
      resolvedAfterMs: { count: 3, p50: 5 * MINUTE_MS, p90: 5 * MINUTE_MS, max: 5 * MINUTE_MS },
    },
  });
});

test("of those executed it is said how many were verified, did not resolve in time, failed, were retried and are under way", async () => {
  const world = new EngineWorld(MEMORY);
  const retry = { limit: 1, delay: "10s" };
  const action = { handler: { name: "act", timeout: "1h" } };
  const engine = await world.engine([policyOf(null, { action, verify: { resolved_within: "1m" }, retry })]);
  const names = ["verified", "unsolved", "broken", "late"];
  await take(engine, ...names.map((name) => ({ ...alertOf(name), status: "firing" as const })));
  await world.settle();
  const [verified, unsolved, broken] = world.attempts;
  verified?.succeed();
  unsolved?.succeed();
  broken?.fail();
  await world.elapse(30 * SECOND_MS);
  await engine.ingest([resolved("verified")]);
  // The second attempt of the broken one.
  world.attempts[4]?.fail();
  await world.elapse(2 * MINUTE_MS);
  // The retry of the one that did not resolve.
  await world.elapse(MINUTE_MS);
  world.attempts[5]?.fail();
  await world.settle();
  expect((await figuresOf(world)).executed).toEqual({
    count: 4,
    succeeded: 1,
    verified: 1,
    failed: 2,
    notResolved: 1,
    retried: 2,
    attempts: 6,
    underWay: 1,
  });
});

test("of approvals it is said how they ended, and how long people took to answer", async () => {
  const world = new EngineWorld(MEMORY);
  const rule = { function: "defense", count: 1, window: "60m" };
  const engine = await world.engine([policyOf(rule, { approval: { timeout: "30m" } })]);
  const names = ["opener", "granted", "denied", "unanswered", "over"];
  const ids = await take(engine, ...names.map((name) => ({ ...alertOf(name), status: "firing" as const })));
  await world.finishAll();
  await world.elapse(4 * MINUTE_MS);
  await engine.approve({ id: ids[1] as string }, WHO);
  await world.elapse(2 * MINUTE_MS);
  await engine.deny({ id: ids[2] as string }, WHO);
  await engine.ingest([resolved("over")]);
  await world.elapse(40 * MINUTE_MS);
  await take(engine, { ...alertOf("waiting"), status: "firing" as const });
  await world.settle();
  expect((await figuresOf(world)).approvals).toEqual({
    asked: 5,
    granted: 1,
    denied: 1,
    timedOut: 1,
    ended: 1,
    waiting: 1,
    answeredAfterMs: { count: 2, p50: 4 * MINUTE_MS, p90: 6 * MINUTE_MS, max: 6 * MINUTE_MS },
  });
});

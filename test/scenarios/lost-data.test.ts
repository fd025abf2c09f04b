/** A store that has lost its last writes, or all of them, under an engine that goes on. */
import { describe, expect, test } from "vitest";
import { toReceipt } from "../../src/formats/alert-input.ts";
import type { ReceiptCommand } from "../../src/instance/receive.ts";
import type { Envelope } from "../../src/runtime/commit/batch.ts";
import { runUntilCommitted } from "../../src/runtime/commit/retry.ts";
import { type RoutedAlert, routeAlerts } from "../../src/runtime/inbox/routed-alerts.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import type { StoredEffect } from "../../src/stores/store.ts";
import { bareRuntime } from "../support/bare-runtime.ts";
import {
  alertOf,
  EngineWorld,
  MEMORY,
  policyOf,
  redisKind,
  SECOND_MS,
  START_MS,
  standing,
  take,
  unsound,
} from "../support/engine-world.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();
const RENEWED_MS = 10 * SECOND_MS;

/** An instance that runs, and that its store has lost. */
async function lostAttempt(world: EngineWorld) {
  const engine = await world.engine([policyOf(null)]);
  const [id] = (await take(engine, alertOf("a"))) as [string];
  await world.settle();
  expect(await (await world.outside()).remove(id, 1)).toBe(true);
  await world.elapse(SECOND_MS);
  return { engine, id };
}

describe("an instance that is made again of the same alert", () => {
  test("gets no history of the one that was lost, whose result comes late", async () => {
    const world = new EngineWorld(MEMORY);
    const { engine, id } = await lostAttempt(world);
    await take(engine, alertOf("a"));
    await take(engine, alertOf("b"));
    world.attempts[0]?.succeed();
    await world.settle();
    expect(await standing(engine, id)).toBe("Success no_rule");
    expect(await unsound(world, engine)).toEqual([]);
  });

  test("has its attempt, also when the lost one's result comes in the same batch", async () => {
    const store = memoryStore();
    const runtime = await bareRuntime(store, { mode: "live", policies: [policyOf(null)] });
    const receipt = toReceipt(alertOf("a"), { receivedAtMs: START_MS });
    const { routed } = await routeAlerts(runtime, [receipt], { atMs: START_MS, turn: null });
    const [{ envelope: create }] = routed as readonly [RoutedAlert];
    const { address } = create;
    const { ownId: id } = create.command as ReceiptCommand;
    await runUntilCommitted(runtime, { address, envelopes: [create] });
    const outbox = () => store.listEffects({ limit: 9 });
    const [effect] = (await outbox()) as [StoredEffect];
    expect(await store.remove(id, 1)).toBe(true);
    const done = { type: "event", id, event: { type: "effect.done", attempt: 1, atMs: START_MS } } as const;
    const result: Envelope = { address, command: done, consumes: { kind: "effect", id: effect.id }, lastSeen: null };
    const results = await runUntilCommitted(runtime, { address, envelopes: [result, create] });
    expect(results.map(({ outcome }) => outcome)).toEqual(["missing", "created"]);
    expect(await outbox()).toMatchObject([{ id: effect.id }]);
  });
});

test("what a namespace is known by is put back, so that others can read what the engine goes on writing", async () => {
  const world = new EngineWorld(redisKind(server));
  const engine = await world.engine([policyOf(null)]);
  await server.flush();
  const [id] = (await take(engine, alertOf("a"))) as [string];
  await world.elapse(RENEWED_MS);
  const store = world.storage.connect();
  expect(await store.open({})).toMatchObject({ mode: "live" });
  const next = await world.engine([policyOf(null, { retry: { limit: 1 } })]);
  expect((await next.list()).instances.map((instance) => instance.id)).toEqual([id]);
});

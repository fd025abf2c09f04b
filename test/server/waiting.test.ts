import { expect, test } from "vitest";
import { createEngine } from "../../src/engine.ts";
import { Metrics } from "../../src/server/metrics/metrics.ts";
import { type Waiting, waitingNow } from "../../src/server/metrics/waiting.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { storeBetween } from "../../src/stores/store-between.ts";
import { systemClock } from "../../src/system/system-clock.ts";
import { createWorker } from "../../src/worker.ts";
import { ownMs } from "../support/own-time.ts";

function metricsOf(waiting: () => Promise<Waiting>): Metrics {
  const now = Date.now;
  return new Metrics({
    version: "0",
    now,
    functionOf: () => "none",
    waiting,
    viewedAlerts: () => 0,
    heldBodyBytes: () => 0,
  });
}

test("attempts that wait are those of the outbox, also where another process runs them", async () => {
  const store = memoryStore();
  const policies = [{ name: "act", match: [], action: { log: {} } }] as const;
  const engine = createEngine({ policies, store, leaveEffects: true });
  await engine.start();
  const { text } = await read(metricsOf(() => waitingNow(engine, store)));
  expect(text).toMatch(/^becalm_outbox_effects 0\nbecalm_outbox_oldest_age_seconds 0$/m);
  await engine.ingest(["a", "b", "c"].map((instance) => ({ labels: { instance } })));
  const waiting = await waitingNow(engine, store);
  expect(waiting).toMatchObject({ attempts: 3, open: { Processing: 3 } });
  expect(Date.now() - (waiting.oldestAttemptAtMs ?? 0)).toBeLessThan(60_000);
  const worker = createWorker({ store });
  await worker.start();
  await expect
    .poll(() => waitingNow(engine, store))
    .toMatchObject({ attempts: 0, oldestAttemptAtMs: null, open: { Processing: 0 } });
  await worker.stop();
  await engine.stop();
});

test("of more that wait for a person than a page holds, all are counted and the one that waits longest is found", async () => {
  const store = memoryStore();
  const converge = { function: "defense", by: ["cluster"], count: 1, window: "10m" } as const;
  const policies = [{ name: "ask", match: [], action: { log: {} }, converge }] as const;
  let nowMs = Date.now();
  const engine = createEngine({ policies, store, clock: { ...systemClock(), now: () => nowMs } });
  const ingest = (names: readonly string[]) =>
    engine.ingest(names.map((instance) => ({ labels: { cluster: "core", instance } })));
  const firstAtMs = nowMs;
  await ingest(["runs", "waits longest"]);
  nowMs += 60_000;
  await ingest(Array.from({ length: 1_100 }, (_, number) => String(number)));
  expect(await waitingNow(engine, store)).toMatchObject({ approvals: 1_101, oldestApprovalAtMs: firstAtMs });
  await engine.stop();
});

test("whoever waits for a person is counted without reading a history, and without reading anything when nobody waits", async () => {
  const calls: string[] = [];
  const own = memoryStore();
  const counted = (name: "list" | "history" | "load") => {
    const call = own[name].bind(own) as (...given: unknown[]) => unknown;
    const noted = (...given: unknown[]) => {
      calls.push(name);
      return call(...given);
    };
    return [name, noted] as const;
  };
  const store = storeBetween(
    own,
    new Map<keyof Store, unknown>([counted("list"), counted("history"), counted("load")]),
  );
  const converge = { function: "defense", by: ["cluster"], count: 1, window: "10m" } as const;
  const policies = [{ name: "ask", match: [], action: { log: {} }, converge }] as const;
  const engine = createEngine({ policies, store });
  await engine.ingest([{ labels: { cluster: "core", instance: "runs" } }]);
  calls.length = 0;
  expect(await waitingNow(engine, store)).toMatchObject({ approvals: 0, oldestApprovalAtMs: null });
  expect(calls).toEqual([]);
  const beforeMs = Date.now();
  await engine.ingest([1, 2, 3].map((instance) => ({ labels: { cluster: "core", instance: String(instance) } })));
  calls.length = 0;
  const { approvals, oldestApprovalAtMs } = await waitingNow(engine, store);
  expect([approvals, calls]).toEqual([3, ["list"]]);
  expect(oldestApprovalAtMs).toBeGreaterThanOrEqual(beforeMs);
  await engine.stop();
});

test("a store that is silent holds up no other metric, and what is not known is not a number", async () => {
  const { text, tookMs } = await read(metricsOf(() => new Promise(() => {})));
  expect(tookMs).toBeLessThan(3_000);
  expect(text).toMatch(/^becalm_instances\{state="Waiting"\} NaN$/im);
  expect(text).toMatch(/^becalm_approvals_oldest_age_seconds NaN$/im);
  expect(text).toContain("becalm_process_start_time_seconds");
});

async function read(metrics: Metrics): Promise<{ text: string; tookMs: number }> {
  let text = "";
  const tookMs = await ownMs(async () => {
    text = (await metrics.read()).body.replaceAll(/^(?:#.*)?\n/gm, "");
  });
  return { text, tookMs };
}

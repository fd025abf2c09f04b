/**
 * Very many of one thing at once, on a real Redis: timers that are all due, or attempts that all wait. Each must fire or run once, and an alert that
 * comes beside them must not wait long.
 */
import { setTimeout as delay } from "node:timers/promises";
import { createEngine, type Engine } from "../../src/engine.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { startRedis } from "../support/redis-server.ts";
import { quantile } from "./outcome.ts";

const REQUEST_ALERTS = 500;
const APPROVAL_MS = 2_000;
const BESIDE_EVERY_MS = 50;

export const BULK_KINDS = ["timers", "attempts"] as const;
export type BulkKind = (typeof BULK_KINDS)[number];

export type BulkReport = {
  readonly kind: BulkKind;
  readonly count: number;
  readonly prepareMs: number;
  readonly workMs: number;
  /** Things that happened more than once, or never. */
  readonly twice: number;
  readonly never: number;
  readonly ingestsBeside: number;
  readonly ingestP50Ms: number;
  readonly ingestP99Ms: number;
  readonly ingestMaxMs: number;
  readonly faultLines: number;
};

type Counted = ReadonlyMap<string, number>;

const BULK_POLICIES = {
  timers: { converge: { function: "defense", by: ["group"], count: 1, window: "1d" }, approval: { timeout: "2s" } },
  attempts: {},
} as const;

export async function runBulk(kind: BulkKind, count: number): Promise<BulkReport> {
  const server = await startRedis();
  const happened = new Map<string, number>();
  const note = (id: string) => happened.set(id, (happened.get(id) ?? 0) + 1);
  let faultLines = 0;
  const bulk = { name: "bulk", match: 'kind="bulk"', action: { handler: { name: "act" } }, ...BULK_POLICIES[kind] };
  const beside = { name: "beside", match: 'kind="beside"', action: { handler: { name: "other" } } };
  const engineOf = (): Engine =>
    createEngine({
      policies: [bulk, beside] as never,
      store: redisStore(server.url),
      handlers: { act: ({ instance }) => void (kind === "attempts" && note(instance)), other: () => {} },
      logger: { debug() {}, info() {}, warn() {}, error: () => (faultLines += 1) },
    });
  try {
    // Never started: what it commits is for whoever comes.
    const preparing = engineOf();
    const began = performance.now();
    const expected = await fill(preparing, count, kind);
    const prepareMs = performance.now() - began;
    await preparing.stop();
    if (kind === "timers") await delay(APPROVAL_MS);
    const engine = engineOf();
    if (kind === "timers")
      engine.subscribe((steps) => {
        for (const { id, event } of steps) if (event === "timer.elapsed") note(id);
      });
    const startedMs = performance.now();
    await engine.start();
    const answersMs = await besideUntil(engine, () => happened.size >= expected);
    const workMs = performance.now() - startedMs;
    await delay(3_000);
    await engine.stop();
    return {
      kind,
      count: expected,
      prepareMs: Math.round(prepareMs),
      workMs: Math.round(workMs),
      ...counted(happened, expected),
      ingestsBeside: answersMs.length,
      ingestP50Ms: quantile(answersMs, 0.5),
      ingestP99Ms: quantile(answersMs, 0.99),
      ingestMaxMs: quantile(answersMs, 1),
      faultLines,
    };
  } finally {
    await server.stop();
  }
}

/** Gives how many of them will happen: under `defense` the opener of each group runs and is not held. */
async function fill(engine: Engine, count: number, kind: BulkKind): Promise<number> {
  const groups = new Set<string>();
  for (let from = 0; from < count; from += REQUEST_ALERTS) {
    const alerts = Array.from({ length: Math.min(REQUEST_ALERTS, count - from) }, (_, index) => {
      const group = `g${(from + index) % 100}`;
      groups.add(group);
      return { status: "firing", labels: { alertname: "Full", kind: "bulk", group, name: `a${from + index}` } };
    });
    const { rejected } = await engine.ingest(alerts as never);
    if (rejected.length > 0) throw rejected[0]?.error as Error;
  }
  return kind === "timers" ? count - groups.size : count;
}

async function besideUntil(engine: Engine, isDone: () => boolean): Promise<number[]> {
  const answersMs: number[] = [];
  for (let count = 0; !isDone(); count += 1) {
    const labels = { alertname: "Full", kind: "beside", name: `b${count}` };
    const began = performance.now();
    await engine.ingest([{ status: "firing", labels } as never]);
    answersMs.push(Math.round(performance.now() - began));
    await delay(BESIDE_EVERY_MS);
  }
  return answersMs;
}

function counted(happened: Counted, expected: number): { twice: number; never: number } {
  const twice = [...happened.values()].filter((times) => times > 1).length;
  return { twice, never: expected - happened.size };
}

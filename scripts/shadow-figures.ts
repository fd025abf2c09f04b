/**
 * What a shadow costs: `node scripts/run-ts.mjs scripts/shadow-figures.ts`. CPU per alert without a shadow, with one,
 * and with one where only the shadow matches the alerts; then how long a look at 10,000 instances takes, what it holds
 * meanwhile, and how long it keeps others waiting.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createEngine, type Engine } from "../src/engine.ts";
import type { PolicyDocument } from "../src/formats/policy-file.ts";

const ALERTS = 10_000;
const REQUEST = 100;
const ROUNDS = 5;

const rule = (team: string, count: number): PolicyDocument[] => [
  {
    name: "shed",
    match: [`team="${team}"`],
    action: { log: {} },
    converge: { function: "skip_when_exceed", by: ["rack"], count, window: "10m" },
  },
];

const variants = {
  "without a shadow": { shadow: null, team: "core" },
  "with a shadow": { shadow: rule("core", 3), team: "core" },
  "unmatched, without a shadow": { shadow: null, team: "web" },
  "unmatched, matched by the shadow": { shadow: rule("web", 3), team: "web" },
} as const;

const used = new Map<string, number[]>();
for (let round = 0; round < ROUNDS; round += 1)
  for (const [name, { shadow, team }] of Object.entries(variants)) {
    const engine = createEngine({ policies: rule("core", 1), ...(shadow === null ? {} : { shadow }) });
    await engine.start();
    const us = (await send(engine, team)) / ALERTS;
    used.set(name, [...(used.get(name) ?? []), us]);
    await engine.stop();
  }
for (const [name, rounds] of used)
  console.log(
    `${name}: ${median(rounds).toFixed(1)} us CPU an alert (${rounds.map((us) => us.toFixed(1)).join(", ")})`,
  );
await measureLook();

/** Microseconds of CPU. */
async function send(engine: Engine, team: string): Promise<number> {
  const before = process.cpuUsage();
  for (let from = 0; from < ALERTS; from += REQUEST) {
    const alerts = Array.from({ length: REQUEST }, (_, index) => ({
      status: "firing" as const,
      labels: { alertname: "Down", team, rack: `r${(from + index) % 50}`, host: `h${from + index}` },
    }));
    await engine.ingest(alerts);
  }
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

async function measureLook(): Promise<void> {
  const engine = createEngine({ policies: rule("core", 1), shadow: rule("core", 3) });
  await engine.start();
  await send(engine, "core");
  const gc = (globalThis as { gc?: () => void }).gc ?? (() => {});
  gc();
  const heap = process.memoryUsage().heapUsed;
  let peak = heap;
  const watching = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().heapUsed);
  }, 20);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const began = performance.now();
  const { summary } = await engine.shadow();
  const seconds = (performance.now() - began) / 1_000;
  delay.disable();
  clearInterval(watching);
  const ms = (ns: number) => (ns / 1e6).toFixed(0);
  console.log(
    `a look at ${summary.instances} instances: ${seconds.toFixed(2)} s, ${summary.changed} changed; heap ${mb(heap)} -> at most ${mb(peak)} MB; ` +
      `event loop p50 ${ms(delay.percentile(50))} ms, p99 ${ms(delay.percentile(99))} ms, max ${ms(delay.max)} ms`,
  );
  await engine.stop();
}

function mb(bytes: number): number {
  return Math.round(bytes / 1e6);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

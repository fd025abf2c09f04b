/**
 * What an attached viewer costs the engine: 10,000 alerts, with and without a viewer in turn, in one run. Prints alerts a second.
 * node scripts/run-ts.mjs test/inspect/storm.bench.ts [rounds]
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { createEngine, createInspectServer, type EngineOptions, type InspectServer } from "../../src/index.ts";

const ALERT_COUNT = 10_000;
const BATCH_COUNT = 100;
const POLICIES = {
  policies: [
    {
      name: "restart",
      match: ['alertname=~".+"'],
      action: { log: {} },
      converge: { function: "skip_when_success", by: ["alertname"], count: 2, window: "5m" },
    },
  ],
};

const rounds = Number(process.argv[2] ?? 7);
const rates: Record<"off" | "on", number[]> = { off: [], on: [] };
const cpuMs: Record<"off" | "on", number[]> = { off: [], on: [] };
await storm(null);
for (let round = 0; round < rounds; round += 1) {
  rates.off.push(await storm(null));
  rates.on.push(await watched());
}
const off = median(rates.off);
const on = median(rates.on);
console.log(`off ${Math.round(off)}/s, on ${Math.round(on)}/s, falls by ${((1 - on / off) * 100).toFixed(1)} %`);
console.log(`CPU time of the engine's process: off ${median(cpuMs.off)} ms, on ${median(cpuMs.on)} ms`);

async function watched(): Promise<number> {
  const server = await createInspectServer();
  const viewer = fork(new URL("./viewer-program.mjs", import.meta.url), [server.socketUrl]);
  await once(viewer, "message");
  const rate = await storm(server, viewer);
  viewer.kill();
  await server.close();
  return rate;
}

async function storm(inspect: InspectServer | null, viewer?: ChildProcess): Promise<number> {
  const engine = createEngine({
    policies: POLICIES as EngineOptions["policies"],
    ...(inspect === null ? {} : { inspect }),
  });
  await engine.start();
  const startMs = performance.now();
  const cpu = process.cpuUsage();
  for (let from = 0; from < ALERT_COUNT; from += BATCH_COUNT) {
    await engine.ingest(Array.from({ length: BATCH_COUNT }, (_, index) => alertOf(from + index)));
  }
  const rate = ALERT_COUNT / ((performance.now() - startMs) / 1_000);
  const { user, system } = process.cpuUsage(cpu);
  cpuMs[inspect === null ? "off" : "on"].push((user + system) / 1_000);
  if (inspect !== null && viewer !== undefined) {
    const startMs = performance.now();
    while (!inspect.load.isUpToDate || inspect.load.heldBytes > 0)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const { length } = await shown(viewer, ALERT_COUNT);
    console.log(`the viewer shows ${length} instances ${Math.round(performance.now() - startMs)} ms after the storm`);
  }
  await engine.stop();
  return rate;
}

/** What has left this process may still be on its way: the viewer is asked until it knows all. */
async function shown(viewer: ChildProcess, count: number): Promise<readonly unknown[]> {
  for (;;) {
    viewer.send("states");
    const [{ states }] = (await once(viewer, "message")) as [{ states: unknown[] }];
    if (states.length >= count) return states;
  }
}

function alertOf(number: number) {
  return {
    labels: { alertname: `A${number % 50}`, instance: `host-${number}` },
    startsAt: new Date(1_795_000_000_000),
  };
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

/**
 * How long `becalm diff` and `becalm replay` take, and how much memory: `npm run build && node scripts/run-ts.mjs
 * scripts/what-if-figures.ts`.
 *
 * The receipts are of a made-up day: 100,000 alerts, each sent ten times within 36 minutes and then resolved, as
 * Alertmanager posts them. Both commands run as built, each in a process of its own on one core (taskset). `--instances
 * N` makes the day smaller, `--replayed N` takes so many histories (of a few thousand, starting the command is a large
 * part), `--only diff|replay` measures one of the two, `--keep DIR` writes the inputs there and
 * leaves them.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compose, driveVirtual } from "../src/compose.ts";
import { ALL_SUCCEED, simulatedEffects } from "../src/effects/simulated-effects.ts";
import { loadPolicySet } from "../src/formats/policy-file.ts";
import { Rejection } from "../src/formats/rejection.ts";
import { readRequest } from "../src/formats/request-line.ts";
import { BundleWriter } from "../src/simulate/bundle.ts";
import { memoryStore } from "../src/stores/memory/memory-store.ts";

const COMMAND = fileURLToPath(new URL("../dist/src/cli/main.js", import.meta.url));
const SENT_COUNT = 10;
const SENT_EVERY_MS = 4 * 60_000;
const DAY_MS = 24 * 3_600_000;
const REQUEST_EVERY_MS = 10_000;
const BEGAN_AT_MS = Date.parse("2026-11-23T00:00:00Z");
const REPLAYED_INSTANCES = 50_000;

const KINDS = ["InstanceDown", "DiskAlmostFull", "HighErrorRate", "HighLatency"] as const;

const policiesWith = (count: number) => `policies:
  - name: restart-host
    match: ['alertname="InstanceDown"']
    action: { log: {} }
    converge: { function: defense, by: [cluster], count: ${count}, window: 10m }
  - name: clean-disks
    match: ['alertname="DiskAlmostFull"']
    action: { log: {} }
    converge: { function: skip_when_success, by: [cluster], count: ${count}, window: 5m, max_window: 30m }
  - name: shed-load
    match: ['alertname="HighErrorRate"']
    action: { log: {} }
    converge: { function: skip_when_exceed, by: [cluster], count: ${count}, window: 5m }
  - name: tell-latency
    match: ['alertname="HighLatency"']
    action: { log: {} }
    converge: { function: collect, by: [region], count: ${count}, window: 5m }
`;

const { values } = parseArgs({
  options: {
    instances: { type: "string", default: "100000" },
    replayed: { type: "string" },
    only: { type: "string" },
    keep: { type: "string" },
  },
});

const count = Number(values.instances);
const folder = values.keep ?? mkdtempSync(join(tmpdir(), "becalm-what-if-"));
mkdirSync(folder, { recursive: true });
const file = (name: string) => join(folder, name);
writeFileSync(file("old.yaml"), policiesWith(1));
writeFileSync(file("new.yaml"), policiesWith(3));
try {
  if (values.only !== "replay") await measureDiff();
  if (values.only !== "diff") await measureReplay();
} finally {
  if (values.keep === undefined) rmSync(folder, { recursive: true });
}

async function measureDiff(): Promise<void> {
  await writeLines(file("day.jsonl"), requests(count));
  const bytes = statSync(file("day.jsonl")).size;
  const sides = ["--policies", file("new.yaml"), "--against", file("old.yaml"), "--alerts", file("day.jsonl")];
  const { seconds, cpuSeconds, peakMb, stdout } = onOneCore("diff", sides.concat("--json"));
  const last = stdout.trim().split("\n").at(-1) ?? "";
  console.log(
    `diff: ${seconds.toFixed(1)} s (CPU ${cpuSeconds.toFixed(1)} s), peak ${peakMb} MB, ${Math.round(bytes / 1e6)} MB of alerts; ${last}`,
  );
}

async function measureReplay(): Promise<void> {
  const replayed = values.replayed === undefined ? Math.min(count, REPLAYED_INSTANCES) : Number(values.replayed);
  await writeLines(file("day.bundle"), await bundleOf(replayed));
  const { seconds, cpuSeconds, peakMb, stdout } = onOneCore("replay", ["--file", file("day.bundle"), "--json"]);
  const { summary } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}");
  const rate = Math.round(summary.steps / seconds);
  const perCpu = Math.round(summary.steps / cpuSeconds);
  console.log(
    `replay: ${rate} steps/s, ${seconds.toFixed(2)} s (${perCpu} steps a CPU second), peak ${peakMb} MB; ${JSON.stringify(summary)}`,
  );
}

type Measured = {
  readonly seconds: number;
  /** What it used itself, whatever else the machine had to do. */
  readonly cpuSeconds: number;
  readonly peakMb: number;
  readonly stdout: string;
};

function onOneCore(command: string, args: readonly string[]): Measured {
  const report = file("peak");
  const peak = `process.on("exit",()=>require("fs").writeFileSync(${JSON.stringify(report)},JSON.stringify(process.resourceUsage())))`;
  writeFileSync(file("peak.cjs"), peak);
  const began = performance.now();
  const done = spawnSync(
    "taskset",
    ["-c", "0", process.execPath, "--require", file("peak.cjs"), COMMAND, command, ...args],
    {
      encoding: "utf8",
      maxBuffer: 1 << 30,
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  if (done.status !== 0) throw new Error(`becalm ${command} ended with ${done.status}: ${done.error ?? ""}`);
  const seconds = (performance.now() - began) / 1_000;
  const { maxRSS, userCPUTime, systemCPUTime } = JSON.parse(readFileSync(report, "utf8")) as NodeJS.ResourceUsage;
  const cpuSeconds = (userCPUTime + systemCPUTime) / 1e6;
  return { seconds, cpuSeconds, peakMb: Math.round(maxRSS / 1_024), stdout: done.stdout };
}

/** Requests of one minute-and-a-bit after the other, each with all that Alertmanager has to say by then. */
function* requests(instances: number): Generator<string> {
  const every = DAY_MS / instances;
  const endMs = DAY_MS + SENT_COUNT * SENT_EVERY_MS;
  for (let fromMs = 0; fromMs < endMs; fromMs += REQUEST_EVERY_MS) {
    const toMs = fromMs + REQUEST_EVERY_MS;
    const alerts: object[] = [];
    for (let sent = 0; sent < SENT_COUNT; sent += 1) {
      const first = Math.max(Math.ceil((fromMs - sent * SENT_EVERY_MS) / every), 0);
      for (let index = first; index < instances && index * every + sent * SENT_EVERY_MS < toMs; index += 1)
        alerts.push(
          alertOf(index, { startsAtMs: BEGAN_AT_MS + Math.floor(index * every), isLast: sent === SENT_COUNT - 1 }),
        );
    }
    if (alerts.length === 0) continue;
    const receivedAt = new Date(BEGAN_AT_MS + toMs).toISOString();
    yield JSON.stringify({
      receivedAt,
      path: "/v1/alerts",
      body: { version: "4", status: "firing", receiver: "becalm", alerts },
    });
  }
}

function alertOf(index: number, { startsAtMs, isLast }: { startsAtMs: number; isLast: boolean }): object {
  const cluster = `cluster-${index % 97}`;
  return {
    status: isLast ? "resolved" : "firing",
    labels: {
      alertname: KINDS[index % KINDS.length],
      cluster,
      instance: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}:9100`,
      job: "node",
      region: `region-${index % 7}`,
      severity: index % 3 === 0 ? "critical" : "warning",
    },
    annotations: { summary: `Something is wrong with host ${index} of ${cluster}` },
    startsAt: new Date(startsAtMs).toISOString(),
    endsAt: isLast ? new Date(startsAtMs + (SENT_COUNT - 1) * SENT_EVERY_MS).toISOString() : "0001-01-01T00:00:00Z",
    generatorURL: "http://prometheus.example:9090/graph?g0.expr=up+%3D%3D+0",
  };
}

/** What `becalm export` would write of such a day. */
async function bundleOf(instances: number): Promise<string[]> {
  const store = memoryStore();
  const policies = loadPolicySet(policiesWith(3), { file: "old.yaml" });
  const runtime = await compose({ store, mode: "simulated", policies });
  const options = { effects: simulatedEffects(ALL_SUCCEED), concurrency: 16, onCommit: [] };
  const { driver } = driveVirtual(runtime, options);
  for (const text of requests(instances)) {
    const request = readRequest(JSON.parse(text), {});
    if (request instanceof Rejection || request.atMs === null)
      throw new Error("a request of its own making is refused");
    await driver.line(request.alerts, request.atMs);
  }
  await driver.finish();
  const writer = new BundleWriter([]);
  const lines = [writer.header({ namespace: "day", exportedAtMs: BEGAN_AT_MS + DAY_MS })];
  for (const { key, value } of await store.policies()) lines.push(writer.policy({ policy: key, value }));
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const page = await store.list({ limit: 1_000, ...(cursor === undefined ? {} : { cursor }) });
    for (const { id, version, value } of page.instances)
      lines.push(writer.instance({ id, version, checkpoint: value, lines: (await store.history(id)) ?? [] }));
    cursor = page.next;
  }
  lines.push(writer.end());
  return lines;
}

async function writeLines(path: string, lines: Iterable<string>): Promise<void> {
  const stream = createWriteStream(path);
  for (const line of lines) if (!stream.write(`${line}\n`)) await once(stream, "drain");
  stream.end();
  await finished(stream);
}

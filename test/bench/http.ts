/** Alerts over HTTP: `becalm serve` on its own durable store beside Debian's Alertmanager, which keeps them in memory, taking the same posts. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chunksOf, stormAlerts } from "./alerts.ts";
import { median } from "./stats.ts";

const COMMAND = fileURLToPath(new URL("../../src/cli/main.js", import.meta.url));
const AT_ONCE = 8;
const GROUPS = 100;
/** The first tenth of each group runs. */
const POLICIES = {
  policies: [
    {
      name: "restart",
      match: ['alertname="InstanceDown"'],
      action: { log: {} },
      converge: { function: "skip_when_exceed", by: ["alertname", "cluster"], count: 100, window: "1h" },
    },
  ],
};

export type Served = {
  readonly perSecond: number;
  /** CPU of the server for one alert, of all its threads. */
  readonly cpuMicros: number;
  /** And of the process that posts, which has to share the machine's cores with it. */
  readonly clientMicros: number;
};

/** The alerts that run come in the warm-up: what is measured converges, so that Alertmanager, which runs nothing, has the same to do. */
const WARM_UP_COUNT = 16_000;
/** As the image and the unit start it (deploy/). */
const SERVER_ENV = { ...process.env, NODE_OPTIONS: "--max-semi-space-size=64" };

type Running = { readonly port: number; readonly child: ChildProcess; stop(): Promise<void> };

export function hasAlertmanager(): boolean {
  return spawnSync("prometheus-alertmanager", ["--version"], { stdio: "ignore" }).status === 0;
}

export type Program = "becalm" | "alertmanager";

async function start(program: Program): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), "becalm-bench-http-"));
  const port = await freePort();
  writeFileSync(join(folder, "policies.json"), JSON.stringify(POLICIES));
  writeFileSync(join(folder, "alertmanager.yml"), "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n");
  const [name, args] =
    program === "becalm"
      ? [
          process.execPath,
          [COMMAND, "serve", "--policies", "policies.json", "--listen", `127.0.0.1:${port}`, "--log", "log.jsonl"],
        ]
      : [
          "prometheus-alertmanager",
          [
            "--config.file=alertmanager.yml",
            "--storage.path=data",
            `--web.listen-address=127.0.0.1:${port}`,
            "--cluster.listen-address=",
          ],
        ];
  const child = spawn(name, args as string[], { cwd: folder, stdio: "ignore", env: SERVER_ENV });
  while (!(await isReady(port))) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode} before it was ready`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const stop = async () => {
    const ended = once(child, "exit");
    child.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  return { port, child, stop };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

function isReady(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/-/ready`).then(
    ({ ok }) => ok,
    () => false,
  );
}

/** Bodies that are made before anything is measured. */
function bodiesOf({ count, size, from }: { count: number; size: number; from: number }): Buffer[] {
  const alerts = stormAlerts({ count, groups: GROUPS, from });
  return [...chunksOf(alerts, size)].map((some) => Buffer.from(JSON.stringify(some)));
}

function post(port: number, agent: Agent, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", "content-length": body.length };
    const sent = request(
      { port, host: "127.0.0.1", path: "/api/v2/alerts", method: "POST", headers, agent },
      (response) => {
        response.resume();
        response.on("end", () =>
          response.statusCode === 200 ? resolve() : reject(new Error(`answered ${response.statusCode}`)),
        );
      },
    );
    sent.on("error", reject);
    sent.end(body);
  });
}

/** CPU time of a process in microseconds, as the kernel counts it. */
function cpuMicrosOf({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function drive({ port, child }: Running, bodies: readonly Buffer[], size: number): Promise<Served> {
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  let next = 0;
  const worker = async () => {
    for (let body = bodies[next++]; body !== undefined; body = bodies[next++]) await post(port, agent, body);
  };
  const [startMs, startMicros, ownStart] = [performance.now(), cpuMicrosOf(child), process.cpuUsage()];
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const seconds = (performance.now() - startMs) / 1_000;
  const count = bodies.length * size;
  const { user, system } = process.cpuUsage(ownStart);
  agent.destroy();
  return {
    perSecond: count / seconds,
    cpuMicros: (cpuMicrosOf(child) - startMicros) / count,
    clientMicros: (user + system) / count,
  };
}

/** Medians over `rounds` fresh servers, the programs in turn. */
export async function served(
  programs: readonly Program[],
  { count, size, rounds }: { count: number; size: number; rounds: number },
): Promise<Record<string, Served>> {
  const samples = new Map<Program, Served[]>(programs.map((program) => [program, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const program of programs) {
      const running = await start(program);
      await drive(running, bodiesOf({ count: WARM_UP_COUNT, size: 64, from: 10_000_000 }), 64);
      samples.get(program)?.push(await drive(running, bodiesOf({ count, size, from: 0 }), size));
      await running.stop();
    }
  }
  return Object.fromEntries(
    [...samples].map(([program, all]) => [
      program,
      {
        perSecond: median(all.map((one) => one.perSecond)),
        cpuMicros: median(all.map((one) => one.cpuMicros)),
        clientMicros: median(all.map((one) => one.clientMicros)),
      },
    ]),
  );
}

export type Latency = { readonly p50Ms: number; readonly p99Ms: number };

/** Answers to bodies that are sent at an even rate, whether or not the ones before were answered. */
export async function latencyAt(rate: number, { size, seconds }: { size: number; seconds: number }): Promise<Latency> {
  const running = await start("becalm");
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const gapMs = (size / rate) * 1_000;
  const bodies = bodiesOf({ count: Math.round(rate * seconds), size, from: 0 });
  await drive(running, bodiesOf({ count: WARM_UP_COUNT, size: 64, from: 10_000_000 }), 64);
  const took: number[] = [];
  const startMs = performance.now();
  const sent: Promise<void>[] = [];
  for (const [index, body] of bodies.entries()) {
    const dueMs = startMs + index * gapMs;
    while (performance.now() < dueMs)
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
    // From when it was due: a server that makes senders late does not look fast by it.
    sent.push(post(running.port, agent, body).then(() => void took.push(performance.now() - dueMs)));
  }
  await Promise.all(sent);
  agent.destroy();
  await running.stop();
  const sorted = took.sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

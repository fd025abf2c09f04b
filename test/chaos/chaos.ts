/**
 * One run against real processes: Redis servers, contenders, a target, and what goes wrong with them.
 *
 * Owns: when faults happen, and what is recorded. Does not own: what must hold (test/checkers), or how a contender works.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { violationsOf } from "../checkers/all-checkers.ts";
import { recordStore } from "../checkers/record-store.ts";
import type { Recording, Violation } from "../checkers/recording.ts";
import { SeededRandom } from "../simulation/seeded-random.ts";
import { buildProgram, type SeededFault } from "../simulation/simulation-build.ts";
import { type RedisServer, startRedis } from "../support/redis-server.ts";
import { chaosPolicies } from "./chaos-policies.ts";
import type { ChaosScenario, FaultKind, PlannedFault } from "./chaos-scenario.ts";
import { type Contender, ForkedContender } from "./contender.ts";
import { type Deployment, moveSlot, slotsWithKeys, startDeployment, until, withClient } from "./deployment.ts";
import { seamOf } from "./named-points.ts";
import { type Outcome, outcomeOf } from "./outcome.ts";
import { PointPlan, pointsOf } from "./point-plan.ts";
import { readTextbook } from "./read-textbook.ts";
import { comesToRest } from "./rest.ts";
import { Sender } from "./sender.ts";
import { ServedContender } from "./served-contender.ts";
import { storeAt } from "./store-at.ts";
import { startTarget, type Target } from "./target.ts";

const NAMESPACE = "chaos";
const ACKNOWLEDGED_MS_MAX = 60_000;
/** Deadlines of a few calls of the store after each other, and a busy desk. */
const ANSWERED_WITHIN_MS = 20_000;

export type ChaosOptions = {
  readonly scenario: ChaosScenario;
  readonly seed: number;
  /** Who is put to the test. */
  readonly contender: "becalm" | "textbook";
  /** A mistake that is put into the engines. */
  readonly fault?: SeededFault;
  readonly log: (line: string) => void;
  /** What a process reports. */
  readonly logFault?: (line: string) => void;
};

export type ChaosReport = {
  readonly contender: string;
  readonly scenario: string;
  readonly seed: number;
  readonly faults: Readonly<Record<string, number>>;
  /** How many engines were there and ready, on average, while the faults went on. */
  readonly enginesReady: number;
  readonly violations: readonly Violation[];
  readonly outcome: Outcome;
};

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const folder = await mkdtemp(join(tmpdir(), "becalm-chaos-"));
  const deployment = await startDeployment(options.scenario.deployment);
  const target = await startTarget({
    logPath: join(folder, "deliveries.jsonl"),
    failures: 0.1,
    delayMsMax: options.scenario.targetMsMax,
  });
  const points = pointsOf(options.scenario);
  const program = await buildProgram(PROGRAMS[options.contender], options.fault ?? null, points.map(seamOf));
  const workers = options.scenario.workers > 0;
  const worker = workers ? await buildProgram("test/chaos/worker-process.ts", options.fault ?? null) : "";
  const queueServer = workers ? await startRedis() : null;
  const serve = options.scenario.servers > 0 ? await buildProgram("src/cli/main.ts") : "";
  const logPath = join(folder, "points.log");
  await writeFile(logPath, "");
  const run = new ChaosRun(options, { deployment, target, program, serve, worker, queueServer, folder, logPath });
  try {
    return await run.run();
  } finally {
    run.killAll();
    await target.stop();
    await deployment.stop();
    await queueServer?.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

const PROGRAMS = {
  becalm: "test/chaos/engine-process.ts",
  textbook: "test/chaos/textbook-process.ts",
} as const;

type Parts = {
  readonly deployment: Deployment;
  readonly target: Target;
  readonly program: string;
  /** The command, built; empty: nobody is served. */
  readonly serve: string;
  /** The worker, built, and BullMQ's server; empty and null: there are no workers. */
  readonly worker: string;
  readonly queueServer: RedisServer | null;
  readonly folder: string;
  /** Where processes say that they have come to a named point. */
  readonly logPath: string;
};

class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #parts: Parts;
  readonly #random: SeededRandom;
  readonly #points: PointPlan;
  readonly #engines: Contender[] = [];
  readonly #workers: ForkedContender[] = [];
  readonly #faultLines: { atMs: number; text: string }[] = [];
  readonly #counts: Record<string, number> = {};
  readonly #healing = new Set<Promise<unknown>>();
  #engineCount = 0;
  #ranSeconds = 0;
  #policyVersion: 1 | 2 = 1;

  constructor(options: ChaosOptions, parts: Parts) {
    this.#options = options;
    this.#parts = parts;
    this.#random = new SeededRandom(options.seed);
    this.#points = new PointPlan({
      points: pointsOf(options.scenario),
      random: this.#random,
      logPath: parts.logPath,
    });
  }

  async run(): Promise<ChaosReport> {
    const { scenario, seed, log, contender } = this.#options;
    const { engines, alertsPerSecond, seconds, faults } = scenario;
    for (let count = 0; count < engines; count += 1) this.#startEngine();
    await until("the engines are ready", async () => this.#engines.every(({ isReady }) => isReady), 60_000);
    for (let count = 0; count < scenario.workers; count += 1) this.#startWorker();
    const startedAtMs = Date.now();
    const untilMs = performance.now() + seconds * 1_000;
    const sender = new Sender(this.#random, alertsPerSecond, () => this.#engines);
    sender.start();
    const timers = faults.map((fault) => setInterval(() => this.#act(fault), fault.everyMs));
    const ready: number[] = [];
    timers.push(setInterval(() => ready.push(this.#living.filter(({ isReady }) => isReady).length), 500));
    const isOver = () => performance.now() >= untilMs || this.#points.isDone;
    while (!isOver()) await delay(100);
    this.#ranSeconds = (Date.now() - startedAtMs) / 1_000;
    for (const timer of timers) clearInterval(timer);
    sender.end();
    log(`${sender.sentCount} alerts sent; the faults are over: ${JSON.stringify(this.#counts)}`);
    await Promise.allSettled(this.#healing);
    await this.#parts.deployment.healed();
    if (this.#living.length === 0) this.#startEngine();
    await until("every alert is acknowledged", async () => sender.isDone, ACKNOWLEDGED_MS_MAX).catch(() => {});
    const found = [...(await this.#found(sender, startedAtMs)), ...this.#undone(sender)];
    sender.stop();
    const lines = await this.#parts.target.lines();
    const faultLines = this.#faultLines;
    const outcome = outcomeOf({
      requests: sender.requests,
      faultLines,
      lines,
      sender,
      isAllAcknowledged: sender.isDone,
    });
    const violations = found.filter(({ what }) => !(scenario.mayLose && isLoss(what)));
    const enginesReady = Math.round((10 * ready.reduce((sum, count) => sum + count, 0)) / ready.length) / 10;
    return { contender, scenario: scenario.name, seed, faults: this.#counts, enginesReady, violations, outcome };
  }

  get #isServedInVain(): boolean {
    const served = this.#engines.filter((engine) => engine instanceof ServedContender);
    return served.length > 0 && served.every(({ takenCount }) => takenCount === 0);
  }

  #undone({ isDone, sentCount, acknowledged }: Sender): Violation[] {
    const left = `${sentCount - acknowledged.size} alerts are not acknowledged, a minute after the faults`;
    return [
      ...(this.#isServedInVain ? [{ checker: "enough happened", what: "no server acknowledged an alert" }] : []),
      ...(isDone ? [] : [{ checker: "acknowledged", what: left }]),
      ...this.#points.unreached.map((what) => ({ checker: "enough happened", what: `nobody came to it: ${what}` })),
    ];
  }

  killAll(): void {
    for (const process of [...this.#engines, ...this.#workers]) process.kill();
  }

  get #living(): readonly Contender[] {
    return this.#engines.filter(({ isDead, isStopped }) => !isDead && !isStopped);
  }

  /** As many of those that live are served as the scenario wants. */
  #startEngine(): void {
    const { deployment, target, program, serve, folder } = this.#parts;
    this.#engineCount += 1;
    const options = {
      storeUrl: deployment.url,
      namespace: NAMESPACE,
      policies: chaosPolicies(target.url, this.#policyVersion),
      targetUrl: target.url,
      leaveEffects: this.#options.scenario.workers > 0,
      isRace: this.#options.scenario.isRace === true,
      onFault: this.#onFault,
    };
    const served = this.#engines.filter((engine) => engine instanceof ServedContender && !engine.isDead).length;
    const name = `engine ${this.#engineCount}`;
    const isServed = this.#options.contender === "becalm" && served < this.#options.scenario.servers;
    this.#engines.push(
      isServed ? new ServedContender(name, serve, { ...options, folder }) : new ForkedContender(name, program, options),
    );
  }

  readonly #onFault = (text: string): void => {
    this.#faultLines.push({ atMs: Date.now(), text });
    this.#options.logFault?.(text);
  };

  #startWorker(): void {
    const { deployment, target, worker, queueServer } = this.#parts;
    this.#workers.push(
      new ForkedContender(`worker ${this.#workers.length + 1}`, worker, {
        storeUrl: deployment.url,
        namespace: NAMESPACE,
        policies: [],
        targetUrl: target.url,
        ...(queueServer === null ? {} : { queueUrl: queueServer.url }),
        onFault: this.#onFault,
      }),
    );
  }

  #oneWorker(): ForkedContender | undefined {
    const living = this.#workers.filter(({ isDead, isStopped, isReady }) => !isDead && !isStopped && isReady);
    return living.length === 0 ? undefined : this.#random.pick(living);
  }

  #killWorker(): void {
    const victim = this.#oneWorker();
    if (victim === undefined) return;
    victim.kill();
    this.#startWorker();
  }

  #act({ kind, forMs = [0] }: PlannedFault): void {
    if (kind === "reach a point") {
      this.#lookAtPoints(forMs);
      return;
    }
    const ms = this.#random.pick(forMs);
    this.#counts[kind] = (this.#counts[kind] ?? 0) + 1;
    this.#healing.add(this.#do(kind, ms));
  }

  async #do(kind: Exclude<FaultKind, "reach a point">, ms: number): Promise<void> {
    try {
      await this.#deeds[kind](ms);
    } catch (error) {
      this.#options.log(`${kind} could not be done: ${String(error)}`);
    }
  }

  /** Whoever has killed itself, or was asked to stop, is replaced. */
  #lookAtPoints(stopMs: readonly number[]): void {
    const reached = this.#points.look(this.#living as readonly ForkedContender[], stopMs);
    this.#counts["reach a point"] = (this.#counts["reach a point"] ?? 0) + reached;
    const missing = this.#options.scenario.engines - this.#engines.filter(({ isDead }) => !isDead).length;
    for (let count = 0; count < missing; count += 1) this.#startEngine();
  }

  readonly #deeds: Readonly<Record<Exclude<FaultKind, "reach a point">, (ms: number) => unknown>> = {
    "kill an engine": () => this.#killEngine(),
    "kill a worker": () => this.#killWorker(),
    "stop a worker": (ms) => this.#oneWorker()?.stop(ms),
    "flush the queue": () => this.#parts.queueServer?.flush(),
    "stop an engine": (ms) => this.#oneLiving()?.stop(ms),
    "move a clock": (ms) => this.#oneLiving()?.tell({ type: "clock", aheadMs: ms }),
    "cut connections": () => this.#parts.deployment.proxy?.cut(),
    "swallow a reply": () => this.#parts.deployment.proxy?.swallowReply(),
    "stall the network": (ms) => this.#parts.deployment.proxy?.stall(ms),
    partition: (ms) => this.#parts.deployment.proxy?.partition(ms),
    "forget scripts": () => this.#forgetScripts(),
    "fill the memory": (ms) => this.#fillMemory(ms),
    "restart the server": (ms) => this.#restartServer(ms),
    "kill the master": () => this.#killMaster(),
    "stop the master": (ms) => this.#stopMaster(ms),
    "move a slot": () => this.#moveSlot(),
    "change the policies": () => {
      this.#policyVersion = this.#policyVersion === 1 ? 2 : 1;
      return this.#killEngine();
    },
  };

  #oneLiving(): Contender | undefined {
    const living = this.#living.filter(({ isReady }) => isReady);
    return living.length === 0 ? undefined : this.#random.pick(living);
  }

  async #killEngine(): Promise<void> {
    const victim = this.#oneLiving();
    if (victim === undefined) return;
    victim.kill();
    // Of a store that has one writer the next one would be refused.
    await until("it is dead", async () => victim.isDead);
    this.#startEngine();
  }

  async #forgetScripts(): Promise<void> {
    const { servers } = this.#parts.deployment;
    await Promise.all(servers.map(({ port }) => withClient(port, (client) => client.script("FLUSH"))));
  }

  async #fillMemory(ms: number): Promise<void> {
    const [server] = this.#parts.deployment.servers;
    if (server === undefined) return;
    await withClient(server.port, (client) => client.config("SET", "maxmemory", "1mb"));
    await delay(ms);
    await withClient(server.port, (client) => client.config("SET", "maxmemory", "0"));
  }

  async #restartServer(ms: number): Promise<void> {
    const [server] = this.#parts.deployment.servers;
    if (server === undefined) return;
    await server.kill9();
    await delay(ms);
    await server.restart();
  }

  /** It comes back as a replica of whoever has taken over. */
  async #killMaster(): Promise<void> {
    const master = this.#random.pick(await this.#parts.deployment.masters());
    await master.kill9();
    await delay(8_000);
    await master.restart();
  }

  async #stopMaster(ms: number): Promise<void> {
    const master = this.#random.pick(await this.#parts.deployment.masters());
    process.kill(master.pid, "SIGSTOP");
    await delay(ms);
    process.kill(master.pid, "SIGCONT");
  }

  async #moveSlot(): Promise<void> {
    const masters = await this.#parts.deployment.masters();
    const from = this.#random.pick(masters);
    const to = this.#random.pick(masters.filter((master) => master !== from));
    const slots = await slotsWithKeys(from);
    if (slots.length === 0) return;
    await moveSlot(from, to, this.#random.pick(slots));
  }

  async #found(sender: Sender, startedAtMs: number): Promise<Violation[]> {
    if (this.#options.contender === "textbook") return readTextbook(this.#parts.deployment.directUrl);
    return violationsOf(await this.#record(sender, startedAtMs));
  }

  async #record(sender: Sender, startedAtMs: number): Promise<Recording> {
    const store = storeAt(this.#parts.deployment.directUrl, NAMESPACE);
    try {
      await store.open({});
      const isAtRest = await comesToRest(store, this.#options.scenario.stillMsMax);
      const { scenario } = this.#options;
      const lines = await this.#parts.target.lines();
      return {
        ...(await recordStore(store)),
        requests: sender.requests,
        deliveries: lines.map(({ atMs, instance, attempt, key }) => {
          return { atMs, order: null, instance, attempt, key, process: "target" };
        }),
        commitOrder: null,
        looksForTimers: null,
        pauses: [],
        faultLines: this.#faultLines,
        leftovers: isAtRest ? null : ["something that has not come to rest"],
        startedAtMs,
        endedAtMs: Date.now(),
        promises: {
          lateMsMax: null,
          skewMsMax: 2_000,
          isDeliveredOnce: scenario.isDeliveredOnce,
          answeredWithinMs: ANSWERED_WITHIN_MS,
          faultLinesPerSecondMax: 20,
          isAtRest: true,
          atLeast: { instances: Math.floor(this.#ranSeconds * 5), attempts: Math.floor(this.#ranSeconds * 2) },
        },
      };
    } finally {
      await store.close();
    }
  }
}

/** Of what a failover lost: it was acknowledged or begun, and is not there. */
function isLoss(what: string): boolean {
  return /and is not there$|but never begun$/.test(what);
}

/**
 * The library's worker: a process that runs attempts of a namespace, near their targets, and decides nothing by itself.
 */
import { compose, driveLive } from "./compose.ts";
import { EFFECT_KINDS, type EffectKind } from "./effects/effect-kind.ts";
import { engineEffects } from "./engine-effects.ts";
import type { EngineOptions } from "./engine-options.ts";
import { BecalmError, messageOf } from "./model/errors.ts";
import { CLOCK_SKEW_MS_DEFAULT, CONCURRENCY_DEFAULT, CONCURRENCY_MAX, RETENTION_MS_DEFAULT } from "./model/limits.ts";
import type { Action } from "./policy/policy.ts";
import type { QueuedAttempts, QueuedParts, QueueOptions } from "./queued-attempts.ts";
import { InstanceReader } from "./runtime/instance-reader.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { FLAG, FUNCTIONS, having, validateOptions, wholeNumber } from "./runtime/validate-options.ts";
import type { EffectChoice } from "./runtime/workers/chosen-effects.ts";
import type { LiveDriver } from "./runtime/workers/live-driver.ts";
import type { Rate } from "./runtime/workers/rate-limits.ts";
import type { Store } from "./stores/store.ts";
import { attachedClock } from "./system/attached-clock.ts";
import { AuditLog } from "./system/audit-line.ts";
import { silentLogger } from "./system/logger.ts";
import { systemClock } from "./system/system-clock.ts";

export type { EffectKind } from "./effects/effect-kind.ts";
export type { QueueOptions } from "./queued-attempts.ts";
export type { Rate } from "./runtime/workers/rate-limits.ts";

export type WorkerOptions = Pick<
  EngineOptions,
  "handlers" | "allowExec" | "allowAddresses" | "urls" | "logger" | "clock" | "drainMs" | "maxClockSkewMs"
> & {
  /** The store of the engines whose attempts it runs. */
  readonly store: Store;
  /** Runs attempts of these policies only. Default: of all. */
  readonly policies?: readonly string[];
  /** Runs these kinds only. Default: all that it is able to run. */
  readonly kinds?: readonly EffectKind[];
  /** Actions at once, and beside them as many notices (approval requests, summaries). Default 16. */
  readonly concurrency?: number;
  /**
   * How often an attempt of a policy may be begun, by policy: by all workers of the namespace together that are given a
   * rate for it. Default: as often as there are some.
   */
  readonly rates?: Readonly<Record<string, Rate>>;
  /** Attempts go through BullMQ, which is installed beside Becalm. Default: straight from the outbox. */
  readonly queue?: QueueOptions;
};

export type Worker = AsyncDisposable & {
  /** Opens the namespace, which an engine has made, and begins. Rejects with BECALM_NOT_FOUND while there is none. */
  start(): Promise<void>;
  /** Begins nothing more, lets what is under way end, and gives the rest back. */
  stop(): Promise<void>;
  /** Begins nothing more until `resume`; what is under way ends. For this process: `engine.pause` stops all. */
  pause(): void;
  resume(): void;
  readonly status: WorkerStatus;
};

/** `running`: attempts that are under way. */
export type WorkerStatus = { readonly state: "new" | "running" | "paused" | "stopped"; readonly running: number };

const LIST = (what: string, names: readonly string[] | null) => ({
  what,
  holds: (value: unknown) =>
    Array.isArray(value) &&
    value.length > 0 &&
    value.every((one) => typeof one === "string" && (names === null || names.includes(one))),
});

const OPTIONS = {
  store: having("a store, as redisStore(URL) makes it", ["open", "commit", "close"]),
  handlers: FUNCTIONS,
  allowExec: FLAG,
  allowAddresses: { what: "a list of addresses and ranges", holds: (value: unknown) => Array.isArray(value) },
  urls: having("an object that makes signed addresses", ["approval", "callback"]),
  logger: having("a logger with debug, info, warn and error, such as pino's", ["debug", "info", "warn", "error"]),
  clock: having("a clock with now and schedule", ["now", "schedule"]),
  drainMs: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  maxClockSkewMs: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  policies: LIST("a list of names of policies", null),
  kinds: LIST(`a list of ${EFFECT_KINDS.join(", ")}`, EFFECT_KINDS),
  concurrency: wholeNumber(1, CONCURRENCY_MAX),
  queue: { what: "{ bullmq: { url, name, prefix, runs } }", holds: isQueue },
  rates: { what: "an object of { count, perMs } by policy", holds: areRates },
};

function isQueue(value: unknown): boolean {
  const { bullmq, ...more } = value as Partial<QueueOptions>;
  return typeof bullmq?.url === "string" && Object.keys(more).length === 0;
}

function areRates(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const isCount = (count: unknown) => Number.isSafeInteger(count) && Number(count) >= 1;
  return Object.values(value).every((rate: Partial<Rate> | null) => isCount(rate?.count) && isCount(rate?.perMs));
}

/**
 * Makes a worker. Nothing is opened before `start`.
 * @throws BECALM_ARGUMENT_INVALID if an option is unknown or its value is invalid
 */
export function createWorker(options: WorkerOptions): Worker {
  validateOptions("createWorker", options, OPTIONS);
  if (options.store === undefined)
    throw new BecalmError("BECALM_ARGUMENT_INVALID", "createWorker needs the `store` of the engines.");
  return new LiveWorker(options);
}

type CanRun = Pick<WorkerOptions, "handlers" | "allowExec" | "urls" | "queue">;

/**
 * What a worker with these options is able to run: it takes nothing else, so nothing fails for having met the wrong
 * one.
 */
export function canRunBy({ handlers = {}, allowExec = false, urls, queue }: CanRun) {
  return (action: Action): boolean => {
    if (action.kind === "handler") return Object.hasOwn(handlers, action.name);
    // Processors of others answer for the whole of it when they end.
    if (action.kind === "webhook" && action.callback === true)
      return urls !== undefined || queue?.bullmq.runs === false;
    return action.kind !== "exec" || allowExec;
  };
}

type Opened = {
  readonly driver: LiveDriver;
  readonly auditLog: AuditLog;
  readonly queued: QueuedAttempts | null;
  readonly detach: () => void;
};

class LiveWorker implements Worker {
  readonly #options: WorkerOptions;
  #opened: Promise<Opened> | null = null;
  #driver: LiveDriver | null = null;
  #queued: QueuedAttempts | null = null;
  #state: WorkerStatus["state"] = "new";
  #isPaused = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#isStopped) throw new BecalmError("BECALM_STOPPED", "The worker is stopped. Make another one.");
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = null;
      throw error;
    });
    const { driver, queued } = await this.#opened;
    if (driver.isStarted) return;
    await driver.owners.upgrade.join();
    if (driver.isStarted || this.#isStopped) return;
    this.#driver = driver;
    this.#queued = queued;
    this.#state = "running";
    driver.isPaused = this.#isPaused;
    driver.start();
  }

  get #isStopped(): boolean {
    return this.#state === "stopped";
  }

  async stop(): Promise<void> {
    this.#state = "stopped";
    if (this.#opened === null) return;
    const { driver, auditLog, queued, detach } = await this.#opened;
    const drainMs = this.#options.drainMs ?? 30_000;
    driver.isPaused = true;
    await queued?.drain(drainMs);
    // What waits in BullMQ waits for whoever takes it over.
    await driver.stop(queued === null ? drainMs : 0);
    await queued?.close();
    await auditLog.settled();
    detach();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  pause(): void {
    this.#pause(true);
  }

  resume(): void {
    this.#pause(false);
  }

  get status(): WorkerStatus {
    const state = this.#state === "running" && this.#isPaused ? "paused" : this.#state;
    return { state, running: this.#queued?.runningCount() ?? this.#driver?.outCount ?? 0 };
  }

  #pause(isPaused: boolean): void {
    this.#isPaused = isPaused;
    if (this.#driver !== null) this.#driver.isPaused = isPaused;
    if (isPaused) this.#queued?.pause();
    else this.#queued?.resume();
  }

  async #open(): Promise<Opened> {
    const { store, logger = silentLogger, concurrency = CONCURRENCY_DEFAULT, clock, maxClockSkewMs } = this.#options;
    const attached = attachedClock(clock ?? systemClock());
    const runtime = await compose({ store, clock: attached.clock, decides: "process" });
    if (runtime.mode !== "live") throw virtualNamespace(runtime.mode);
    const reader = new InstanceReader(runtime);
    const auditLog = new AuditLog(logger, (id) => reader.birth(id));
    const now = () => runtime.clock.now();
    const onFault = (what: string, error: unknown) => logger.error({ err: error }, what);
    const { queue, ...local } = this.#options;
    const parts = { concurrency, local: { ...local, logger, now }, onFault };
    const queued = queue === undefined ? null : await queuedThrough(queue, runtime, parts);
    const attempts = queued === null ? engineEffects(this.#options, { logger, now }) : { ...queued, onCommit: [] };
    const { driver } = driveLive(runtime, {
      effects: attempts.effects,
      concurrency: queued === null ? concurrency : queued.countMax,
      retentionMs: RETENTION_MS_DEFAULT,
      choice: choiceOf(this.#options),
      onCommit: [...attempts.onCommit, ({ entries }) => auditLog.write(entries)],
      watch: { maxClockSkewMs: maxClockSkewMs ?? (clock === undefined ? CLOCK_SKEW_MS_DEFAULT : null), logger },
      onFault,
    });
    await driver.storeWatch.look().catch((error: unknown) => logger.warn({ err: error }, messageOf(error)));
    attached.setWorker(driver);
    return { driver, auditLog, queued, detach: attached.detach };
  }
}

function choiceOf(options: WorkerOptions): EffectChoice {
  const { policies, kinds, rates = {} } = options;
  return {
    policies: policies === undefined ? null : new Set(policies),
    kinds: kinds === undefined ? null : new Set(kinds),
    canRun: canRunBy(options),
    rates: new Map(Object.entries(rates)),
  };
}

function virtualNamespace(mode: string): BecalmError {
  const text = `The namespace was made by \`becalm run\` (${mode}), whose attempts are its own. A worker works for engines and \`becalm serve\`.`;
  return new BecalmError("BECALM_NAMESPACE_MODE", text, { details: { mode } });
}

/** Loaded when it is needed: with what it imports, every command would start a fifth slower. */
async function queuedThrough(queue: QueueOptions, runtime: Runtime, parts: Omit<QueuedParts, "queue">) {
  const { queuedAttempts } = await import("./queued-attempts.ts");
  return queuedAttempts(runtime, { queue, ...parts });
}

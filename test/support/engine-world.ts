/**
 * Engines in a world of their own: a clock that stands still, handlers whose attempts end when the test says so, a store that can be
 * looked at from outside, and a word for "nothing is under way any more" that needs no sleeping.
 */
import { setTimeout as delay, setImmediate as turn } from "node:timers/promises";
import { Redis } from "ioredis";
import { onTestFinished } from "vitest";
import type { EffectHandlerInput } from "../../src/effects/local-effects.ts";
import { createEngine, type Engine, type EngineOptions, type IngestResult } from "../../src/engine.ts";
import type { AlertInput } from "../../src/formats/alert-input.ts";
import type { PolicyDocument, PolicyInput } from "../../src/formats/policy-file.ts";
import { verifyChain } from "../../src/instance/audit.ts";
import type { InstanceSnapshot } from "../../src/instance/instance-snapshot.ts";
import { partitionOf } from "../../src/model/ids.ts";
import { replay } from "../../src/simulate/replay.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import type { CommitOutcome, Store, StoredInstance } from "../../src/stores/store.ts";
import type { Clock, ClockWorker } from "../../src/system/clock.ts";
import { createWorker, type Worker, type WorkerOptions } from "../../src/worker.ts";
import { ManualClock } from "./manual-clock.ts";
import { type StoreCall, type StoreFate, type WatchedStore, type WatchOptions, watchStore } from "./watched-store.ts";

/** 2026-11-23T06:00:00Z */
export const START_MS = 1_795_413_600_000;
export const SECOND_MS = 1_000;
export const MINUTE_MS = 60_000;
export const PARTITION_COUNT = 4;
/** Timers that fell due while nobody looked are found at the next look. */
export const POLL_MS = 500;

/** Quiet turns of the event loop in a row after which nothing is under way. */
const QUIET_TURN_COUNT = 6;
const UNTIL_MS_MAX = 90_000;

/** One attempt that a handler was asked for. */
export type Attempt = EffectHandlerInput & {
  readonly startedAtMs: number;
  /** How it ended; null: it has not. */
  ended: "done" | "failed" | null;
  readonly succeed: (result?: unknown) => void;
  readonly fail: (why?: string) => void;
};

/** Says how an attempt ends as soon as it starts; `undefined` leaves it to the test. */
export type Outcome = (attempt: Attempt) => "done" | "failed" | undefined;

export type StoreKind = {
  readonly name: string;
  /** Makes the shared storage of one world. */
  readonly make: (clock: ManualClock) => Storage;
};

/** The rows of one namespace. `connect` gives a store on them, as a process of its own would have. */
export type Storage = {
  readonly connect: () => Store;
  /** Lets every claim on an effect and every slot of a lock run out, as if their process had been gone for long. */
  readonly expireLeases: () => Promise<void>;
};

export const MEMORY: StoreKind = {
  name: "memory",
  make: (clock) => {
    let aheadMs = 0;
    const store = memoryStore({ now: () => clock.now() + aheadMs });
    return {
      connect: () => store,
      expireLeases: async () => {
        aheadMs += 61 * SECOND_MS;
      },
    };
  },
};

let namespaceCount = 0;

/** Each world gets a namespace of its own on the server. */
export function redisKind(server: { readonly url: string }): StoreKind {
  return {
    name: "redis",
    make: () => {
      namespaceCount += 1;
      const namespace = `world-${process.pid}-${namespaceCount}`;
      return {
        connect: () => {
          const store = redisStore(server.url, { namespace });
          onTestFinished(() => store.close());
          return store;
        },
        expireLeases: () => expireLeases(server.url, namespace),
      };
    },
  };
}

/** The server's clock cannot be moved, so the ends of the leases are. */
async function expireLeases(url: string, namespace: string): Promise<void> {
  const client = new Redis(url);
  try {
    const slots = await client.keys(`becalm:{*}:${namespace}:d:*`);
    if (slots.length > 0) await client.del(...slots);
    for (const key of await client.keys(`becalm:{*}:${namespace}:claims`)) {
      for (const member of await client.zrange(key, "0", "-1")) await client.zadd(key, "XX", "1", member);
    }
  } finally {
    client.disconnect();
  }
}

export type EngineSetup = Partial<Omit<EngineOptions, "policies" | "store" | "clock">> & {
  readonly fateOf?: (call: StoreCall) => StoreFate;
  /** Told how each commit came out. */
  readonly onOutcome?: (outcome: CommitOutcome) => unknown;
  readonly isFar?: boolean;
  /** Default: it is started. */
  readonly isStarted?: boolean;
};

export type WorkerSetup = Partial<Omit<WorkerOptions, "store" | "clock" | "handlers">> & {
  readonly names?: readonly string[];
  readonly fateOf?: (call: StoreCall) => StoreFate;
};

/** `kill`: as SIGKILL would. */
export type RunningWorker = Worker & { readonly kill: () => void };

export type RunningEngine = Engine & {
  /** Ends it as SIGKILL would: it hears nothing more of its store, and its attempts count no more. */
  kill(): void;
  isDead(): boolean;
};

/** `works`: of the engines and workers that are open on it. */
type Watched = WatchedStore & { readonly clock: Clock; readonly works: ReadonlySet<ClockWorker> };

export class EngineWorld {
  readonly clock = new ManualClock(START_MS);
  readonly storage: Storage;
  readonly partitions: number;
  /** Every attempt that a handler was asked for, in order. */
  readonly attempts: Attempt[] = [];
  /** What the engines logged as errors. */
  readonly faults: string[] = [];
  /** Most attempts that were under way at once. */
  underwayCountMax = 0;
  outcome: Outcome = () => undefined;
  readonly #watched: Watched[] = [];
  #outside: Store | null = null;
  /** Attempts whose end is still on its way into the engine. */
  #landing = 0;

  constructor(kind: StoreKind, { partitions = PARTITION_COUNT } = {}) {
    this.storage = kind.make(this.clock);
    this.partitions = partitions;
  }

  async engine(
    policies: PolicyInput,
    { fateOf, onOutcome, isFar, isStarted = true, ...options }: EngineSetup = {},
  ): Promise<RunningEngine> {
    const watched = this.#watch({ fateOf, onOutcome, isFar });
    const act = (input: EffectHandlerInput) => (watched.isDead() ? never() : this.#act(input));
    const engine = createEngine({
      policies,
      store: watched.store,
      clock: watched.clock,
      handlers: { act },
      partitions: this.partitions,
      drainMs: 0,
      logger: {
        debug: () => {},
        info: () => {},
        warn: () => {},
        error: (_, message) => void this.faults.push(message),
      },
      ...options,
    });
    onTestFinished(async () => {
      if (!watched.isDead()) await this.stop(engine);
    });
    if (isStarted) await engine.start();
    await this.settle();
    return Object.assign(engine, { kill: watched.die, isDead: watched.isDead });
  }

  /** A worker of the engines' namespace, with the same handler under every name that it is asked for. */
  async worker({ names = ["act"], fateOf, ...options }: WorkerSetup = {}): Promise<RunningWorker> {
    const watched = this.#watch({ fateOf });
    const act = (input: EffectHandlerInput) => (watched.isDead() ? never() : this.#act(input));
    const worker = createWorker({
      store: watched.store,
      clock: watched.clock,
      handlers: Object.fromEntries(names.map((name) => [name, act])),
      drainMs: 0,
      logger: { debug: () => {}, info: () => {}, warn: () => {}, error: (_, text) => void this.faults.push(text) },
      ...options,
    });
    onTestFinished(async () => {
      if (!watched.isDead()) await this.stop(worker);
    });
    await worker.start();
    await this.settle();
    return Object.assign(worker, { kill: watched.die });
  }

  /** Stops an engine or a worker whose drain is measured by this world's clock. */
  async stop(engine: Pick<Engine, "stop">): Promise<void> {
    let isStopped = false;
    const stopped = engine.stop().finally(() => {
      isStopped = true;
    });
    while (!isStopped) {
      this.clock.advance(0);
      await turn();
    }
    await stopped;
  }

  /** A connection of the test's own. */
  async outside(): Promise<Store> {
    if (this.#outside === null) {
      this.#outside = this.storage.connect();
      await this.#outside.open({ mode: "live", partitions: this.partitions });
    }
    return this.#outside;
  }

  /**
   * Resolves when no call of a store is unanswered, no batch or pump is under way, also none that backs off in real time, and nothing
   * follows from the last answer. Attempts that wait for the test do not count.
   */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < QUIET_TURN_COUNT; quiet += 1) {
      await turn();
      if (this.#landing > 0 || this.#watched.some(({ pendingCount }) => pendingCount() > 0)) quiet = -1;
      else if (await this.#waitedForWork()) quiet = -1;
    }
  }

  /** Waits for what the living are at. False: they are at nothing. */
  async #waitedForWork(): Promise<boolean> {
    const works = this.#watched.flatMap(({ works, isDead, whenDead }) =>
      isDead()
        ? []
        : [...works].map((work) => Promise.race([work.idle({ attempts: false }), whenDead.then(() => true)])),
    );
    return (await Promise.all(works)).includes(true);
  }

  /** What a process of its own has: a connection, and this world's clock, which hears of what it is at. */
  #watch(options: WatchOptions): Watched {
    const works = new Set<ClockWorker>();
    const { clock: worldClock } = this;
    const clock: Clock = {
      now: () => worldClock.now(),
      schedule: (delayMs, fn) => worldClock.schedule(delayMs, fn),
      attach: (work) => {
        works.add(work);
        return { clock: worldClock, detach: () => void works.delete(work) };
      },
    };
    const watched = { ...watchStore(this.storage.connect(), options), clock, works };
    this.#watched.push(watched);
    return watched;
  }

  /** Jumps ahead; everything that is due then fires at that time. */
  async elapse(ms: number): Promise<void> {
    await this.settle();
    this.clock.set(this.clock.now() + ms);
    for (;;) {
      this.clock.advance(0);
      await this.settle();
      const next = this.clock.nextDueAtMs;
      if (next === null || next > this.clock.now()) return;
    }
  }

  /** Waits for a condition. `stepMs`: how far the clock moves between two looks. */
  async until(what: string, isTrue: () => boolean | Promise<boolean>, stepMs = 0): Promise<void> {
    const deadlineMs = performance.now() + UNTIL_MS_MAX;
    for (;;) {
      await this.elapse(stepMs);
      if (await isTrue()) return;
      if (performance.now() > deadlineMs) throw new Error(`this never came about: ${what}`);
      // Another process's back-off runs in real time.
      await delay(1);
    }
  }

  /** Attempts that have not ended. */
  get underway(): Attempt[] {
    return this.attempts.filter((attempt) => attempt.ended === null);
  }

  /** Ends the attempts that are under way, in order, and what they start in turn. */
  async finishAll(): Promise<void> {
    for (let next = this.underway[0]; next !== undefined; next = this.underway[0]) {
      next.succeed();
      await this.settle();
    }
  }

  /** Every stored instance, oldest first. */
  async stored(): Promise<StoredInstance[]> {
    const store = await this.outside();
    const found: StoredInstance[] = [];
    let cursor: string | undefined;
    do {
      const page = await store.list({ limit: 500, ...(cursor === undefined ? {} : { cursor }) });
      found.push(...page.instances);
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    return found.reverse();
  }

  #act(input: EffectHandlerInput): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const end = (how: "done" | "failed", act: () => void) => {
        if (attempt.ended !== null) return;
        attempt.ended = how;
        this.#landing += 1;
        act();
        // The engine hears of it a few promises later; its first call of the store then counts by itself.
        void turn().then(() => {
          this.#landing -= 1;
        });
      };
      const attempt: Attempt = {
        ...input,
        startedAtMs: this.clock.now(),
        ended: null,
        succeed: (result) => end("done", () => resolve(result)),
        fail: (why = "it did not work") => end("failed", () => reject(new Error(why))),
      };
      this.attempts.push(attempt);
      this.underwayCountMax = Math.max(this.underwayCountMax, this.underway.length);
      const outcome = this.outcome(attempt);
      if (outcome === "done") attempt.succeed();
      if (outcome === "failed") attempt.fail();
    });
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

/** A policy whose action is the world's handler. */
export function policyOf(converge: object | null, more: object = {}): PolicyDocument {
  return {
    name: "act",
    match: [],
    action: { handler: { name: "act" } },
    ...(converge === null ? {} : { converge: { by: ["host"], window: "5m", ...converge } }),
    ...more,
  } as object as PolicyDocument;
}

/** An alert of one host; `name` tells it from the others of the host. */
/** It fires until it is resolved; with `status: undefined` for as long as its lease. */
export function alertOf(
  name: string,
  more: { host?: string; labels?: Record<string, string> } & Partial<AlertInput> = {},
): AlertInput {
  const { host = "db-1", labels = {}, ...rest } = more;
  return {
    startsAt: START_MS,
    status: "firing",
    ...rest,
    labels: { alertname: "DiskFull", host, name, ...labels },
  } as AlertInput;
}

/** The id of the only instance that each alert of a request has. */
export function idsOf(result: IngestResult): string[] {
  if (result.rejected.length > 0) throw result.rejected[0]?.error as Error;
  return result.instances.map(({ id }) => id);
}

export async function take(engine: Engine, ...alerts: readonly AlertInput[]): Promise<string[]> {
  return idsOf(await engine.ingest(alerts));
}

/** State and reason, as `Skipped peer_succeeded`. */
export async function standing(engine: Engine, id: string): Promise<string> {
  const { state, reason } = await engine.get(id).snapshot();
  return `${state} ${reason}`;
}

export async function standings(engine: Engine, ids: readonly string[]): Promise<string[]> {
  return Promise.all(ids.map((id) => standing(engine, id)));
}

export async function everything(engine: Engine): Promise<InstanceSnapshot[]> {
  const found: InstanceSnapshot[] = [];
  let cursor: string | undefined;
  do {
    const page = await engine.list({ limit: 500, ...(cursor === undefined ? {} : { cursor }) });
    found.push(...page.instances);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  return found.reverse();
}

/** Top-level states of an instance's whole life, as `Idle > Processing > Success`. */
export async function pathOf(engine: Engine, id: string): Promise<string> {
  const { entries } = await engine.get(id).history();
  const states = entries.flatMap((entry, index) => (index === 0 ? entry.path : entry.path.slice(1)));
  return states.join(" > ");
}

/** Instances whose audit chain is broken, or whose history the machine would not repeat. */
export async function unsound(world: EngineWorld, engine: Engine): Promise<string[]> {
  await world.settle();
  const store = await world.outside();
  const faults: string[] = [];
  for (const { id, value } of await world.stored()) {
    const fault = verifyChain((await store.history(id)) ?? [], value.slice(0, value.indexOf(" ")));
    if (fault !== null) faults.push(`${id}: line ${fault.line} ${fault.what}`);
    const { divergence } = replay(await engine.get(id).history());
    if (divergence !== null) faults.push(`${id}: version ${divergence.entry.version} diverges`);
  }
  return [...faults, ...(await misplaced(engine, store))];
}

/** Instances that are not found under their state, though each in it must be, or under one that they are not in. */
async function misplaced(engine: Engine, store: Store): Promise<string[]> {
  const states = (await everything(engine)).map(({ id, state }) => [id, state.split(".", 1)[0]] as const);
  const faults: string[] = [];
  for (const state of ["Processing", "Proceeding", "Defense", "Waiting"]) {
    const { instances } = await store.list({ limit: 10_000, under: state });
    const found = new Set(instances.map(({ id }) => id));
    for (const [id, own] of states) if ((own === state) !== found.has(id)) faults.push(`${id}: ${own}, ${state}`);
  }
  return faults;
}

/** Writes over what is stored of an instance or a group, as a broken program or a newer version would. Returns what puts it back. */
export async function overwrite(
  world: EngineWorld,
  target: { id: string } | { group: string },
  value: string,
): Promise<() => Promise<void>> {
  const store = await world.outside();
  const group = "group" in target ? target.group : null;
  const partition =
    group === null && "id" in target ? Number(target.id.slice(0, 2)) : partitionOf(group ?? "", world.partitions);
  const instanceIds = "id" in target ? [target.id] : [];
  const write = async (next: string): Promise<string> => {
    const loaded = await store.load({ partition, groupId: group, instanceIds });
    const stored = loaded.group ?? loaded.instances.get(instanceIds[0] ?? "");
    if (stored === undefined) throw new Error("there is nothing to overwrite");
    const { version: expectedVersion } = stored;
    const [head = "", ...body] = next.split(" ");
    const outcome = await store.commit({
      ...NOTHING,
      commitId: `overwritten ${instanceIds[0] ?? group} ${expectedVersion}`,
      partition,
      group: group === null ? null : { kind: "write", id: group, expectedVersion, value: next, ttlMs: null },
      instances: instanceIds.map((id) => ({
        id,
        expectedVersion,
        expectedHead: null,
        head,
        body: body.join(" "),
        createdAtMs: 0,
        historyLines: [],
      })),
    });
    if (outcome !== "applied") throw new Error(`the overwriting commit was ${outcome}`);
    return stored.value;
  };
  const before = await write(value);
  return async () => void (await write(before));
}

const NOTHING = {
  owner: "outside",
  afterCommitId: null,
  episodes: [],
  effects: [],
  effectClaimMs: null,
  settledEffectIds: [],
  timersArmed: [],
  timersCancelled: [],
  membersAdded: [],
  membersRemoved: [],
};

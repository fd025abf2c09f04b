/** The composition root of the command: which store, in which mode, and who runs effects. No other file of the command chooses an adapter. */
import { randomUUID } from "node:crypto";
import type { Strategy } from "../detection/core/strategy.ts";
import { Detection, type DetectionListener } from "../detection/detection.ts";
import type { DetectionStore } from "../detection/detection-store.ts";
import { effectPort } from "../effects/local-effects.ts";
import { ALL_SUCCEED, type Assumptions, simulatedEffects } from "../effects/simulated-effects.ts";
import { commitIds } from "../engine.ts";
import type { Decision } from "../instance/decide.ts";
import type { Effect } from "../instance/effect.ts";
import { BecalmError } from "../model/errors.ts";
import type { PolicySet } from "../policy/policy.ts";
import { Mailboxes } from "../runtime/inbox/mailboxes.ts";
import { openWorld } from "../runtime/open-world.ts";
import { Session, type Submit } from "../runtime/session.ts";
import { EffectRunner } from "../runtime/workers/effect-runner.ts";
import { CLAIMS_PROLONGED_EVERY_MS, EFFECT_LEASE_MS } from "../runtime/workers/live.ts";
import { VirtualRun } from "../simulate/virtual-run.ts";
import { forgetfulDetectionStore } from "../stores/memory/forgetful-detection-store.ts";
import { memoryStore } from "../stores/memory/memory-store.ts";
import type { NamespaceMode, Store } from "../stores/store.ts";
import { AuditLog } from "../system/audit-line.ts";
import type { Logger } from "../system/logger.ts";
import { silentLogger } from "../system/pino-logger.ts";
import { pause, systemClock } from "../system/system-clock.ts";
import { usedWrongly } from "./exit-codes.ts";
import { type RunLease, takeRunLease } from "./run-lease.ts";

/** What every command says about where it works. `store`: never the empty text; left out: none. */
export type StoreOptions = { readonly store?: string | undefined; readonly namespace: string };

export const LMDB = "lmdb:";

function requireStoreUrl(url: string): void {
  if (/^rediss?:|^lmdb:./.test(url)) return;
  throw usedWrongly(
    "--store (or BECALM_STORE) is no address of a store. Write it as lmdb:PATH, or as redis://[user:password@]host[:port][/database] " +
      "(rediss:// for TLS).",
  );
}

/** A store that is not opened yet. */
export async function storeAt(url: string, namespace: string): Promise<Store> {
  requireStoreUrl(url);
  if (url.startsWith(LMDB)) {
    const { lmdbStore } = await import("../stores/lmdb/lmdb-store.ts");
    return lmdbStore(url.slice(LMDB.length), { namespace });
  }
  const { redisStore } = await import("../stores/redis/redis-store.ts");
  return redisStore(url, { namespace });
}

export function requireStore({ store }: StoreOptions, command: string): string {
  if (store !== undefined) return store;
  throw usedWrongly(
    `\`becalm ${command}\` reads what a run or an engine left in a store, and no store was named. Give --store lmdb:PATH or redis://HOST:PORT, or set BECALM_STORE.`,
  );
}

/** Calls `use` with a namespace as it is, for looking only. */
export async function withReading<T>(
  options: StoreOptions,
  command: string,
  use: (session: Session) => Promise<T>,
): Promise<T> {
  const store = await storeAt(requireStore(options, command), options.namespace);
  try {
    const { world } = await open(store, { namespace: options.namespace });
    const refuse = (): never => {
      throw new Error("a reading command sends nothing");
    };
    return await use(new Session(world, { submit: async () => refuse(), now: refuse }));
  } finally {
    await store.close();
  }
}

export type Acting = {
  readonly session: Session;
  readonly mode: NamespaceMode;
  /** What the namespace takes for now, in epoch ms: virtual time stands where its last run left it. */
  readonly nowMs: number;
  /** How many effects this session has committed. */
  emittedCount(): number;
  /** Runs the effects that this session has committed, and what follows from their results, until nothing is outstanding. Gives their number. */
  runOutstanding(): Promise<number>;
};

/** Calls `use` with a namespace to act in, in the mode that it has. `run`: this process runs the effects that it commits. */
export async function withActing<T>(
  options: StoreOptions & { readonly run: boolean; readonly allowExec: boolean },
  command: string,
  use: (acting: Acting) => Promise<T>,
): Promise<T> {
  const store = await storeAt(requireStore(options, command), options.namespace);
  const pending: Effect[] = [];
  let emittedCount = 0;
  let follow = (effects: readonly Effect[]): void => void pending.push(...effects);
  let lease: RunLease | null = null;
  try {
    const { world, info } = await open(store, {
      namespace: options.namespace,
      effectClaimMs: options.run ? EFFECT_LEASE_MS : null,
      committed: ({ effects }) => {
        emittedCount += effects.length;
        follow(effects);
      },
    });
    const isSimulated = info.mode === "simulated";
    const port = isSimulated ? simulatedEffects(ALL_SUCCEED) : effectPort({ allowExec: options.allowExec });
    const runner = new EffectRunner(world, port, 1);
    if (info.mode === "live") {
      const mailboxes = new Mailboxes(world);
      const submit = (works: Parameters<Submit>[0]) => mailboxes.submitEach(works);
      const session = new Session(world, { submit, now: Date.now });
      return await use({
        session,
        mode: info.mode,
        nowMs: Date.now(),
        emittedCount: () => emittedCount,
        runOutstanding: () => runLive({ session, runner, submit, pending }),
      });
    }
    if (options.run) lease = await takeRunLease(store, { owner: world.owner, namespace: options.namespace });
    const nowMs = info.highestTimeMs ?? 0;
    const run = new VirtualRun(world, runner, { concurrency: 1, highestTimeMs: nowMs });
    follow = (effects) => run.emitted(effects);
    const session = new Session(world, { submit: (works) => run.send(works), now: () => nowMs });
    return await use({
      session,
      mode: info.mode,
      nowMs,
      emittedCount: () => emittedCount,
      runOutstanding: async () => run.settleAll().then(() => emittedCount),
    });
  } finally {
    await lease?.release();
    await store.close();
  }
}

type LiveParts = { session: Session; runner: EffectRunner; submit: Submit; pending: Effect[] };

/** Engines that are up leave these alone: they are claimed by this process, and the claim is prolonged while an attempt takes long. */
async function runLive({ session, runner, submit, pending }: LiveParts): Promise<number> {
  const { store, owner } = session.world;
  const prolong = () =>
    void store
      .extendClaims({ owner, leaseMs: EFFECT_LEASE_MS, effectIds: pending.map(({ id }) => id) })
      .catch(() => {});
  const timer = setInterval(prolong, CLAIMS_PROLONGED_EVERY_MS);
  let count = 0;
  try {
    for (let effect = pending[0]; effect !== undefined; effect = pending[0]) {
      const work = await runner.run(effect, Date.now);
      if (work !== null) await submit([{ address: { partition: effect.partition, groupId: effect.groupId }, work }]);
      pending.splice(pending.indexOf(effect), 1);
      count += 1;
    }
    return count;
  } finally {
    clearInterval(timer);
  }
}

export type Running = {
  readonly session: Session;
  readonly run: VirtualRun;
  /** Throws BECALM_NAMESPACE_BUSY when another run has taken the namespace over. */
  readonly checkLease: () => void;
};

export type RunOptions = StoreOptions & {
  readonly policies: PolicySet;
  readonly concurrency: number;
  readonly effects: RunEffects;
  readonly logger?: Logger;
};

/** What a virtual run does with effects: assume how they end, or really perform them. */
export type RunEffects =
  | { readonly kind: "simulated"; readonly assumptions: Assumptions }
  | { readonly kind: "performed"; readonly allowExec: boolean };

/** Nothing outside is touched, and everything succeeds. */
export const SIMULATED: RunEffects = { kind: "simulated", assumptions: ALL_SUCCEED };

/** Calls `use` with a virtual run over a namespace, made if need be; without a store on one in memory. */
export async function withVirtualRun<T>(options: RunOptions, use: (running: Running) => Promise<T>): Promise<T> {
  const { policies, concurrency, effects, logger = silentLogger, namespace } = options;
  const mode = effects.kind === "simulated" ? "simulated" : "virtual";
  const isShared = options.store !== undefined;
  const store = options.store === undefined ? memoryStore() : await storeAt(options.store, namespace);
  let run: VirtualRun | null = null;
  let lease: RunLease | null = null;
  const auditLog = new AuditLog(logger);
  const committed = (decision: Decision) => {
    auditLog.write(decision.entries);
    run?.emitted(decision.effects);
  };
  try {
    const { world, info } = await open(store, { namespace, mode, policies, committed });
    if (isShared) lease = await takeRunLease(store, { owner: world.owner, namespace });
    const port =
      effects.kind === "simulated"
        ? simulatedEffects(effects.assumptions)
        : effectPort({ allowExec: effects.allowExec, logger });
    const runner = new EffectRunner(world, port, concurrency);
    const highestTimeMs = info.highestTimeMs ?? 0;
    run = new VirtualRun(world, runner, { concurrency, highestTimeMs });
    const started = run;
    await started.recover();
    const session = new Session(world, { submit: (works) => started.send(works), now: () => highestTimeMs });
    return await use({ session, run: started, checkLease: () => lease?.check() });
  } finally {
    await lease?.release();
    await store.close();
  }
}

export type DetectionOptions = StoreOptions & { readonly stream: string; readonly strategies: readonly Strategy[] };

export type Detecting = { readonly detection: Detection; readonly store: DetectionStore };

/** Calls `use` with a detection stream, loaded; without a store on one that keeps nothing: alerts are told at once. */
export async function withDetection<T>(
  options: DetectionOptions,
  listener: DetectionListener,
  use: (detecting: Detecting) => Promise<T>,
): Promise<T> {
  const store = await detectionStoreAt(options);
  try {
    const world = { store, now: Date.now, commitId: commitIds(), pause, random: Math.random };
    const detection = new Detection(world, options.strategies, listener);
    await detection.load();
    return await use({ detection, store });
  } finally {
    await store.close();
  }
}

async function detectionStoreAt({ store, namespace, stream }: DetectionOptions): Promise<DetectionStore> {
  if (store === undefined) return forgetfulDetectionStore();
  requireStoreUrl(store);
  if (store.startsWith(LMDB)) {
    const { lmdbDetectionStore } = await import("../stores/lmdb/lmdb-detection-store.ts");
    return lmdbDetectionStore(store.slice(LMDB.length), { namespace, stream });
  }
  const { redisDetectionStore } = await import("../stores/redis/redis-detection-store.ts");
  return redisDetectionStore(store, { namespace, stream });
}

type Opening = {
  readonly namespace: string;
  readonly mode?: NamespaceMode;
  readonly policies?: PolicySet;
  readonly effectClaimMs?: number | null;
  readonly committed?: (decision: Decision) => void;
};

async function open(store: Store, { namespace, mode, policies, effectClaimMs = null, committed = () => {} }: Opening) {
  try {
    return await openWorld({
      store,
      clock: systemClock(),
      owner: randomUUID(),
      commitId: commitIds(),
      pause,
      random: Math.random,
      effectClaimMs: () => effectClaimMs,
      committed,
      ...(mode === undefined ? {} : { mode }),
      ...(policies === undefined ? {} : { policies }),
    });
  } catch (error) {
    if (!(error instanceof BecalmError) || error.code !== "BECALM_NOT_FOUND") throw error;
    throw new BecalmError(
      "BECALM_NOT_FOUND",
      `The store has no namespace "${namespace}". Check --store and --namespace; \`becalm run\` or an engine makes one.`,
      {
        details: { namespace },
      },
    );
  }
}

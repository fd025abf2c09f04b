/**
 * Which store a command works on, in which mode, and who runs its effects. No other file of the command chooses an
 * adapter.
 */
import { compose, driveOnce, driveVirtual } from "../compose.ts";
import type { Strategy } from "../detection/core/strategy.ts";
import type { Enrichment } from "../detection/core/strategy-group.ts";
import type { Detection, DetectionListener } from "../detection/detection.ts";
import type { DetectionStore } from "../detection/detection-store.ts";
import type { EffectRequest, OpenEffectPort } from "../effects/effect-port.ts";
import { ALL_SUCCEED, type Assumptions, simulatedEffects } from "../effects/simulated-effects.ts";
import type { Decision } from "../instance/decide.ts";
import { BecalmError } from "../model/errors.ts";
import type { PolicySet } from "../policy/policy.ts";
import { InstanceReader } from "../runtime/instance-reader.ts";
import { InstanceService } from "../runtime/instance-service.ts";
import type { CommitListener, Runtime } from "../runtime/runtime.ts";
import type { SilenceService } from "../runtime/silences/stored-silences.ts";
import type { PauseService } from "../runtime/stops/pause-service.ts";
import { readSecretFile } from "../server/auth/secret-file.ts";
import type { VirtualRun } from "../simulate/virtual-run.ts";
import { forgetfulDetectionStore } from "../stores/memory/forgetful-detection-store.ts";
import { memoryDetectionStore } from "../stores/memory/memory-detection-store.ts";
import { memoryStore } from "../stores/memory/memory-store.ts";
import { type ServerAddress, serverStore } from "../stores/server/server-store.ts";
import type { NamespaceMode, Store } from "../stores/store.ts";
import { AuditLog } from "../system/audit-line.ts";
import type { Clock } from "../system/clock.ts";
import { commitIds } from "../system/commit-ids.ts";
import { type Logger, silentLogger } from "../system/logger.ts";
import { pause } from "../system/system-clock.ts";
import { BUNDLE, bundlesAt, READING } from "./bundles-at.ts";
import { usedWrongly } from "./exit-codes.ts";
import { missingNamespace } from "./missing-namespace.ts";
import { type RunLease, takeRunLease } from "./run-lease.ts";
import { ServerDriver } from "./server-driver.ts";
import { serverPauses, serverSilences } from "./server-stops.ts";
import { type NamedIds, withWholeIds } from "./whole-ids.ts";
import { withLog } from "./with-log.ts";

/** What every command says about where it works. `store` and `server`: never the empty text; left out: none. */
export type StoreOptions = {
  readonly store?: string | undefined;
  readonly namespace: string;
  /** A running `becalm serve` that is asked instead of a store. */
  readonly server?: string | undefined;
  readonly tokenFile?: string | undefined;
};

export function serverOf({ server, tokenFile }: StoreOptions): ServerAddress | null {
  if (server === undefined) return null;
  if (!URL.canParse(server) || !/^https?:/.test(server))
    throw usedWrongly("--server (or BECALM_SERVER) is not the URL of a server. Write it as http://HOST:PORT.");
  return { url: server, token: tokenFile === undefined ? undefined : readSecretFile(tokenFile, "The --token-file") };
}

/** The store that a command reads: that behind a server, a bundle, or one of its own. */
async function readStore(options: StoreOptions, command: string): Promise<{ store: Store; clock?: Clock }> {
  const server = serverOf(options);
  if (server !== null) return { store: serverStore(server) };
  const url = requireStore(options, command);
  return url.startsWith(BUNDLE) ? bundlesAt(url, command) : { store: await storeAt(url, options.namespace) };
}

export const LMDB = "lmdb:";
/** In this process, and gone with it. */
const MEMORY = "memory:";

/** No other process can run the effects of such a store. */
export function isOfOneWriter(url: string): boolean {
  return url === MEMORY || url.startsWith(LMDB);
}

function requireStoreUrl(url: string): void {
  if (url === MEMORY || /^rediss?(\+(sentinel|cluster))?:|^lmdb:./.test(url)) return;
  if (url.startsWith(BUNDLE)) throw usedWrongly(`A bundle can only be read. ${READING}`);
  if (url.endsWith(".bundle")) throw usedWrongly(`${url} is a bundle: name it as --store ${BUNDLE}${url}. ${READING}`);
  throw usedWrongly(
    "--store (or BECALM_STORE) is not the URL of a store. Write it as lmdb:PATH, or as redis://[user:password@]host[:port][/database] " +
      "(rediss:// for TLS; redis+sentinel://HOST,.../MASTER, redis+cluster://HOST,...), or as memory: for a store that ends with the process.",
  );
}

/** A store that is not opened yet. */
export async function storeAt(url: string, namespace: string): Promise<Store> {
  requireStoreUrl(url);
  if (url === MEMORY) return memoryStore();
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
    `\`becalm ${command}\` reads what a run or an engine left in a store, and no store was named. Give --store lmdb:PATH or redis://HOST:PORT, or set BECALM_STORE; or --server URL of a running \`becalm serve\`.`,
  );
}

/** Calls `use` with a namespace as it is, for looking only, and the command's options with whole ids. */
export async function withReading<T, Options extends StoreOptions & NamedIds>(
  options: Options,
  command: string,
  use: (instances: InstanceReader, named: Options) => Promise<T>,
): Promise<T> {
  const { store, clock } = await readStore(options, command);
  try {
    const instances = new InstanceReader(await openAt(store, options, clock));
    return await use(instances, await withWholeIds(instances, options));
  } finally {
    await store.close();
  }
}

/** Calls `use` with a namespace as it is, without a driver. */
export async function withStore<T>(
  options: StoreOptions,
  command: string,
  use: (runtime: Runtime) => Promise<T>,
): Promise<T> {
  const store = await storeAt(requireStore(options, command), options.namespace);
  try {
    return await use(await openAt(store, options));
  } finally {
    await store.close();
  }
}

/** How many instances were looked at again is not known of a server. */
type Silences = Pick<SilenceService, "add" | "silences"> & { expire(id: string): Promise<number | null> };

export type Acting = {
  readonly instances: InstanceService;
  readonly pauses: Pick<PauseService, "pause" | "resume" | "pauses">;
  readonly silences: Silences;
  readonly mode: NamespaceMode;
  /** Where the command's own lines go (`--log`). */
  readonly logger: Logger;
  /** What the namespace takes for now, in epoch ms: virtual time stands where its last run left it. */
  readonly nowMs: number;
  /** A running server commits, and runs what follows. */
  readonly isServed: boolean;
  /** How many effects this command has committed. */
  emittedCount(): number;
  /**
   * Runs the effects that this command has committed, and what follows from their results, until nothing is
   * outstanding. Gives their number.
   */
  runOutstanding(): Promise<number>;
};

/** `run`: this process runs the effects that it commits. `log`: a file to which its audit lines are appended. */
export type ActingOptions = StoreOptions & {
  readonly run?: boolean;
  readonly allowExec?: boolean;
  readonly log?: string;
};

/** Calls `use` with a namespace to act in, in the mode that it has, and the command's options with whole ids. */
export async function withActing<T, Options extends ActingOptions & NamedIds>(
  options: Options,
  command: string,
  use: (acting: Acting, named: Options) => Promise<T>,
): Promise<T> {
  const server = serverOf(options);
  const act = async (acting: Acting) => use(acting, await withWholeIds(acting.instances, options));
  if (server !== null) return actOnServer(server, options, act);
  return withLog(options.log, (logger) => actOnStore({ ...options, logger }, command, act));
}

async function actOnStore<T>(
  options: ActingOptions & { readonly logger: Logger },
  command: string,
  use: (acting: Acting) => Promise<T>,
): Promise<T> {
  const { namespace, run = false, allowExec = false, logger } = options;
  const store = await storeAt(requireStore(options, command), namespace);
  let lease: RunLease | null = null;
  try {
    const runtime = await open(store, { namespace, url: options.store, decides: `becalm ${command}` });
    if (run && runtime.mode !== "live") lease = await takeRunLease(store, { owner: runtime.owner, namespace });
    const auditLog = auditLogOf(runtime, logger);
    const acting = await actingOn(runtime, { run, allowExec, logger, auditLog });
    const result = await use(acting);
    await auditLog.settled();
    return result;
  } finally {
    await lease?.release();
    await store.close();
  }
}

type ActingParts = {
  readonly run: boolean;
  readonly allowExec: boolean;
  readonly logger: Logger;
  readonly auditLog: AuditLog;
};

async function actingOn(runtime: Runtime, { run, allowExec, logger, auditLog }: ActingParts): Promise<Acting> {
  const { mode } = runtime;
  let emitted = 0;
  const emittedCount = () => emitted;
  const committed = ({ effects, entries }: Decision) => {
    emitted += effects.length;
    auditLog.write(entries);
  };
  const effects = mode === "simulated" ? simulatedEffects(ALL_SUCCEED) : await performing({ allowExec, logger });
  const driving = { effects, onCommit: [committed] };
  const shared = { mode, logger, isServed: false, emittedCount };
  if (mode === "live") {
    const { driver, instances, pauses, silences } = driveOnce(runtime, { ...driving, isRunning: run });
    return { ...shared, instances, pauses, silences, nowMs: Date.now(), runOutstanding: () => driver.settle() };
  }
  const { driver, instances, pauses, silences } = driveVirtual(runtime, { ...driving, concurrency: 1 });
  const runOutstanding = () => driver.settleAll().then(emittedCount);
  return { ...shared, instances, pauses, silences, nowMs: runtime.highestTimeMs ?? 0, runOutstanding };
}

/** What really acts is loaded only where something does: most commands look, or simulate. */
async function performing(options: { readonly allowExec: boolean; readonly logger: Logger }): Promise<OpenEffectPort> {
  const { localEffects } = await import("../effects/local-effects.ts");
  return localEffects(options);
}

function auditLogOf(runtime: Runtime, logger: Logger): AuditLog {
  const reader = new InstanceReader(runtime);
  return new AuditLog(logger, (id) => reader.birth(id));
}

/** The server commits, and runs what follows. */
async function actOnServer<T>(
  server: ServerAddress,
  { namespace, run = false, log }: ActingOptions,
  use: (acting: Acting) => Promise<T>,
): Promise<T> {
  if (log !== undefined) throw usedWrongly("--log is for a store: with --server the server logs. Leave it out.");
  if (run) throw usedWrongly("--run is for a store: with --server the server runs what follows. Leave it out.");
  const runtime = await open(serverStore(server), { namespace });
  const driver = new ServerDriver(server, new InstanceReader(runtime));
  return use({
    instances: new InstanceService(runtime, driver, Date.now),
    pauses: serverPauses(server),
    silences: serverSilences(server),
    mode: runtime.mode,
    logger: silentLogger,
    nowMs: Date.now(),
    isServed: true,
    emittedCount: () => driver.begun,
    runOutstanding: () => Promise.resolve(0),
  });
}

export type Running = {
  readonly instances: InstanceService;
  readonly run: VirtualRun;
  /** Throws BECALM_NAMESPACE_BUSY when another run has taken the namespace over. */
  readonly checkLease: () => void;
};

export type RunOptions = StoreOptions & {
  readonly policies: PolicySet;
  readonly concurrency: number;
  readonly effects: RunEffects;
  /** Decides and audits everything, acts on nothing. */
  readonly observe?: boolean;
  readonly logger?: Logger;
  readonly onCommit?: CommitListener;
  /** The clock of a store in memory, which forgets by it; default: the system's. */
  readonly now?: () => number;
};

/** What a virtual run does with effects: assume how they end, or really perform them. */
export type RunEffects =
  | {
      readonly kind: "simulated";
      readonly assumptions: Assumptions;
      readonly onRequest?: (request: EffectRequest) => void;
    }
  | { readonly kind: "performed"; readonly allowExec: boolean };

/** Nothing outside is touched, and everything succeeds. */
export const SIMULATED: RunEffects = { kind: "simulated", assumptions: ALL_SUCCEED };

/** Calls `use` with a virtual run over a namespace, made if need be; without a store on one in memory. */
export async function withVirtualRun<T>(options: RunOptions, use: (running: Running) => Promise<T>): Promise<T> {
  const { policies, concurrency, effects, observe, logger, onCommit, namespace } = options;
  const mode = effects.kind === "simulated" ? "simulated" : "virtual";
  const { store: url = MEMORY, now } = options;
  const isShared = url !== MEMORY;
  const store = isShared ? await storeAt(url, namespace) : memoryStore(now === undefined ? {} : { now });
  let lease: RunLease | null = null;
  try {
    const runtime = await open(store, { namespace, mode, policies, observe });
    if (isShared) lease = await takeRunLease(store, { owner: runtime.owner, namespace });
    const auditLog = logger === undefined || logger === silentLogger ? null : auditLogOf(runtime, logger);
    const { driver, instances } = driveVirtual(runtime, {
      effects:
        effects.kind === "simulated"
          ? simulatedEffects(effects.assumptions, effects.onRequest)
          : await performing({ allowExec: effects.allowExec, logger: logger ?? silentLogger }),
      concurrency,
      onCommit: [
        ...(auditLog === null ? [] : [({ entries }: Decision) => auditLog.write(entries)]),
        ...(onCommit === undefined ? [] : [onCommit]),
      ],
      isInMemory: !isShared,
    });
    await driver.recover();
    const result = await use({ instances, run: driver, checkLease: () => lease?.check() });
    await auditLog?.settled();
    return result;
  } finally {
    await lease?.release();
    await store.close();
  }
}

export type DetectionOptions = StoreOptions & {
  readonly stream: string;
  readonly strategies: readonly Strategy[];
  readonly enrich?: Enrichment;
};

export type Detecting = { readonly detection: Detection; readonly store: DetectionStore };

/**
 * Calls `use` with a detection stream, loaded; without a store on one that keeps nothing: alerts are reported at once.
 */
export async function withDetection<T>(
  options: DetectionOptions,
  listener: DetectionListener,
  use: (detecting: Detecting) => Promise<T>,
): Promise<T> {
  const store = await detectionStoreAt(options);
  try {
    const { enrich } = options;
    const own = { store, now: Date.now, commitId: commitIds(), pause, random: Math.random };
    const { Detection } = await import("../detection/detection.ts");
    const detection = new Detection(enrich === undefined ? own : { ...own, enrich }, options.strategies, listener);
    await detection.load();
    return await use({ detection, store });
  } finally {
    await store.close();
  }
}

/** A detection stream's store; without an address one that keeps nothing. */
export async function detectionStoreAt({
  store,
  namespace,
  stream,
}: Pick<DetectionOptions, "store" | "namespace" | "stream">): Promise<DetectionStore> {
  if (store === undefined) return forgetfulDetectionStore();
  requireStoreUrl(store);
  if (store === MEMORY) return memoryDetectionStore();
  if (store.startsWith(LMDB)) {
    const { lmdbDetectionStore } = await import("../stores/lmdb/lmdb-detection-store.ts");
    return lmdbDetectionStore(store.slice(LMDB.length), { namespace, stream });
  }
  const { redisDetectionStore } = await import("../stores/redis/redis-detection-store.ts");
  return redisDetectionStore(store, { namespace, stream });
}

type Opening = {
  readonly namespace: string;
  /** Of the store, to say what it has instead. */
  readonly url?: string | undefined;
  readonly mode?: NamespaceMode;
  readonly policies?: PolicySet;
  readonly observe?: boolean | undefined;
  readonly decides?: `becalm ${string}`;
  readonly clock?: Clock | undefined;
};

function openAt(store: Store, { store: url, server, namespace }: StoreOptions, clock?: Clock): Promise<Runtime> {
  return open(store, { namespace, url: server === undefined ? url : undefined, clock });
}

async function open(store: Store, { namespace, url, ...opening }: Opening): Promise<Runtime> {
  try {
    return await compose({ store, ...opening });
  } catch (error) {
    if (!(error instanceof BecalmError) || error.code !== "BECALM_NOT_FOUND") throw error;
    throw missingNamespace(namespace, { store: url, names: await namespacesAt(url) });
  }
}

/** Only a store of this machine can say at once which it has. */
async function namespacesAt(url: string | undefined): Promise<readonly string[] | null | undefined> {
  if (url?.startsWith(LMDB) !== true) return undefined;
  const { lmdbNamespaces } = await import("../stores/lmdb/lmdb-backup.ts");
  return lmdbNamespaces(url.slice(LMDB.length));
}

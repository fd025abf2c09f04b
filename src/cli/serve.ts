/** `becalm serve`: an engine behind HTTP, from its options to its last answer. */
import { constants, unwatchFile, watchFile } from "node:fs";
import { access } from "node:fs/promises";
import { createEngine, type Engine } from "../engine.ts";
import { AlertView } from "../server/alertmanager/view.ts";
import { isLoopback, type ListenAddress, parseListen } from "../server/http/listen-address.ts";
import type { TlsFiles, TlsIdentity } from "../server/http/listener.ts";
import { BodyReader } from "../server/http/request-body.ts";
import type { Links } from "../server/links/links.ts";
import { meteredStore } from "../server/metrics/metered-store.ts";
import { Metrics } from "../server/metrics/metrics.ts";
import { storeMeter } from "../server/metrics/store-meter.ts";
import { waitingNow } from "../server/metrics/waiting.ts";
import { PolicySource } from "../server/policy-source.ts";
import type { RecordStreams } from "../server/records/record-streams.ts";
import { type BecalmServer, openServer } from "../server/server.ts";
import { silenceDesk } from "../server/silence-desk.ts";
import type { Store } from "../stores/store.ts";
import { type FileLogger, fileLogger } from "../system/pino-logger.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { forbiddenPrograms } from "./forbidden-programs.ts";
import { catchInterrupts } from "./interrupts.ts";
import { packageVersion } from "./package-files.ts";
import { linksOf, requireCallbackAddress, SECRET_VARIABLE } from "./serve-links.ts";
import { openStreams } from "./serve-records.ts";
import { readServed, type Served } from "./serve-rules.ts";
import { startTracing } from "./serve-tracing.ts";
import type { Terminal } from "./terminal.ts";
import { unwritable } from "./unwritable-file.ts";
import { isOfOneWriter, storeAt } from "./with-namespace.ts";

export type ServeOptions = {
  readonly policies: string;
  readonly strategies?: string;
  readonly stream?: readonly string[];
  readonly enrich?: string;
  readonly listen: string;
  readonly store?: string | undefined;
  readonly namespace: string;
  readonly tokens?: string;
  readonly externalUrl?: string;
  readonly secretFile?: string;
  readonly insecureListen: boolean;
  readonly allowExec: boolean;
  readonly allowAddress?: readonly string[];
  /** Decides and audits everything, acts on nothing. */
  readonly observe: boolean;
  /** A candidate that runs beside the policies. */
  readonly shadow?: string;
  /** Workers run them. */
  readonly leaveEffects: boolean;
  /** No engine of version 0.1.0 is left. */
  readonly raiseFormat: boolean;
  readonly allowOrigin?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly maxBodyBytes: number;
  readonly watch: boolean;
  readonly log: string;
  readonly concurrency: number;
  readonly drainMs: number;
  readonly requestMs: number;
  readonly retentionMs: number;
  /** A folder. */
  readonly exportRemoved?: string;
  /** Left out: 16. */
  readonly partitions?: number;
};

const STORE_DEFAULT = "lmdb:./becalm-data";
/** Without other names there is one stream. */
const STREAMS_DEFAULT = ["default"];
/** Bodies in memory at once, unless a single one may be larger. */
const HELD_BYTES_MAX = 64 * 1_024 * 1_024;

/** `onReady`: called with the server's address when it takes alerts. */
export async function serve(
  terminal: Terminal,
  options: ServeOptions,
  onReady: (url: string) => void = () => {},
): Promise<number> {
  const setup = checkedSetup(options);
  if (options.exportRemoved !== undefined) await requireFolder(options.exportRemoved);
  const first = await readServed({ ...options, tls: setup.tls });
  requireCallbackAddress(first.policies, setup.links);
  const logger = fileLogger(options.log);
  const endTracing = await startTracing(process.env, (text) => terminal.note(text));
  const url = options.store ?? STORE_DEFAULT;
  if (options.leaveEffects && isOfOneWriter(url))
    throw usedWrongly("--leave-effects is for a store on Redis: no worker can take effects from another one.");
  const store = await storeAt(url, options.namespace);
  try {
    const records = await streamsOf({ options, first, logger, url });
    return await run(terminal, { options, setup, first, logger, store, records, onReady });
  } finally {
    await store.close();
    await endTracing();
    await logger.close();
  }
}

type StreamParts = Pick<Parts, "options" | "first" | "logger"> & { readonly url: string };

/** Streams of records, if there are strategies; they share the store. */
async function streamsOf({ options, first, logger, url }: StreamParts): Promise<RecordStreams | null> {
  const { strategies } = first;
  const { namespace, stream: names = STREAMS_DEFAULT, enrich } = options;
  if (strategies !== null) return openStreams({ store: url, namespace, names, strategies, enrich, logger });
  if (options.stream === undefined && enrich === undefined) return null;
  throw usedWrongly("--stream and --enrich are about metric records: give --strategies FILE too.");
}

/** What is removed weeks later must not wait for that to find out that its folder is missing. */
async function requireFolder(path: string): Promise<void> {
  try {
    // With the dot only a folder is found.
    await access(`${path}/.`, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unwritable(path, "--export-removed", error);
  }
}

type Setup = {
  readonly address: ListenAddress;
  readonly tls: TlsFiles | null;
  readonly links: Links | null;
};

/** All that can be wrong with the options, before anything is opened. */
function checkedSetup(options: ServeOptions): Setup {
  const address = parseListen(options.listen);
  if (options.tokens === undefined && !isLoopback(address.host) && !options.insecureListen) {
    throw usedWrongly(
      `${options.listen} can be reached from other machines, and no tokens were given. Give --tokens FILE, listen on 127.0.0.1, or say --insecure-listen if something in front of it checks who calls.`,
    );
  }
  return { address, tls: tlsOf(options), links: linksOf(options, process.env[SECRET_VARIABLE]) };
}

function tlsOf({ tlsCert, tlsKey }: ServeOptions): TlsFiles | null {
  if (tlsCert === undefined && tlsKey === undefined) return null;
  if (tlsCert === undefined || tlsKey === undefined) throw usedWrongly("Give --tls-cert and --tls-key together.");
  return { certFile: tlsCert, keyFile: tlsKey };
}

type Parts = {
  readonly options: ServeOptions;
  readonly setup: Setup;
  readonly first: Served;
  readonly logger: FileLogger;
  readonly store: Store;
  readonly records: RecordStreams | null;
  readonly onReady: (url: string) => void;
};

async function run(terminal: Terminal, parts: Parts): Promise<number> {
  const stopped = untilSignal();
  const { engine, server, policies } = await open(parts);
  const { options, logger } = parts;
  const ends = reloadOn(options, () => void policies.reload().catch(() => {}));
  const forbidden = forbiddenPrograms(parts.first.policies, options);
  if (forbidden !== null) terminal.note(`becalm: ${forbidden}`);
  try {
    await engine.start();
    server.ready();
    terminal.note(`becalm: listening on ${server.url}`);
    parts.onReady(server.url);
    logger.info({ signal: await stopped }, "draining");
  } finally {
    for (const end of ends) end();
    await drain({ engine, server }, options.drainMs);
  }
  return EXIT.done;
}

/** Attempts have what the requests have left of the time: they went on meanwhile. */
async function drain({ engine, server }: Pick<Opened, "engine" | "server">, drainMs: number): Promise<void> {
  const startedMs = performance.now();
  await server.close(drainMs);
  await engine.stop({ drainMs: Math.max(drainMs - (performance.now() - startedMs), 0) });
}

type Opened = { readonly engine: Engine; readonly server: BecalmServer; readonly policies: PolicySource<Served> };

async function open(parts: Parts): Promise<Opened> {
  const { options, setup, first, logger, store, records } = parts;
  const now = Date.now;
  const folder = options.exportRemoved;
  const view = new AlertView();
  const bodies = new BodyReader({
    bodyBytesMax: options.maxBodyBytes,
    heldBytesMax: Math.max(options.maxBodyBytes, HELD_BYTES_MAX),
  });
  const functionOf = (name: string) =>
    policies.compiled.find(({ policy }) => policy.name === name)?.policy.converge?.function ?? "none";
  const metrics = new Metrics({
    version: packageVersion(),
    now,
    functionOf,
    waiting: () => waitingNow(engine, store),
    viewedAlerts: () => view.size,
    heldBodyBytes: () => bodies.heldBytes,
    status: () => engine.status(),
  });
  const engine = createEngine({
    policies: first.policies,
    store: meteredStore(store, storeMeter(metrics, now)),
    logger,
    allowExec: options.allowExec,
    allowAddresses: options.allowAddress ?? [],
    ...(setup.links === null ? {} : { urls: setup.links }),
    observe: options.observe,
    ...(first.shadow === undefined ? {} : { shadow: first.shadow }),
    leaveEffects: options.leaveEffects,
    raiseFormat: options.raiseFormat,
    concurrency: options.concurrency,
    drainMs: options.drainMs,
    retentionMs: options.retentionMs,
    ...(folder === undefined ? {} : { exportRemoved: { folder, namespace: options.namespace } }),
    ...(options.partitions === undefined ? {} : { partitions: options.partitions }),
  });
  let server: BecalmServer | null = null;
  const policies = servedAgain(parts, { engine, metrics, renewTls: (identity) => server?.renewTls(identity) });
  try {
    server = await openServer({
      ...setup,
      tokens: first.tokens,
      tls: first.tls,
      engine,
      store,
      policies,
      metrics,
      view,
      silences: silenceDesk(engine),
      records,
      bodies,
      origins: options.allowOrigin ?? [],
      logger,
      now,
      version: packageVersion(),
      requestMsMax: options.requestMs,
    });
    return { engine, server, policies };
  } catch (error) {
    await records?.close();
    await engine.stop();
    throw error;
  }
}

type Renewed = {
  readonly engine: Engine;
  readonly metrics: Metrics;
  readonly renewTls: (identity: TlsIdentity) => void;
};

/** All files at once: what a mistake in one of them refuses is refused in all. */
function servedAgain(
  { options, setup, first, logger, records }: Parts,
  { engine, metrics, renewTls }: Renewed,
): PolicySource<Served> {
  return new PolicySource<Served>(first.policies, {
    read: async () => {
      const served = await readServed({ ...options, tls: setup.tls });
      requireCallbackAddress(served.policies, setup.links);
      return served;
    },
    apply: async ({ policies, strategies, shadow, tokens, tls }) => {
      await engine.reload(policies, shadow === undefined ? {} : { shadow });
      if (strategies !== null) await records?.reload(strategies);
      if (tokens !== null) first.tokens?.renew(tokens);
      if (tls !== null) renewTls(tls);
      const forbidden = forbiddenPrograms(policies, options);
      if (forbidden !== null) logger.warn({}, forbidden);
    },
    logger,
    reloaded: (outcome) => metrics.reloaded(outcome),
  });
}

function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    catchInterrupts(resolve);
  });
}

/** An editor writes a file in several steps: it is read when nothing has happened for this long. */
const WATCH_QUIET_MS = 200;
/**
 * Files are looked at this often, by their path: editors, deployments and ConfigMaps put another file, or another
 * folder, in its place, of which a watcher of the file itself hears once and then no more.
 */
const WATCH_EVERY_MS = 500;

/**
 * SIGHUP, and with --watch every change of a file. What a reading finds wrong is in the log; nobody waits for it here.
 */
function reloadOn(
  { watch: isWatched, policies, strategies, shadow, tokens, tlsCert, tlsKey }: ServeOptions,
  reload: () => void,
): (() => void)[] {
  process.on("SIGHUP", reload);
  const ends = [() => void process.off("SIGHUP", reload)];
  if (!isWatched) return ends;
  let timer: NodeJS.Timeout | undefined;
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(reload, WATCH_QUIET_MS);
  };
  const files = [policies, strategies, shadow, tokens, tlsCert, tlsKey].filter((file) => file !== undefined);
  for (const file of files) watchFile(file, { interval: WATCH_EVERY_MS, persistent: false }, changed);
  return [
    ...ends,
    () => {
      clearTimeout(timer);
      for (const file of files) unwatchFile(file, changed);
    },
  ];
}

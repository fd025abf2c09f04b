/** `becalm serve`: an engine behind HTTP, from its options to its last answer. */
import { watch } from "node:fs";
import { createEngine, type Engine } from "../engine.ts";
import { loadPolicySet } from "../formats/policy-file.ts";
import { BecalmError, messageOf } from "../model/errors.ts";
import { AlertView } from "../server/alertmanager/view.ts";
import { readTokens } from "../server/auth/tokens.ts";
import { isLoopback, type ListenAddress, parseListen } from "../server/http/listen-address.ts";
import type { TlsFiles } from "../server/http/listener.ts";
import { BodyReader } from "../server/http/request-body.ts";
import { meteredStore } from "../server/metrics/metered-store.ts";
import { Metrics } from "../server/metrics/metrics.ts";
import { storeMeter } from "../server/metrics/store-meter.ts";
import { PolicySource } from "../server/policy-source.ts";
import { type BecalmServer, openServer, waitingNow } from "../server/server.ts";
import { silenceDesk } from "../server/silence-desk.ts";
import type { Store } from "../stores/store.ts";
import { type FileLogger, fileLogger } from "../system/pino-logger.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { catchInterrupts } from "./interrupts.ts";
import { packageVersion } from "./package-files.ts";
import { readText } from "./read-text.ts";
import type { Terminal } from "./terminal.ts";
import { storeAt } from "./with-namespace.ts";

export type ServeOptions = {
  readonly policies: string;
  readonly listen: string;
  readonly store?: string | undefined;
  readonly namespace: string;
  readonly tokens?: string;
  readonly insecureListen: boolean;
  readonly allowExec: boolean;
  readonly allowOrigin?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly maxBodyBytes: number;
  readonly watch: boolean;
  readonly log: string;
  readonly concurrency: number;
  readonly drainMs: number;
  readonly requestMs: number;
};

const STORE_DEFAULT = "lmdb:./becalm-data";
/** Bodies in memory at once, unless a single one may be larger. */
const HELD_BYTES_MAX = 64 * 1_024 * 1_024;

export async function serve(terminal: Terminal, options: ServeOptions): Promise<number> {
  const setup = checkedSetup(options);
  const first = loadPolicySet(await readText(options.policies), { file: options.policies });
  const logger = fileLogger(options.log);
  const store = await storeAt(options.store ?? STORE_DEFAULT, options.namespace);
  try {
    return await run(terminal, { options, setup, first, logger, store });
  } finally {
    await store.close();
    await logger.close();
  }
}

type Setup = {
  readonly address: ListenAddress;
  readonly tokens: ReturnType<typeof readTokens> | null;
  readonly tls: TlsFiles | null;
};

/** All that can be wrong with the options, before anything is opened. */
function checkedSetup(options: ServeOptions): Setup {
  const address = parseListen(options.listen);
  const tokens = options.tokens === undefined ? null : readTokens(options.tokens);
  if (tokens === null && !isLoopback(address.host) && !options.insecureListen) {
    throw usedWrongly(
      `${options.listen} can be reached from other machines, and no tokens were given. Give --tokens FILE, listen on 127.0.0.1, or say --insecure-listen if something in front of it checks who calls.`,
    );
  }
  return { address, tokens, tls: tlsOf(options) };
}

function tlsOf({ tlsCert, tlsKey }: ServeOptions): TlsFiles | null {
  if (tlsCert === undefined && tlsKey === undefined) return null;
  if (tlsCert === undefined || tlsKey === undefined) throw usedWrongly("Give --tls-cert and --tls-key together.");
  return { certFile: tlsCert, keyFile: tlsKey };
}

type Parts = {
  readonly options: ServeOptions;
  readonly setup: Setup;
  readonly first: ReturnType<typeof loadPolicySet>;
  readonly logger: FileLogger;
  readonly store: Store;
};

async function run(terminal: Terminal, parts: Parts): Promise<number> {
  const stopped = untilSignal();
  const { engine, server, policies } = await open(parts);
  const { options, logger } = parts;
  const ends = reloadOn(options, () => void policies.reload().catch(() => {}));
  try {
    await engine.start();
    server.ready();
    terminal.note(`becalm: listening on ${server.url}`);
    logger.info({ signal: await stopped }, "draining");
  } finally {
    for (const end of ends) end();
    await server.close(options.drainMs);
    await engine.stop();
  }
  return EXIT.done;
}

type Opened = { readonly engine: Engine; readonly server: BecalmServer; readonly policies: PolicySource };

async function open({ options, setup, first, logger, store }: Parts): Promise<Opened> {
  const now = Date.now;
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
    waiting: () => waitingNow(engine),
    viewedAlerts: () => view.size,
    heldBodyBytes: () => bodies.heldBytes,
  });
  const engine = createEngine({
    policies: first,
    store: meteredStore(store, storeMeter(metrics, now)),
    logger,
    allowExec: options.allowExec,
    concurrency: options.concurrency,
    drainMs: options.drainMs,
  });
  const policies: PolicySource = new PolicySource(first, {
    read: async () => loadPolicySet(await readText(options.policies), { file: options.policies }),
    apply: (set) => engine.reload(set),
    logger,
    reloaded: (outcome) => metrics.reloaded(outcome),
  });
  try {
    const server = await openServer({
      ...setup,
      engine,
      store,
      policies,
      metrics,
      view,
      silences: silenceDesk(engine),
      bodies,
      origins: options.allowOrigin ?? [],
      logger,
      now,
      version: packageVersion(),
      requestMsMax: options.requestMs,
    });
    return { engine, server, policies };
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

function untilSignal(): Promise<string> {
  return new Promise((resolve) => {
    catchInterrupts(resolve);
  });
}

/** An editor writes a file in several steps: it is read when nothing has happened for this long. */
const WATCH_QUIET_MS = 200;

/** SIGHUP, and with --watch every change of the file. What a reading finds wrong is in the log; nobody waits for it here. */
function reloadOn({ watch: isWatched, policies }: ServeOptions, reload: () => void): (() => void)[] {
  process.on("SIGHUP", reload);
  const ends = [() => void process.off("SIGHUP", reload)];
  if (!isWatched) return ends;
  let timer: NodeJS.Timeout | undefined;
  const watcher = watchFile(policies, () => {
    clearTimeout(timer);
    timer = setTimeout(reload, WATCH_QUIET_MS);
  });
  return [
    ...ends,
    () => {
      clearTimeout(timer);
      watcher.close();
    },
  ];
}

function watchFile(path: string, changed: () => void): ReturnType<typeof watch> {
  try {
    return watch(path, { persistent: false }, changed);
  } catch (cause) {
    throw new BecalmError("BECALM_ARGUMENT_INVALID", `${path} cannot be watched: ${messageOf(cause)}.`, { cause });
  }
}

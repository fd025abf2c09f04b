/**
 * Redis servers of the tests' own: real ones, on free loopback ports, stopped by pid, with a temporary directory each.
 * Nothing of them outlives the test process.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, beforeAll } from "vitest";
import { requiredCommands } from "../../src/stores/redis/rights.ts";
import { isLate, startLateProxy } from "./lateness.ts";

export type RedisServer = {
  /** `redis://127.0.0.1:<port>`, or that of a proxy whose answers are late (lateness.ts). */
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now; changes with `restart`. */
  readonly pid: number;
  /** Ends the server and removes its directory. Twice is harmless. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash: the directory stays, so `restart` brings back what an append-only file kept. */
  kill9(): Promise<void>;
  /** Ends the server if it runs and starts it again on the same port and directory. */
  restart(): Promise<void>;
  /** Removes all keys. */
  flush(): Promise<void>;
};

export type RedisOptions = {
  /** Added after the defaults, so they win: `["--appendonly", "yes", "--maxmemory", "4mb"]`. */
  args?: readonly string[];
};

export type RedisCluster = {
  readonly nodes: readonly RedisServer[];
  /** For `new Cluster(cluster.addresses)`. */
  readonly addresses: readonly { host: string; port: number }[];
  stop(): Promise<void>;
  flush(): Promise<void>;
};

const HOST = "127.0.0.1";
const CLUSTER_SLOT_COUNT = 16_384;
const CLUSTER_READY_MS_MAX = 60_000;
const CLUSTER_POLL_MS = 25;
/** A free port may be taken between the look and the start. */
const START_ATTEMPT_COUNT_MAX = 5;

export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const dir = await mkdtemp(join(tmpdir(), "becalm-redis-"));
  try {
    const { port, child } = await launchOnFreePort(dir, options.args ?? []);
    return await redisServer({ dir, port, child, args: options.args ?? [] });
  } catch (error) {
    await rm(dir, { recursive: true, force: true });
    throw error;
  }
}

/** Masters without replicas, the slots spread evenly, in the order of `nodes`. */
export async function startRedisCluster(options: { masters?: number } & RedisOptions = {}): Promise<RedisCluster> {
  const nodes: RedisServer[] = [];
  const stop = async () => void (await Promise.all(nodes.map((node) => node.stop())));
  try {
    for (let index = 0; index < (options.masters ?? 3); index++) {
      const busPort = await freePort();
      const clusterArgs = [
        "--cluster-enabled",
        "yes",
        "--cluster-port",
        String(busPort),
        "--cluster-node-timeout",
        "5000",
      ];
      const node = await startRedis({ args: [...clusterArgs, ...(options.args ?? [])] });
      nodes.push(node);
      await joinCluster({ node, index, nodeCount: options.masters ?? 3, first: nodes[0] as RedisServer, busPort });
    }
    await Promise.all(nodes.map((node) => clusterReady(node, nodes.length)));
  } catch (error) {
    await stop();
    throw error;
  }
  const addresses = nodes.map(({ port }) => ({ host: HOST, port }));
  return { nodes, addresses, stop, flush: async () => void (await Promise.all(nodes.map((node) => node.flush()))) };
}

/** A server for all tests of the file (or `describe`) that calls this; its members may be used inside tests and hooks only. */
export function useRedis(options: RedisOptions = {}): RedisServer {
  const running = useStarted("useRedis", () => startRedis(options));
  return {
    get url() {
      return running().url;
    },
    get port() {
      return running().port;
    },
    get pid() {
      return running().pid;
    },
    stop: () => running().stop(),
    kill9: () => running().kill9(),
    restart: () => running().restart(),
    flush: () => running().flush(),
  };
}

/** The same for a cluster. */
export function useRedisCluster(options: { masters?: number } & RedisOptions = {}): RedisCluster {
  const running = useStarted("useRedisCluster", () => startRedisCluster(options));
  return {
    get nodes() {
      return running().nodes;
    },
    get addresses() {
      return running().addresses;
    },
    stop: () => running().stop(),
    flush: () => running().flush(),
  };
}

function useStarted<T extends { stop(): Promise<void> }>(name: string, start: () => Promise<T>): () => T {
  let started: T | undefined;
  beforeAll(async () => {
    started = await start();
  });
  afterAll(() => started?.stop());
  return () => {
    if (started === undefined) throw new Error(`${name}: the server runs inside tests and hooks only`);
    return started;
  };
}

async function redisServer(server: {
  dir: string;
  port: number;
  child: ChildProcess;
  args: readonly string[];
}): Promise<RedisServer> {
  const { dir, port, args } = server;
  const proxy = isLate ? await startLateProxy(port) : null;
  let child = server.child;
  return {
    url: `redis://${HOST}:${proxy?.port ?? port}`,
    port,
    get pid() {
      return child.pid as number;
    },
    async stop() {
      await end(child, "SIGTERM");
      proxy?.stop();
      await rm(dir, { recursive: true, force: true });
    },
    kill9: () => end(child, "SIGKILL"),
    async restart() {
      await end(child, "SIGTERM");
      child = await launch(dir, port, args);
    },
    flush: () => withClient(port, async (client) => void (await client.flushall())),
  };
}

async function launchOnFreePort(dir: string, args: readonly string[]): Promise<{ port: number; child: ChildProcess }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    try {
      return { port, child: await launch(dir, port, args) };
    } catch (error) {
      if (attempt === START_ATTEMPT_COUNT_MAX || !String(error).includes("Address already in use")) throw error;
    }
  }
}

async function launch(dir: string, port: number, args: readonly string[]): Promise<ChildProcess> {
  const defaults = ["--bind", HOST, "--port", String(port), "--dir", dir, "--save", "", "--appendonly", "no"];
  const child = spawn("redis-server", [...defaults, ...args], { stdio: ["ignore", "pipe", "ignore"] });
  const killWithParent = () => child.kill("SIGKILL");
  process.once("exit", killWithParent);
  child.once("exit", () => process.removeListener("exit", killWithParent));
  await accepting(child);
  return child;
}

/** Settles on the server's own word that it accepts connections, or on its end. */
function accepting(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const lines: string[] = [];
    const output = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    output.on("line", (line) => {
      lines.push(line);
      // An append-only file that is being loaded delays this line, so a restart waits for its data too.
      if (line.includes("Ready to accept connections")) resolve();
      if (lines.length > 100) lines.shift();
    });
    child.once("error", (cause) => reject(new Error("redis-server did not start: is it in PATH?", { cause })));
    // "close" comes after the last line, "exit" may come before it.
    child.once("close", () => reject(new Error(`redis-server ended before it was ready:\n${lines.join("\n")}`)));
  });
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  // A stopped (SIGSTOP) server only sees the signal when it goes on.
  child.kill("SIGCONT");
  await exited;
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, HOST);
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

/** Makes a user who may do what the documented rights allow, and nothing else. */
export async function allowOnlyWhatIsDocumented(admin: Redis): Promise<void> {
  const rules = requiredCommands("writing").map((command) => `+${command.toLowerCase()}`);
  await admin.acl("SETUSER", "limited", "reset", "on", ">secret", "~becalm:*", ...rules);
}

export function asLimitedUser(url: string): string {
  return url.replace("redis://", "redis://limited:secret@");
}

async function withClient<T>(port: number, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ host: HOST, port, lazyConnect: true, maxRetriesPerRequest: 1 });
  try {
    await client.connect();
    return await use(client);
  } finally {
    client.disconnect();
  }
}

type Joining = { node: RedisServer; index: number; nodeCount: number; first: RedisServer; busPort: number };

async function joinCluster({ node, index, nodeCount, first, busPort }: Joining): Promise<void> {
  const firstSlot = Math.floor((index * CLUSTER_SLOT_COUNT) / nodeCount);
  const lastSlot = Math.floor(((index + 1) * CLUSTER_SLOT_COUNT) / nodeCount) - 1;
  await withClient(node.port, async (client) => {
    // Masters that start with equal epochs would have to settle them first.
    await client.call("CLUSTER", "SET-CONFIG-EPOCH", String(index + 1));
    await client.call("CLUSTER", "ADDSLOTSRANGE", String(firstSlot), String(lastSlot));
  });
  if (node === first) return;
  await withClient(first.port, (client) => client.call("CLUSTER", "MEET", HOST, String(node.port), String(busPort)));
}

/** Redis tells nobody when a cluster is formed, so this is the one place that asks again and again. */
async function clusterReady(node: RedisServer, nodeCount: number): Promise<void> {
  const deadlineMs = performance.now() + CLUSTER_READY_MS_MAX;
  await withClient(node.port, async (client) => {
    for (;;) {
      const info = String(await client.call("CLUSTER", "INFO"));
      if (info.includes("cluster_state:ok") && info.includes(`cluster_size:${nodeCount}`)) return;
      if (performance.now() > deadlineMs) throw new Error(`the cluster did not form in time:\n${info}`);
      await delay(CLUSTER_POLL_MS);
    }
  });
}

/** Real Redis servers in the three forms that production has, each with the levers that the harness pulls. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { allowOnlyWhatIsDocumented, asLimitedUser, type RedisServer, startRedis } from "../support/redis-server.ts";
import { type FaultyProxy, startFaultyProxy } from "./faulty-proxy.ts";

export const DEPLOYMENT_KINDS = [
  "server",
  "lmdb",
  "limited user",
  "cluster",
  "sentinel",
  "replicated cluster",
  "replicated sentinel",
] as const;
export type DeploymentKind = (typeof DEPLOYMENT_KINDS)[number];

export type Deployment = {
  /** For the engines. */
  readonly url: string;
  /** For the checkers, past every proxy. */
  readonly directUrl: string;
  /** Servers that hold data. */
  readonly servers: readonly RedisServer[];
  /** Between the engines and the only server; null: there are several. */
  readonly proxy: FaultyProxy | null;
  /** Which of them are masters now. */
  masters(): Promise<readonly RedisServer[]>;
  /** Resolves when everybody can write again. */
  healed(): Promise<void>;
  stop(): Promise<void>;
};

const READY_MS_MAX = 30_000;
const NODE_TIMEOUT_MS = 2_000;
/** A replica is sent its first copy at once: until it has one it cannot take over. */
const APPEND = ["--appendonly", "yes", "--appendfsync", "everysec", "--repl-diskless-sync-delay", "0"];
const SLOT_COUNT = 16_384;

export function startDeployment(kind: DeploymentKind): Promise<Deployment> {
  if (kind === "lmdb") return startLmdb();
  if (kind === "cluster") return startCluster();
  if (kind === "replicated cluster") return startCluster().then(replicated);
  if (kind === "replicated sentinel") return startSentinel().then(replicated);
  return kind === "sentinel" ? startSentinel() : startServer(kind === "limited user");
}

/** Commits wait for a replica, for longer than it takes to notice that one is gone. */
function replicated(deployment: Deployment): Deployment {
  return { ...deployment, url: `${deployment.url}?replicas=1` };
}

/** A folder; nothing runs but the one engine that writes it. */
async function startLmdb(): Promise<Deployment> {
  const folder = await mkdtemp(join(tmpdir(), "becalm-chaos-lmdb-"));
  const url = `lmdb:${folder}`;
  return {
    url,
    directUrl: url,
    servers: [],
    proxy: null,
    masters: async () => [],
    healed: async () => {},
    stop: () => rm(folder, { recursive: true, force: true }),
  };
}

async function startServer(isLimited: boolean): Promise<Deployment> {
  const server = await startRedis({ args: ["--appendonly", "yes", "--appendfsync", "always"] });
  const proxy = await startFaultyProxy(server.port);
  if (isLimited) await withClient(server.port, allowOnlyWhatIsDocumented);
  const url = `redis://127.0.0.1:${proxy.port}`;
  return {
    url: isLimited ? asLimitedUser(url) : url,
    directUrl: server.url,
    servers: [server],
    proxy,
    masters: async () => [server],
    healed: async () => {},
    stop: async () => {
      proxy.stop();
      await server.stop();
    },
  };
}

/** Three masters with a replica each. */
async function startCluster(): Promise<Deployment> {
  const servers: RedisServer[] = [];
  for (let count = 0; count < 6; count += 1) {
    const args = ["--cluster-enabled", "yes", "--cluster-port", String(await freePort())];
    const timing = ["--cluster-node-timeout", String(NODE_TIMEOUT_MS), "--cluster-require-full-coverage", "no"];
    servers.push(await startRedis({ args: [...args, ...timing, ...APPEND] }));
  }
  const [first] = servers as [RedisServer];
  const create = ["--cluster", "create", ...servers.map(({ port }) => `127.0.0.1:${port}`)];
  await command("redis-cli", [...create, "--cluster-replicas", "1", "--cluster-yes"]);
  const healed = async () => {
    await until("the cluster is whole", async () => {
      const infos = await Promise.all(servers.map(({ port }) => withClient(port, clusterInfo).catch(() => "")));
      return infos.every((info) => info.includes("cluster_state:ok") && info.includes(`slots_ok:${SLOT_COUNT}`));
    });
  };
  await healed();
  await until("the replicas have their copies", () => haveCopies(servers));
  const nodes = servers.map(({ port }) => `127.0.0.1:${port}`).join(",");
  return {
    url: `redis+cluster://${nodes}`,
    directUrl: `redis+cluster://127.0.0.1:${first.port},${nodes}`,
    servers,
    proxy: null,
    masters: () => mastersAmong(servers),
    healed,
    stop: async () => void (await Promise.all(servers.map((server) => server.stop()))),
  };
}

function clusterInfo(client: Redis): Promise<string> {
  return client.call("CLUSTER", "INFO") as Promise<string>;
}

/** A master with two replicas, and three sentinels. */
async function startSentinel(): Promise<Deployment> {
  const master = await startRedis({ args: APPEND });
  const replicaOf = ["--replicaof", "127.0.0.1", String(master.port)];
  const servers = [master];
  for (let count = 0; count < 2; count += 1) servers.push(await startRedis({ args: [...replicaOf, ...APPEND] }));
  const folder = await mkdtemp(join(tmpdir(), "becalm-sentinels-"));
  const sentinels = await Promise.all(
    [0, 1, 2].map((index) => startOneSentinel(join(folder, `${index}.conf`), master)),
  );
  const ports = sentinels.map(({ port }) => port);
  await until("the replicas have their copies", () => haveCopies(servers));
  await until("the sentinels know each other", async () => {
    const known = await Promise.all(ports.map((port) => withClient(port, othersOf)));
    return known.every((count) => count === 2);
  });
  const url = `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(",")}/mine`;
  const masters = () => mastersAmong(servers);
  return {
    url,
    directUrl: url,
    servers,
    proxy: null,
    masters,
    healed: () => until("there is one master", async () => (await masters()).length === 1),
    stop: async () => {
      for (const { child } of sentinels) child.kill("SIGKILL");
      await Promise.all(servers.map((server) => server.stop()));
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function othersOf(sentinel: Redis): Promise<number> {
  return ((await sentinel.call("SENTINEL", "SENTINELS", "mine")) as unknown[]).length;
}

async function startOneSentinel(path: string, master: RedisServer): Promise<{ port: number; child: ChildProcess }> {
  const port = await freePort();
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `sentinel monitor mine 127.0.0.1 ${master.port} 2`,
    "sentinel down-after-milliseconds mine 1500",
    "sentinel failover-timeout mine 4000",
  ];
  await writeFile(path, `${lines.join("\n")}\n`);
  const child = spawn("redis-server", [path, "--sentinel"], { stdio: "ignore" });
  process.once("exit", () => child.kill("SIGKILL"));
  await until("the sentinel answers", () =>
    withClient(port, async (client) => (await client.ping()) === "PONG").catch(() => false),
  );
  return { port, child };
}

export async function mastersAmong(servers: readonly RedisServer[]): Promise<RedisServer[]> {
  const roles = await Promise.all(
    servers.map(({ port }) =>
      withClient(port, async (client) => String(await client.info("replication"))).catch(() => ""),
    ),
  );
  return servers.filter((_, index) => roles[index]?.includes("role:master"));
}

/** Whether every replica among them follows its master. */
async function haveCopies(servers: readonly RedisServer[]): Promise<boolean> {
  const infos = await Promise.all(
    servers.map(({ port }) => withClient(port, async (client) => String(await client.info("replication")))),
  );
  return infos.every((info) => info.includes("role:master") || info.includes("master_link_status:up"));
}

/** Moves a slot with all its keys to another master, while everybody goes on writing. */
export async function moveSlot(from: RedisServer, to: RedisServer, slot: number): Promise<number> {
  return withClient(from.port, (source) =>
    withClient(to.port, async (target) => {
      const sourceId = String(await source.call("CLUSTER", "MYID"));
      const targetId = String(await target.call("CLUSTER", "MYID"));
      await target.call("CLUSTER", "SETSLOT", String(slot), "IMPORTING", sourceId);
      await source.call("CLUSTER", "SETSLOT", String(slot), "MIGRATING", targetId);
      let moved = 0;
      for (;;) {
        const keys = (await source.call("CLUSTER", "GETKEYSINSLOT", String(slot), "100")) as string[];
        if (keys.length === 0) break;
        await source.call("MIGRATE", "127.0.0.1", String(to.port), "", "0", "5000", "KEYS", ...keys);
        moved += keys.length;
      }
      await target.call("CLUSTER", "SETSLOT", String(slot), "NODE", targetId);
      await source.call("CLUSTER", "SETSLOT", String(slot), "NODE", targetId);
      return moved;
    }),
  );
}

/** Slots of a master in which keys lie. */
export async function slotsWithKeys(server: RedisServer): Promise<number[]> {
  return withClient(server.port, async (client) => {
    const keys = await client.keys("becalm:{*");
    const slots = await Promise.all(keys.slice(0, 200).map((key) => client.call("CLUSTER", "KEYSLOT", key)));
    return [...new Set(slots.map(Number))];
  });
}

export async function withClient<T>(port: number, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({
    host: "127.0.0.1",
    port,
    lazyConnect: true,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    commandTimeout: 6_000,
    connectTimeout: 1_000,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    return await use(client);
  } finally {
    client.disconnect();
  }
}

export async function until(what: string, isTrue: () => Promise<boolean>, msMax = READY_MS_MAX): Promise<void> {
  const untilMs = performance.now() + msMax;
  while (!(await isTrue())) {
    if (performance.now() > untilMs) throw new Error(`this never came about: ${what}`);
    await delay(100);
  }
}

async function command(name: string, args: readonly string[]): Promise<void> {
  const child = spawn(name, args, { stdio: ["ignore", "ignore", "pipe"] });
  const [code] = (await once(child, "close")) as [number];
  if (code !== 0) throw new Error(`${name} ${args[1]} ended with ${code}`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/**
 * What the servers behind a store are like: their time, whether they are the ones from before, and what an operator
 * should know.
 */
import { Cluster, type Redis } from "ioredis";
import type { DurabilityProfile, Finding, LostCommit, StoreClock, StoreDescription, StorePulse } from "../store.ts";
import type { RedisConnection } from "./connection.ts";
import type { ReplicationOptions } from "./replication-options.ts";
import { missingRights } from "./rights.ts";
import { infoOf } from "./role.ts";

type ServerNow = StoreClock & { readonly runId: string };

/** Looks after the servers behind a store, now and then. */
export class RedisHealth {
  readonly #connection: RedisConnection;
  /** Servers that were met: one that is new has taken another's place, or has been started anew. */
  readonly #met = new Set<string>();

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  /** `lost`: asks which commits are gone. It is asked when there is another server than before. */
  async pulse(lost: () => Promise<LostCommit[]>): Promise<StorePulse> {
    const clocks = await serversNow(this.#connection);
    const isNew = this.#met.size > 0 && clocks.some(({ runId }) => !this.#met.has(runId));
    // What cannot be asked now is asked with the next pulse.
    const found = isNew ? await lost().catch(() => null) : [];
    if (found !== null) for (const { runId } of clocks) this.#met.add(runId);
    return { clocks: clocks.map(({ where, nowMs }) => ({ where, nowMs })), lost: found ?? [] };
  }
}

/** Every master that can be reached; at least one, otherwise it rejects. */
async function serversNow(connection: RedisConnection): Promise<ServerNow[]> {
  const { client } = connection;
  const nodes: readonly Redis[] = client instanceof Cluster ? client.nodes("master") : [client];
  const asked = await Promise.allSettled(
    nodes.map(async (node): Promise<ServerNow> => {
      const info = await infoOf(connection, "server", node);
      const { host, port } = node.options;
      const where = client instanceof Cluster ? `Redis at ${host}:${port}` : `Redis at ${connection.address}`;
      const nowMs = Math.floor(Number(info.get("server_time_usec")) / 1_000);
      return { where, nowMs, runId: info.get("run_id") ?? "" };
    }),
  );
  const servers = asked.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
  const failed = asked.find((answer) => answer.status === "rejected");
  if (servers.length === 0 && failed !== undefined) throw failed.reason;
  return servers;
}

export async function describeServer(
  connection: RedisConnection,
  { key, replication }: { key: string; replication: Required<ReplicationOptions> | null },
): Promise<StoreDescription> {
  const [server, memory, role] = await Promise.all(
    ["server", "memory", "replication"].map((section) => infoOf(connection, section)),
  );
  const durability = await durabilityOf(connection, replication);
  const findings = [
    { what: "store", is: `Redis ${server?.get("redis_version") ?? "?"} at ${connection.address}` },
    roleFinding(connection, role),
    durability.finding,
    evictionFinding(memory),
    ...(await memoryFinding(connection)),
    await rightsFinding(connection, key),
  ];
  return { durability: durability.profile, findings };
}

type Info = ReadonlyMap<string, string> | undefined;

function roleFinding({ client }: RedisConnection, role: Info): Finding {
  const what = "role";
  if (client instanceof Cluster) return { what, is: `cluster of ${client.nodes("master").length} masters` };
  const replicas = Number(role?.get("connected_slaves") ?? "0");
  if (role?.get("role") !== "slave")
    return { what, is: replicas === 1 ? "master with 1 replica" : `master with ${replicas} replicas` };
  const master = `${role.get("master_host")}:${role.get("master_port")}`;
  return {
    what,
    is: `replica of ${master}: it cannot be written to`,
    advice: "use the URL of the master, or redis+sentinel:// to follow it through failovers",
  };
}

const PROFILES: Readonly<Record<Exclude<DurabilityProfile, "none" | "replicated">, string>> = {
  async: "a server that is killed loses what it has not saved, acknowledged or not",
  everysec: "a server that is killed loses about a second, acknowledged or not",
  always: "what is acknowledged is on the server's disk",
  unknown: "there is an append-only file, but this user may not ask how it is written (+config|get)",
};

/** What a failover does is the same in all of them but `replicated`: what the replica had not got is gone. */
async function durabilityOf(
  connection: RedisConnection,
  replication: Required<ReplicationOptions> | null,
): Promise<{ profile: DurabilityProfile; finding: Finding }> {
  const disk = await diskProfile(connection);
  const what = "durability";
  if (replication === null) return { profile: disk, finding: { what, is: `${disk}: ${PROFILES[disk]}` } };
  const { replicas, timeoutMs } = replication;
  const waits = `each commit is acknowledged when ${replicas === 1 ? "a replica has" : `${replicas} replicas have`} it, within ${timeoutMs} ms`;
  return {
    profile: "replicated",
    finding: { what, is: `replicated: ${waits}; on each server ${disk}: ${PROFILES[disk]}` },
  };
}

async function diskProfile(connection: RedisConnection): Promise<keyof typeof PROFILES> {
  const persistence = await infoOf(connection, "persistence");
  if (persistence.get("aof_enabled") !== "1") return "async";
  const { client } = connection;
  const node = client instanceof Cluster ? client.nodes("master")[0] : client;
  // A right that only this asks for, and that hosted servers do not give.
  const config = await connection
    .run(async () => ((await node?.config("GET", "appendfsync")) ?? []) as string[])
    .catch((): string[] => []);
  const [, policy] = config;
  if (policy === "always" || policy === "everysec") return policy;
  return policy === "no" ? "async" : "unknown";
}

function evictionFinding(memory: Info): Finding {
  const what = "eviction";
  const policy = memory?.get("maxmemory_policy") ?? "noeviction";
  const isBounded = Number(memory?.get("maxmemory") ?? "0") > 0;
  if (policy === "noeviction")
    return { what, is: isBounded ? "noeviction: a full server refuses writes" : "noeviction" };
  if (!isBounded) return { what, is: `${policy}, but its memory is not bounded (maxmemory 0)` };
  return {
    what,
    is: `${policy}: a full server removes keys, and with them instances, timers and effects`,
    advice: "run it with maxmemory-policy noeviction; engines refuse to start as it is",
  };
}

/** Less room than this part of it is worth a word: a full server refuses alerts. */
const ROOM_MIN = 0.1;
const MB = 1024 * 1024;

/** How full the fullest master is; nothing where no memory is bounded. */
async function memoryFinding(connection: RedisConnection): Promise<Finding[]> {
  const { client } = connection;
  const nodes: readonly Redis[] = client instanceof Cluster ? client.nodes("master") : [client];
  const infos = await Promise.all(nodes.map((node) => infoOf(connection, "memory", node)));
  const bounded = infos
    .map((info) => ({ used: Number(info.get("used_memory")), max: Number(info.get("maxmemory") ?? "0") }))
    .filter(({ max }) => max > 0)
    .toSorted((left, right) => right.used / right.max - left.used / left.max);
  const [fullest] = bounded;
  if (fullest === undefined) return [];
  const { used, max } = fullest;
  const finding = {
    what: "memory",
    is: `${(used / MB).toFixed(1)} MiB used of ${(max / MB).toFixed(1)} MiB (maxmemory)`,
  };
  if (max - used >= max * ROOM_MIN) return [finding];
  const advice = "raise maxmemory, or shorten the retention: a full server refuses alerts (BECALM_STORE_FULL)";
  return [{ ...finding, advice }];
}

async function rightsFinding(connection: RedisConnection, key: string): Promise<Finding> {
  const what = "rights";
  const missing = await missingRights(connection, { key, use: "writing" });
  if (missing.length === 0) return { what, is: "this user may do all that an engine needs" };
  const names = missing.map((command) => `+${command.toLowerCase()}`).join(" ");
  return { what, is: `this user may look; an engine would need ${names} too` };
}

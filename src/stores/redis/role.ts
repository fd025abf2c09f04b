/** Whether a server may be written to: a replica takes connections and reads, and would refuse every commit. */
import { Cluster, type Redis } from "ioredis";
import { BecalmError } from "../../model/errors.ts";
import type { RedisConnection } from "./connection.ts";

/** Fields of a section of INFO; of a cluster that of one of its masters, unless `node` says which. */
export async function infoOf(
  connection: RedisConnection,
  section: string,
  node?: Redis,
): Promise<ReadonlyMap<string, string>> {
  const { client } = connection;
  const text = await connection.run(async () => {
    if (node !== undefined) return node.info(section);
    if (!(client instanceof Cluster)) return client.info(section);
    return client.nodes("master")[0]?.info(section) ?? "";
  });
  const pairs = text.split(/\r?\n/).flatMap((line) => {
    const colon = line.indexOf(":");
    return colon < 1 ? [] : [[line.slice(0, colon), line.slice(colon + 1)] as const];
  });
  return new Map(pairs);
}

/** Rejects with BECALM_STORE_UNAVAILABLE for a replica. A client of a cluster finds the masters by itself. */
export async function requireMaster(connection: RedisConnection): Promise<void> {
  if (connection.client instanceof Cluster || connection.client.isCluster) return;
  const replication = await infoOf(connection, "replication");
  if (replication.get("role") !== "slave") return;
  const master = `${replication.get("master_host")}:${replication.get("master_port")}`;
  throw new BecalmError(
    "BECALM_STORE_UNAVAILABLE",
    `Redis at ${connection.address} is a replica of ${master}, and cannot be written to. Use the URL of the master, or redis+sentinel:// to follow it through failovers.`,
    { details: { address: connection.address, master } },
  );
}

/**
 * Rejects with BECALM_STORE_FAILED for a server that removes keys when its memory is full: what it evicts is lost data.
 */
export async function requireNoEviction(connection: RedisConnection): Promise<void> {
  const memory = await infoOf(connection, "memory");
  const policy = memory.get("maxmemory_policy") ?? "noeviction";
  if (policy === "noeviction" || Number(memory.get("maxmemory") ?? "0") === 0) return;
  throw new BecalmError(
    "BECALM_STORE_FAILED",
    `Redis at ${connection.address} evicts keys when its memory is full (maxmemory-policy ${policy}), and with them instances, timers and effects. Run it with maxmemory-policy noeviction; nothing was written.`,
    { details: { address: connection.address, policy } },
  );
}

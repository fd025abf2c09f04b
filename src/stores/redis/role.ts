/** Whether a server may be written to: a replica takes connections and reads, and would refuse every commit. */
import { Cluster } from "ioredis";
import { BecalmError } from "../../model/errors.ts";
import type { RedisConnection } from "./connection.ts";

/** Fields of a section of INFO. */
export async function infoOf(connection: RedisConnection, section: string): Promise<ReadonlyMap<string, string>> {
  const { client } = connection;
  const text = await connection.run(async () => {
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

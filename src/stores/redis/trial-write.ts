/** A write that means nothing: whoever takes it would take a commit. */
import { Cluster } from "ioredis";
import type { RedisConnection } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import type { Replication } from "./replication.ts";

/** Longer than the time between two of them, so that a server that is nearly full has its room already. */
const TRIAL_TTL_MS = 60_000;

export type TrialParts = {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  /** null: commits do not wait for replicas. */
  readonly replication: Replication | null;
};

/** One partition stands for a server. Of a cluster every shard is asked: one that refuses does not stop the others. */
export async function tryWrite(parts: TrialParts): Promise<void> {
  const isCluster = parts.connection.client instanceof Cluster;
  const partitions = Array.from({ length: isCluster ? parts.keys.partitions : 1 }, (_, partition) => partition);
  const tried = await Promise.allSettled(partitions.map((partition) => tryPartition(parts, partition)));
  const failed = tried.filter((one) => one.status === "rejected");
  if (failed.length === tried.length) throw failed[0]?.reason;
}

async function tryPartition({ connection, keys, replication }: TrialParts, partition: number): Promise<void> {
  const key = keys.trial(partition);
  await connection.run(() => connection.client.set(key, "", "PX", TRIAL_TTL_MS));
  await replication?.requireFor(key);
}

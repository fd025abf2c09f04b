/**
 * How BullMQ reaches a Redis that a URL names: options of which it makes its own connections, or for a cluster a client
 * that it duplicates.
 */
import { Cluster } from "ioredis";
import type { RedisTarget } from "./redis-url.ts";

type ConnectionOptions = import("bullmq").ConnectionOptions;

export function queueConnection(target: RedisTarget): { readonly options: ConnectionOptions; close(): void } {
  const { kind, addresses, username, password, hasTls, database, name } = target;
  const login = {
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(hasTls ? { tls: {} } : {}),
  };
  // BullMQ waits for its Redis as long as it takes.
  const common = { ...login, db: database, maxRetriesPerRequest: null };
  if (kind === "server") return { options: { ...common, ...addresses[0] }, close: () => {} };
  if (kind === "sentinel") {
    const options = { ...common, sentinels: [...addresses], name: name as string };
    return { options, close: () => {} };
  }
  const cluster = new Cluster([...addresses], { redisOptions: { ...login, maxRetriesPerRequest: null } });
  return { options: cluster as unknown as ConnectionOptions, close: () => cluster.disconnect() };
}

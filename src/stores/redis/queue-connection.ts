/**
 * How BullMQ reaches a Redis that a URL names: options of which it makes its own connections, or for a cluster a client
 * that it duplicates.
 */
import { setTimeout } from "node:timers/promises";
import { Cluster } from "ioredis";
import type { RedisTarget } from "./redis-url.ts";

type ConnectionOptions = import("bullmq").ConnectionOptions;

const RECONNECT_STEP_MS = 100;
const RECONNECT_MS_MAX = 1_000;
const SETTLED_WITHIN_MS = 100;

/** `giveUp`: what is lost is no longer connected again, and whatever waits for it fails. */
export type QueueConnection = { readonly options: ConnectionOptions; giveUp(): Promise<void>; close(): void };

export function queueConnection(target: RedisTarget): QueueConnection {
  let isOver = false;
  let waitsUntilMs = 0;
  const retryStrategy = (times: number) => {
    if (isOver) return null;
    const delayMs = Math.min(times * RECONNECT_STEP_MS, RECONNECT_MS_MAX);
    waitsUntilMs = Math.max(waitsUntilMs, performance.now() + delayMs);
    return delayMs;
  };
  const giveUp = async () => {
    isOver = true;
    // A client that is closed while it waits to connect again never says that it has ended: BullMQ would not either.
    const leftMs = waitsUntilMs + SETTLED_WITHIN_MS - performance.now();
    if (leftMs > 0) await setTimeout(leftMs);
  };
  const { kind, addresses, username, password, hasTls, database, name } = target;
  const login = {
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(hasTls ? { tls: {} } : {}),
  };
  // BullMQ waits for its Redis as long as it takes.
  const common = { ...login, db: database, maxRetriesPerRequest: null, retryStrategy };
  if (kind === "server") return { options: { ...common, ...addresses[0] }, giveUp, close: () => {} };
  if (kind === "sentinel") {
    const sentinels = { sentinels: [...addresses], sentinelRetryStrategy: retryStrategy };
    return { options: { ...common, ...sentinels, name: name as string }, giveUp, close: () => {} };
  }
  const redisOptions = { ...login, maxRetriesPerRequest: null };
  const cluster = new Cluster([...addresses], { redisOptions, clusterRetryStrategy: retryStrategy });
  return { options: cluster as unknown as ConnectionOptions, giveUp, close: () => cluster.disconnect() };
}

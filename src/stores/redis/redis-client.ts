/**
 * Clients of ioredis: those that a URL makes, and those of a caller, which lack what a URL's client has.
 *
 * Connecting ends after `connectTimeout`, and a server that is connected but silent counts as gone after
 * `socketTimeout`: without that a server that was stopped, not killed, keeps the connections of its clients for
 * minutes, and what it acknowledges when it goes on is lost with it. No auto-pipelining: it sends a batch only when the
 * one before is answered, and with many commits in flight that measured half as fast as sending each at once.
 */
import { Cluster, type ClusterOptions, Redis, type RedisOptions } from "ioredis";
import { invalid } from "../store-rules.ts";
import type { RedisTarget } from "./redis-url.ts";

export type RedisClient = Redis | Cluster;

const CONNECT_TIMEOUT_MS = 3_000;
const SOCKET_TIMEOUT_MS = 3_000;
/** A server that is stopped does not close a connection that is given up: it is waited for no longer than this. */
const DISCONNECT_TIMEOUT_MS = 250;
const RECONNECT_STEP_MS = 100;
const RECONNECT_MS_MAX = 500;
/** A client of a cluster looks who has which slots, also while nobody has told it that they moved. */
const SLOTS_REFRESHED_EVERY_MS = 1_000;
/** Whoever does not say it within this is passed over for the next node: one may be stopped. */
const SLOTS_REFRESH_TIMEOUT_MS = 500;

const OWN_OPTIONS = {
  lazyConnect: true,
  connectTimeout: CONNECT_TIMEOUT_MS,
  socketTimeout: SOCKET_TIMEOUT_MS,
  disconnectTimeout: DISCONNECT_TIMEOUT_MS,
  maxRetriesPerRequest: 2,
  // After a failover the old master answers READONLY: connect anew. Whether the command is sent again is
  // connection.ts's business.
  reconnectOnError: (error: Error) => (error.message.startsWith("READONLY") ? 1 : false),
} satisfies RedisOptions;

/** `patience` shortens the waiting. `isClosing`: true: connect no more. */
export function clientFor(
  target: RedisTarget,
  patience: Pick<RedisOptions, "connectTimeout" | "socketTimeout">,
  isClosing: () => boolean,
): RedisClient {
  const retryStrategy = (times: number) => (isClosing() ? null : Math.min(times * RECONNECT_STEP_MS, RECONNECT_MS_MAX));
  const { username, password, hasTls, database } = target;
  const login = {
    ...(username === null ? {} : { username }),
    ...(password === null ? {} : { password }),
    ...(hasTls ? { tls: {} } : {}),
  };
  const common = { ...OWN_OPTIONS, ...patience, ...login, db: database };
  if (target.kind === "server") return new Redis({ ...common, ...target.addresses[0], retryStrategy });
  if (target.kind === "sentinel") {
    const client = new Redis({
      ...common,
      sentinels: [...target.addresses],
      name: target.name as string,
      retryStrategy,
      sentinelRetryStrategy: retryStrategy,
      failoverDetector: true,
      ...(hasTls ? { enableTLSForSentinelMode: true } : {}),
    });
    connectAgainWhenEndedByFailover(client, isClosing);
    return client;
  }
  const { db: _, lazyConnect, maxRetriesPerRequest: __, reconnectOnError, ...redisOptions } = common;
  return new Cluster([...target.addresses], {
    lazyConnect: lazyConnect === true,
    redisOptions: { ...redisOptions, reconnectOnError: reconnectOnError ?? null },
    clusterRetryStrategy: retryStrategy,
    slotsRefreshInterval: SLOTS_REFRESHED_EVERY_MS,
    slotsRefreshTimeout: SLOTS_REFRESH_TIMEOUT_MS,
  } satisfies ClusterOptions);
}

/**
 * Completes a client of the caller's with what it needs to notice a silent server and a failover; its own settings
 * stay.
 * @throws BECALM_ARGUMENT_INVALID for a client that would put keys, or read, elsewhere.
 */
export function completeClient(client: RedisClient): RedisClient {
  const { options } = (client ?? {}) as { options?: RedisOptions & ClusterOptions };
  if (typeof options !== "object")
    throw invalid("A store on Redis takes a URL (redis://host:6379), or a client or cluster of ioredis.");
  if (options.keyPrefix || options.redisOptions?.keyPrefix)
    throw invalid(
      "The client has a keyPrefix, which ioredis puts before keys that Becalm has already put together. Make the client without one, and give it to redisStore: { keyPrefix }.",
    );
  const reads = client.isCluster ? (options.scaleReads ?? "master") : (options.role ?? "master");
  if (reads !== "master")
    throw invalid(
      "The client reads from replicas, which may lack what was just written. Make it without `role` and `scaleReads`.",
    );
  if (client.isCluster) {
    options.redisOptions = {
      ...options.redisOptions,
      socketTimeout: options.redisOptions?.socketTimeout ?? SOCKET_TIMEOUT_MS,
    };
    for (const node of (client as Cluster).nodes()) node.options.socketTimeout ??= SOCKET_TIMEOUT_MS;
    options.slotsRefreshInterval ??= SLOTS_REFRESHED_EVERY_MS;
    return client;
  }
  options.socketTimeout ??= SOCKET_TIMEOUT_MS;
  if (options.sentinels) {
    options.failoverDetector = true;
    connectAgainWhenEndedByFailover(client as Redis, () => false);
  }
  return client;
}

/**
 * A failover that is announced while the client asks a sentinel for the master ends the client: ioredis 6.0 gives up
 * the connection that it is about to make, and takes that for the caller's `disconnect()`. Without this every command
 * fails with "Connection is closed." from then on.
 */
function connectAgainWhenEndedByFailover(client: Redis, isClosing: () => boolean): void {
  client.on("end", () => {
    const { connector, manuallyClosing } = client as unknown as Inner;
    // Whoever gave up by itself was still connecting, and a connection that was there is closed before it ends.
    if (!isAsking || connector.connecting || manuallyClosing || isClosing()) return;
    client.connect().catch(() => {});
  });
  let isAsking = false;
  client.on("connecting", () => (isAsking = true));
  client.on("close", () => (isAsking = false));
}

/** What ioredis knows of the end of a client, and keeps to itself. */
type Inner = { readonly connector: { readonly connecting: boolean }; readonly manuallyClosing: boolean };

/** Where the server is, without the password. */
export function addressOf(client: RedisClient): string {
  if (client instanceof Cluster || client.isCluster) {
    const nodes = (client as Cluster).nodes().map(({ options }) => `${options.host}:${options.port}`);
    return `the cluster ${nodes.join(", ")}`.trimEnd();
  }
  const { host, port, db, path, tls, sentinels, name } = (client as Redis).options;
  if (sentinels) return `the master "${name}" of ${sentinels.map((one) => `${one.host}:${one.port}`).join(", ")}`;
  return path ? `${path} (database ${db ?? 0})` : `${tls ? "rediss" : "redis"}://${host}:${port}/${db ?? 0}`;
}

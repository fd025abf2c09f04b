/**
 * Waiting for replicas (WAIT): the durability profile `replicated`.
 *
 * WAIT counts the replicas that have all writes of its connection. So it goes behind a write, in one pipeline; and that
 * write prolongs what must be there: if it is gone, another server has taken over that had not got it. The connection
 * is one of its own, because WAIT holds up all that is sent behind it.
 */

import { Cluster } from "ioredis";
import { BecalmError } from "../../model/errors.ts";
import { COMMIT_ID_TTL_MS } from "../../model/limits.ts";
import { type RedisClient, RedisConnection } from "./connection.ts";
import { parseRedisUrl } from "./redis-url.ts";
import { type ReplicationOptions, requireReplication } from "./replication-options.ts";

export class Replication {
  readonly options: Required<ReplicationOptions>;
  readonly #connection: RedisConnection;
  /** Writes that wait for replicas, by partition. */
  readonly #waiting = new Map<number, Set<Promise<void>>>();
  /** Keys of writes that too few replicas had in time, by partition. */
  readonly #behind = new Map<number, string>();

  constructor(connection: RedisConnection, options: Required<ReplicationOptions>) {
    this.#connection = connection;
    this.options = options;
  }

  /**
   * Resolves when enough replicas have the commits of these keys.
   * Rejects with BECALM_STORE_UNAVAILABLE otherwise: they are written all the same, and whoever sends again finds them.
   */
  async await(partition: number, commitKeys: readonly string[]): Promise<void> {
    const waiting = this.#await(partition, commitKeys);
    const others = this.#waiting.get(partition) ?? new Set();
    this.#waiting.set(partition, others.add(waiting));
    try {
      await waiting;
    } finally {
      others.delete(waiting);
    }
  }

  /** Before anything is answered from what was read of a partition: it may be what too few replicas have. */
  async settle(partition: number): Promise<void> {
    const waiting: readonly Promise<void>[] = [...(this.#waiting.get(partition) ?? [])];
    await Promise.allSettled(waiting);
    const key = this.#behind.get(partition);
    if (key !== undefined) await this.await(partition, [key]);
  }

  /** Rejects as `await` does if too few replicas have this key; nobody waits for it later. */
  async requireFor(key: string): Promise<void> {
    const counts = await this.#connection.run(() => this.#prolongAndWait([key]));
    this.#requireEnough(counts.pop() ?? 0);
  }

  close(): void {
    this.#connection.client.disconnect();
  }

  async #await(partition: number, commitKeys: readonly string[]): Promise<void> {
    let counts: number[];
    try {
      counts = await this.#connection.run(() => this.#prolongAndWait(commitKeys));
    } catch (error) {
      this.#behind.set(partition, commitKeys[0] as string);
      throw error;
    }
    const count = counts.pop() ?? 0;
    if (counts.includes(0)) {
      // What is gone is nothing that anybody could be told.
      this.#behind.delete(partition);
      throw this.#failure("another server took over that did not have it");
    }
    this.#behind.set(partition, commitKeys[0] as string);
    this.#requireEnough(count);
    this.#behind.delete(partition);
  }

  #requireEnough(count: number): void {
    const { replicas, timeoutMs } = this.options;
    if (count < replicas) throw this.#failure(`${count} of ${replicas} replicas had it within ${timeoutMs} ms`);
  }

  /** Answers for each key 0 when it is gone, and last how many replicas have them. */
  async #prolongAndWait(commitKeys: readonly string[]): Promise<number[]> {
    const { replicas, timeoutMs } = this.options;
    const pipeline = this.#connection.client.pipeline();
    for (const key of commitKeys) pipeline.pexpire(key, COMMIT_ID_TTL_MS);
    const replies = await pipeline.wait(replicas, timeoutMs).exec();
    return (replies ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return Number(reply);
    });
  }

  #failure(what: string): BecalmError {
    const { address } = this.#connection;
    return new BecalmError(
      "BECALM_STORE_UNAVAILABLE",
      `Redis at ${address} cannot promise what was written: ${what}. Bring the replicas back, then send again.`,
      { details: { address, ...this.options } },
    );
  }
}

/** As a program asks for it, else as its URL does; null: commits are answered when the server has them. */
export function replicationOf(
  target: string | RedisClient,
  { durability, callTimeoutMs }: { durability?: ReplicationOptions; callTimeoutMs?: number },
): Replication | null {
  const inUrl = typeof target === "string" ? parseRedisUrl(target).replication : undefined;
  const options = durability === undefined ? inUrl : requireReplication(durability);
  if (options === undefined) return null;
  const own = typeof target === "string" ? target : duplicate(target);
  return new Replication(new RedisConnection(own, callTimeoutMs === undefined ? {} : { callTimeoutMs }), options);
}

function duplicate(client: RedisClient): RedisClient {
  return client instanceof Cluster ? client.duplicate() : client.duplicate();
}

import type { ClaimRequest, ExtendRequest, StoredEffect } from "../store.ts";
import { partitionInId } from "../store-rules.ts";
import { type RedisConnection, ROW_COUNT_MAX } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisPartitions } from "./partitions.ts";
import { pairs, scripts } from "./scripts.ts";

const CLOCK_ASKED_EVERY_MS = 10_000;
/** Ids of one script. */
const EXTENDED_COUNT_MAX = 256;

/** The outbox over all partitions: who claims which effect until when, by the server's clock. */
export class RedisOutbox {
  readonly #parts: RedisPartitions;
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  /** The server's time as it was last asked for. */
  #clock: { aheadMs: number | null; askedAtMs: number } = { aheadMs: null, askedAtMs: Number.NEGATIVE_INFINITY };
  /** Where the next claim starts, so that a busy partition does not keep the others waiting. */
  #firstPartition = 0;

  constructor(partitions: RedisPartitions) {
    this.#parts = partitions;
    this.#connection = partitions.connection;
    this.#keys = partitions.keys;
  }

  async claim(request: ClaimRequest): Promise<StoredEffect[]> {
    if (request.limit < 1) return [];
    const partitions = request.partition === undefined ? this.#partitions() : [request.partition];
    const counts = await this.#longestWaiting(partitions, Math.min(request.limit, ROW_COUNT_MAX));
    if (counts.size === 0) return [];
    const claim = (partition: number) => this.#claimOf(partition, { ...request, limit: counts.get(partition) ?? 0 });
    const { replies } = await this.#parts.reach([...counts.keys()], claim);
    return [...replies.values()].flat();
  }

  /** Without claiming. */
  async list({ limit, partition }: { limit: number; partition?: number }): Promise<StoredEffect[]> {
    if (limit < 1) return [];
    return this.#look(partition === undefined ? this.#partitions() : [partition], limit);
  }

  /**
   * Answers with the ids that no partition extended. `leaseMs` 0 ends them. An effect of an instance has its id, and with it its partition; of
   * another one every partition is asked. A script gets some at a time: it has the server for itself meanwhile.
   */
  async extend({ owner, leaseMs, effectIds }: ExtendRequest): Promise<string[]> {
    const held = new Set<string>();
    const extendIn = async (partition: number, ids: readonly string[]) => {
      for (let from = 0; from < ids.length; from += EXTENDED_COUNT_MAX) {
        const args = [owner, leaseMs, ...ids.slice(from, from + EXTENDED_COUNT_MAX)];
        const keys = this.#keysOf(partition);
        for (const id of await this.#connection.run(() => scripts.extendClaims(this.#connection.client, keys, args)))
          held.add(id);
      }
    };
    const ended = await Promise.allSettled([...this.#byPartition(effectIds)].map(([at, ids]) => extendIn(at, ids)));
    // Those of a shard that is away run out; the others are prolonged all the same.
    for (const one of ended) if (one.status === "rejected") throw one.reason;
    return effectIds.filter((id) => !held.has(id));
  }

  #byPartition(effectIds: readonly string[]): Map<number, string[]> {
    const idsOf = new Map<number, string[]>();
    for (const id of effectIds) {
      const own = partitionInId(id, this.#keys.partitions);
      for (const partition of own === null ? this.#partitions() : [own]) {
        const ids = idsOf.get(partition);
        if (ids === undefined) idsOf.set(partition, [id]);
        else ids.push(id);
      }
    }
    return idsOf;
  }

  async unclaimed(partition: number): Promise<string[]> {
    const ids: string[] = [];
    let cursor = "0";
    do {
      const [next, ...found] = await this.#connection.run(() =>
        scripts.unclaimedEffects(this.#connection.client, this.#keysOf(partition), [cursor]),
      );
      ids.push(...found);
      cursor = next;
    } while (cursor !== "0");
    // A scan may meet a row twice.
    return [...new Set(ids)].sort();
  }

  /** How many of the `limit` effects that have waited longest lie in each partition. One look at all saves a script call on each that has none. */
  async #longestWaiting(partitions: readonly number[], limit: number): Promise<ReadonlyMap<number, number>> {
    const { client } = this.#connection;
    const freeUntil = this.#freeUntil();
    const { replies } = await this.#parts.reach(partitions, async (partition) => {
      const key = this.#keys.claims(partition);
      const flat = await client.zrange(key, "-inf", freeUntil, "BYSCORE", "LIMIT", 0, limit, "WITHSCORES");
      return pairs(flat).map(([, freeSinceMs]) => ({ partition, freeSinceMs: Number(freeSinceMs) }));
    });
    const waiting = [...replies.values()].flat();
    waiting.sort((left, right) => left.freeSinceMs - right.freeSinceMs);
    const counts = new Map<number, number>();
    for (const { partition } of waiting.slice(0, limit)) counts.set(partition, (counts.get(partition) ?? 0) + 1);
    return counts;
  }

  /**
   * Until when claims have run out: by the server's clock, and a second more, so that nothing free is missed; whether a claim has run out is said
   * where it lies. The clock is asked beside the call, never before it: a server that is silent would take two deadlines. Until it has
   * answered, all claims are looked at.
   */
  #freeUntil(): string {
    const askedAtMs = performance.now();
    if (askedAtMs - this.#clock.askedAtMs > CLOCK_ASKED_EVERY_MS) {
      this.#clock.askedAtMs = askedAtMs;
      this.#connection
        .run(() => this.#connection.client.time())
        .then(
          ([seconds]) => {
            this.#clock.aheadMs = Number(seconds) * 1_000 - Date.now();
          },
          // The last word holds; the call itself says that the server is away.
          () => {},
        );
    }
    const { aheadMs } = this.#clock;
    return aheadMs === null ? "+inf" : String(Math.floor(Date.now() + aheadMs) + 1_000);
  }

  async #claimOf(partition: number, { owner, leaseMs, limit }: ClaimRequest): Promise<StoredEffect[]> {
    const flat = await scripts.claimEffects(this.#connection.client, this.#keysOf(partition), [
      owner,
      leaseMs,
      Math.min(limit, ROW_COUNT_MAX),
    ]);
    const effects: StoredEffect[] = [];
    for (let at = 0; at < flat.length; at += 2)
      effects.push({ id: flat[at] as string, partition, value: flat[at + 1] as string });
    return effects;
  }

  async #look(partitions: readonly number[], limit: number): Promise<StoredEffect[]> {
    const { client } = this.#connection;
    const look = async (partition: number): Promise<StoredEffect[]> => {
      const ids = await client.zrange(this.#keys.claims(partition), "0", String(Math.min(limit, ROW_COUNT_MAX) - 1));
      const stored = ids.length === 0 ? [] : await client.hmget(this.#keys.effects(partition), ...ids);
      // An effect that was settled since its id was read is left out.
      return ids.flatMap((id, index) => {
        const text = stored[index] ?? null;
        return text === null ? [] : [{ id, partition, value: text.slice(text.indexOf(" ") + 1) }];
      });
    };
    return (await this.#connection.run(() => Promise.all(partitions.map(look)))).flat();
  }

  #keysOf(partition: number): string[] {
    return [this.#keys.effects(partition), this.#keys.claims(partition)];
  }

  /** All partitions, starting with another one each time. */
  #partitions(): number[] {
    const { partitions } = this.#keys;
    this.#firstPartition = (this.#firstPartition + 1) % partitions;
    return Array.from({ length: partitions }, (_, index) => (this.#firstPartition + index) % partitions);
  }
}

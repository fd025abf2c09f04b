import { compareCodePoints } from "../../model/utf8.ts";
import type { ClaimedEffect, DeadLetter, FreeEffect, FreePosition, Outbox } from "../outbox.ts";
import { SET_ASIDE_MS } from "../outbox.ts";
import type { ClaimRequest, ExtendRequest, StoredEffect } from "../store.ts";
import { partitionInId, requireLease } from "../store-rules.ts";
import { type RedisConnection, ROW_COUNT_MAX } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisPartitions } from "./partitions.ts";
import { pairs, scripts } from "./scripts.ts";

const CLOCK_ASKED_EVERY_MS = 10_000;
const IDS_OF_A_CALL_MAX = 256;

/** The outbox over all partitions: who claims which effect until when, by the server's clock. */
export class RedisOutbox implements Outbox {
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

  async claimFirst(request: ClaimRequest): Promise<ClaimedEffect[]> {
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

  async claim({ owner, leaseMs, effectIds }: ExtendRequest): Promise<ClaimedEffect[]> {
    requireLease(leaseMs, "claim");
    const claimed: ClaimedEffect[] = [];
    await this.#inChunks(effectIds, async (partition, ids) => {
      const args = [owner, leaseMs, ids.length, ...ids];
      claimed.push(...(await this.#claimedBy(partition, args)));
    }).catch((error: unknown) => {
      // What other partitions have given would count as delivered, and nobody would begin it.
      if (claimed.length === 0) throw error;
    });
    return claimed.sort((left, right) => compareCodePoints(left.id, right.id));
  }

  async free({
    partition,
    after,
    limit,
  }: {
    partition: number;
    after: FreePosition | null;
    limit: number;
  }): Promise<FreeEffect[]> {
    if (limit < 1) return [];
    const args = [after?.freeSinceMs ?? "-inf", Math.min(limit, ROW_COUNT_MAX), after?.id ?? ""];
    const flat = await this.#connection.run(() =>
      scripts.freeEffects(this.#connection.client, this.#keysOf(partition), args),
    );
    const found: FreeEffect[] = [];
    for (let at = 0; at < flat.length; at += 3) {
      const [id, freeSinceMs, stored] = flat.slice(at, at + 3) as [string, string, string];
      found.push({ id, partition, ...unwrapped(stored), freeSinceMs: Number(freeSinceMs) });
    }
    return found;
  }

  async giveBack(request: { owner: string; effectIds: readonly string[]; delayMs: number }): Promise<void> {
    await this.#end(request, { afterMs: request.delayMs, undelivered: 1, isKept: request.delayMs > 0 });
  }

  setAside(request: { owner: string; effectIds: readonly string[] }): Promise<string[]> {
    return this.#end(request, { afterMs: SET_ASIDE_MS, undelivered: 0, isKept: false });
  }

  async deadLetters({ limit }: { limit: number }): Promise<DeadLetter[]> {
    const lettersOf = async (partition: number): Promise<DeadLetter[]> => {
      const { client } = this.#connection;
      const args = [this.#keys.claims(partition), SET_ASIDE_MS, "+inf", "BYSCORE", "LIMIT", 0, limit] as const;
      const aside = pairs(await client.zrange(...args, "WITHSCORES"));
      const stored =
        aside.length === 0 ? [] : await client.hmget(this.#keys.effects(partition), ...aside.map(([id]) => id));
      return aside.flatMap(([id, endMs], index) => {
        const text = stored[index] ?? null;
        if (text === null) return [];
        return [{ id, partition, ...unwrapped(text), setAsideAtMs: Number(endMs) - SET_ASIDE_MS }];
      });
    };
    const { replies } = await this.#parts.reach(this.#parts.all, lettersOf);
    const letters = [...replies.values()].flat();
    return letters.sort((left, right) => left.setAsideAtMs - right.setAsideAtMs).slice(0, limit);
  }

  async resume(effectIds: readonly string[]): Promise<string[]> {
    const resumed: string[] = [];
    await this.#inChunks(effectIds, async (partition, ids) => {
      const args = [String(SET_ASIDE_MS), ...ids];
      resumed.push(...(await scripts.resumeEffects(this.#connection.client, this.#keysOf(partition), args)));
    });
    return resumed;
  }

  /** Answers with the ids that no partition extended. */
  async extend({ owner, leaseMs, effectIds }: ExtendRequest): Promise<string[]> {
    const held = new Set<string>();
    await this.#inChunks(effectIds, async (partition, ids) => {
      const args = [owner, leaseMs, ...ids];
      for (const id of await scripts.extendClaims(this.#connection.client, this.#keysOf(partition), args)) held.add(id);
    });
    return effectIds.filter((id) => !held.has(id));
  }

  async #end(
    { owner, effectIds }: { owner: string; effectIds: readonly string[] },
    { afterMs, undelivered, isKept }: { afterMs: number; undelivered: number; isKept: boolean },
  ): Promise<string[]> {
    const ended: string[] = [];
    await this.#inChunks(effectIds, async (partition, ids) => {
      const args = [owner, afterMs, undelivered, isKept ? 1 : 0, ...ids];
      ended.push(...(await scripts.endClaims(this.#connection.client, this.#keysOf(partition), args)));
    });
    return ended;
  }

  /**
   * An effect of an instance has its id, and with it its partition; of another one every partition is asked. A script
   * gets some at a time: it has the server for itself meanwhile. A shard that is away keeps no other from being asked.
   */
  async #inChunks(
    effectIds: readonly string[],
    ask: (partition: number, ids: readonly string[]) => Promise<void>,
  ): Promise<void> {
    const askIn = async (partition: number, ids: readonly string[]) => {
      for (let from = 0; from < ids.length; from += IDS_OF_A_CALL_MAX) {
        const some = ids.slice(from, from + IDS_OF_A_CALL_MAX);
        await this.#connection.run(() => ask(partition, some));
      }
    };
    const ended = await Promise.allSettled([...this.#byPartition(effectIds)].map(([at, ids]) => askIn(at, ids)));
    for (const one of ended) if (one.status === "rejected") throw one.reason;
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

  /**
   * How many of the `limit` effects that have waited longest lie in each partition. One look at all saves a script call
   * on each that has none.
   */
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
   * Until when claims have run out: by the server's clock, and a second more, so that nothing free is missed; whether a
   * claim has run out is said where it lies. The clock is asked beside the call, never before it: a server that is
   * silent would take two deadlines. Until it has answered, all claims are looked at.
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

  #claimOf(partition: number, { owner, leaseMs, limit }: ClaimRequest): Promise<ClaimedEffect[]> {
    return this.#claimedBy(partition, [owner, leaseMs, Math.min(limit, ROW_COUNT_MAX)]);
  }

  async #claimedBy(partition: number, args: readonly (string | number)[]): Promise<ClaimedEffect[]> {
    const flat = await scripts.claimEffects(this.#connection.client, this.#keysOf(partition), args);
    const effects: ClaimedEffect[] = [];
    for (let at = 0; at < flat.length; at += 4) {
      const [id, value, deliveries, heldBy] = flat.slice(at, at + 4) as [string, string, number, string];
      effects.push({ id, partition, value, deliveries, ...(heldBy === "" ? {} : { heldBy }) });
    }
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

/** What claim-effects.lua says of a row. */
function unwrapped(stored: string): { value: string; deliveries: number } {
  const [, owner = "", counted, value = ""] = /^([^ ~]*)(?:~(\d+))? (.*)$/s.exec(stored) ?? [];
  return { value, deliveries: counted === undefined ? Number(owner !== "") : Number(counted) };
}

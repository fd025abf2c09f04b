/** Asking partitions, each in its own slot, and putting the answers together (R2 of redis-store.ts). */
import { type BecalmError, errorCode } from "../../model/errors.ts";
import { partitionInId } from "../store-rules.ts";
import type { RedisConnection } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";

/** How long a partition that could not be reached is passed over before it is tried again, beside the work. */
const TRIED_AGAIN_AFTER_MS = 1_000;

/** `unreached`: partitions of a cluster whose shard is away. */
export type Reached<Reply> = { readonly replies: ReadonlyMap<number, Reply>; readonly unreached: readonly number[] };

export class RedisPartitions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;
  /** Partitions that could not be reached the last time. */
  readonly #away = new Map<number, { triedAtMs: number }>();

  constructor(connection: RedisConnection, keys: RedisKeys) {
    this.connection = connection;
    this.keys = keys;
  }

  /** Asks all partitions at once; the answers are in the order of the partitions. */
  each<Reply>(ask: (partition: number) => Promise<Reply>): Promise<Reply[]> {
    return this.connection.run(() =>
      Promise.all(Array.from({ length: this.keys.partitions }, (_, partition) => ask(partition))),
    );
  }

  /**
   * Asks each of some partitions for itself: one that cannot be reached keeps no other waiting, and is passed over
   * until it can. Rejects when none can be reached, and for any other error.
   */
  async reach<Reply>(
    partitions: readonly number[],
    ask: (partition: number) => Promise<Reply>,
  ): Promise<Reached<Reply>> {
    const known = partitions.filter((partition) => !this.#away.has(partition));
    const asked = known.length === 0 ? partitions : known;
    for (const partition of partitions) if (!asked.includes(partition)) this.#tryAgain(partition, ask);
    const answers = await Promise.allSettled(asked.map((partition) => this.connection.run(() => ask(partition))));
    const replies = new Map<number, Reply>();
    let failure: BecalmError | null = null;
    for (const [index, answer] of answers.entries()) {
      const partition = asked[index] as number;
      if (answer.status === "fulfilled") {
        this.#away.delete(partition);
        replies.set(partition, answer.value);
      } else {
        if (errorCode(answer.reason) !== "BECALM_STORE_UNAVAILABLE") throw answer.reason;
        failure = answer.reason as BecalmError;
        this.#away.set(partition, { triedAtMs: performance.now() });
      }
    }
    if (replies.size === 0 && failure !== null) throw failure;
    return { replies, unreached: partitions.filter((partition) => !replies.has(partition)) };
  }

  /** All partitions. */
  get all(): number[] {
    return Array.from({ length: this.keys.partitions }, (_, partition) => partition);
  }

  #tryAgain(partition: number, ask: (partition: number) => Promise<unknown>): void {
    const away = this.#away.get(partition);
    const nowMs = performance.now();
    if (away === undefined || nowMs - away.triedAtMs < TRIED_AGAIN_AFTER_MS) return;
    // Until it is answered nobody tries it once more.
    away.triedAtMs = Number.POSITIVE_INFINITY;
    this.connection
      .run(() => ask(partition))
      .then(
        () => this.#away.delete(partition),
        () => {
          away.triedAtMs = performance.now();
        },
      );
  }

  /** Asks those partitions that have one of the instances. */
  async ofIds(ids: readonly string[], ask: (partition: number, ids: string[]) => Promise<void>): Promise<void> {
    const idsOf = new Map<number, string[]>();
    for (const id of ids) {
      const partition = partitionInId(id, this.keys.partitions);
      if (partition === null) continue;
      const others = idsOf.get(partition);
      if (others === undefined) idsOf.set(partition, [id]);
      else others.push(id);
    }
    await this.connection.run(() => Promise.all([...idsOf].map(([partition, some]) => ask(partition, some))));
  }

  /** The partition of an instance, or null when its id cannot be one of this namespace. */
  ofId(id: string): number | null {
    return partitionInId(id, this.keys.partitions);
  }
}

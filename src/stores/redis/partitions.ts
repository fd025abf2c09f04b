/** Asking partitions, each in its own slot, and putting the answers together (R2 of redis-store.ts). */
import { partitionInId } from "../store-rules.ts";
import type { RedisConnection } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";

export class RedisPartitions {
  readonly connection: RedisConnection;
  readonly keys: RedisKeys;

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

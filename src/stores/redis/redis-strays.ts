/**
 * Compares the instances' keys with the order in which lists know them, both ways. An audit's business: it looks at
 * every key of the server.
 */
import { Cluster, type Redis } from "ioredis";
import type { StrayInstance } from "../store.ts";
import type { KeySpace } from "./keys.ts";
import type { RedisPartitions } from "./partitions.ts";

const KEYS_AT_ONCE = 1_000;

export async function strayInstances(partitions: RedisPartitions, space: KeySpace): Promise<StrayInstance[]> {
  const found = [...(await unlisted(partitions, space)), ...(await gone(partitions))];
  return found.sort((left, right) => (left.id < right.id ? -1 : 1));
}

/** Keys that no list names. */
async function unlisted(partitions: RedisPartitions, { prefix, namespace }: KeySpace): Promise<StrayInstance[]> {
  const { keys, connection } = partitions;
  const { client } = connection;
  const pattern = `${escaped(prefix)}:{*}:${escaped(namespace)}:i:*`;
  const found: StrayInstance[] = [];
  for (const node of nodesOf(client)) {
    let cursor = "0";
    do {
      const [next, names] = await partitions.connection.run(() =>
        node.scan(cursor, "MATCH", pattern, "COUNT", KEYS_AT_ONCE),
      );
      cursor = next;
      const ids = names.map((name) => name.slice(name.indexOf(":i:") + 3));
      const own = ids.filter((id, index) => {
        const partition = partitions.ofId(id);
        return partition !== null && keys.instance(partition, id) === names[index];
      });
      const scores = await partitions.connection.run(() =>
        Promise.all(own.map((id) => client.zscore(keys.created(partitions.ofId(id) as number), id))),
      );
      for (const [index, id] of own.entries()) if (scores[index] === null) found.push({ id, what: "unlisted" });
    } while (cursor !== "0");
  }
  return found;
}

/** Names in a list whose keys are gone. */
async function gone(partitions: RedisPartitions): Promise<StrayInstance[]> {
  const { keys, connection } = partitions;
  const { client } = connection;
  const found = await partitions.each(async (partition) => {
    const missing: StrayInstance[] = [];
    for (let from = 0; ; from += KEYS_AT_ONCE) {
      const ids = await client.zrange(keys.created(partition), String(from), String(from + KEYS_AT_ONCE - 1));
      const there = await Promise.all(ids.map((id: string) => client.exists(keys.instance(partition, id))));
      for (const [index, id] of ids.entries()) if (there[index] === 0) missing.push({ id, what: "gone" });
      if (ids.length < KEYS_AT_ONCE) return missing;
    }
  });
  return found.flat();
}

function nodesOf(client: Redis | Cluster): readonly Redis[] {
  return client instanceof Cluster ? client.nodes("master") : [client];
}

/** Characters that a pattern gives a meaning. */
function escaped(text: string): string {
  return text.replace(/[*?[\]\\^]/g, "\\$&");
}

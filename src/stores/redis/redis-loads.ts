/** Reads of what batches are decided on: several of one partition go together. */
import { lineAfterFirst, withBirth } from "../local-stores.ts";
import type { LoadRequest, LoadResult } from "../store.ts";
import { CommandBatcher } from "./command-batcher.ts";
import { parseVersioned } from "./commit-arguments.ts";
import type { RedisConnection } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import { toInstances } from "./redis-instances.ts";
import type { Replication } from "./replication.ts";

/** Keys of one read. */
const READ_KEY_COUNT_MAX = 1_024;
const READ_KEY_COUNT_ENOUGH = 128;

export class RedisLoads {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #replication: Replication | null;
  readonly #batcher = new CommandBatcher<LoadRequest, LoadResult>({
    sizeMax: READ_KEY_COUNT_MAX,
    sizeEnough: READ_KEY_COUNT_ENOUGH,
    sizeOf: ({ instanceIds, episodeKeys }) => instanceIds.length + (episodeKeys?.length ?? 0) + 1,
    send: (partition, requests) => this.#send(partition, requests),
    write: (sendAll) => this.#connection.writeTogether(sendAll),
  });

  constructor(connection: RedisConnection, keys: RedisKeys, replication: Replication | null) {
    this.#connection = connection;
    this.#keys = keys;
    this.#replication = replication;
  }

  load(request: LoadRequest): Promise<LoadResult> {
    const loaded = this.#batcher.ask(request.partition, request);
    return this.#replication === null ? loaded : this.#settled(loaded, this.#replication, request);
  }

  /** Answers once enough replicas have what was read. */
  async #settled(
    loaded: Promise<LoadResult>,
    replication: Replication,
    { partition }: LoadRequest,
  ): Promise<LoadResult> {
    const result = await loaded;
    await replication.settle(partition);
    return result;
  }

  async #send(partition: number, requests: readonly LoadRequest[]): Promise<LoadResult[]> {
    const { client } = this.#connection;
    const keys: string[] = [];
    const episodeKeys: string[] = [];
    for (const { groupId, instanceIds, episodeKeys: some = [] } of requests) {
      for (const id of instanceIds) keys.push(this.#keys.instance(partition, id));
      if (groupId !== null) keys.push(this.#keys.group(partition, groupId));
      for (const key of some) episodeKeys.push(key);
    }
    const [texts, records] = await this.#connection.run(() =>
      Promise.all([
        keys.length === 0 ? [] : client.mget(keys),
        episodeKeys.length === 0 ? [] : client.hmget(this.#keys.episodes(partition), ...episodeKeys),
      ]),
    );
    let [at, recordAt] = [0, 0];
    return requests.map(({ groupId, instanceIds, episodeKeys: some = [], births }) => {
      const own = texts.slice(at, at + instanceIds.length);
      const instances = toInstances(instanceIds, own);
      if (births === true)
        instanceIds.forEach((id, index) => {
          const stored = instances.get(id);
          if (stored !== undefined) withBirth(stored, lineAfterFirst(own[index] as string));
        });
      at += instanceIds.length;
      const groupText = groupId === null ? null : (texts[at++] ?? null);
      const episodes = new Map<string, string>();
      for (const key of some) {
        const record = records[recordAt++] ?? null;
        if (record !== null) episodes.set(key, record);
      }
      return { group: groupText === null ? null : parseVersioned(groupText), instances, episodes };
    });
  }
}

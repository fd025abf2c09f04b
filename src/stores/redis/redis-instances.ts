/**
 * Instances over all partitions: what is read of them one by one and in the order of creation, what is recorded beside
 * them, and their removal.
 */
import type { ListPage, ListRequest, OpenEntry, Removal, StoredInstance } from "../store.ts";
import { type CreatedAt, compareCreated, decodeCursor, encodeCursor } from "../store-rules.ts";
import { CommandBatcher } from "./command-batcher.ts";
import { openMember, parseCheckpoint, parseLines, parseOpenMember } from "./commit-arguments.ts";
import { type RedisClient, ROW_COUNT_MAX } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import type { RedisPartitions } from "./partitions.ts";
import { pairs, scripts } from "./scripts.ts";

/** Histories of one read. */
const HISTORY_COUNT_MAX = 256;
const HISTORY_COUNT_ENOUGH = 64;

export class RedisInstances {
  readonly #partitions: RedisPartitions;
  /** A list, or an answer to a group, asks for a history of each of its instances. */
  readonly #histories = new CommandBatcher<string, string[] | null>({
    sizeMax: HISTORY_COUNT_MAX,
    sizeEnough: HISTORY_COUNT_ENOUGH,
    sizeOf: () => 1,
    send: (partition, ids) => this.#readHistories(partition, ids),
    write: (sendAll) => this.#partitions.connection.writeTogether(sendAll),
  });

  constructor(partitions: RedisPartitions) {
    this.#partitions = partitions;
  }

  async list({ limit, cursor, under }: ListRequest): Promise<ListPage> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor);
    const { replies, unreached } = await this.#partitions.reach(this.#partitions.all, (partition) => {
      const page = { partition, limit: limit + 1, after };
      return under === undefined ? this.#createdPage("newest", page) : this.#openPage(under, page);
    });
    const rows = [...replies.values()].flat().sort((left, right) => compareCreated(right, left));
    const page = rows.slice(0, limit);
    const stored = await this.#stored(page.map(({ id }) => id));
    const last = page.at(-1);
    return {
      // An instance that was removed since its place was read is left out: the page is shorter, not the last one.
      instances: page.flatMap(({ id }) => stored.get(id) ?? []),
      next: last === undefined || rows.length === page.length ? null : encodeCursor(last),
      ...(unreached.length === 0 ? {} : { unreached }),
    };
  }

  async countOpen(under: string): Promise<number> {
    const { replies } = await this.#partitions.reach(this.#partitions.all, (partition) =>
      scripts.countOpen(this.#client, [this.#keys.open(partition)], [`[${under} `, `(${under}!`]),
    );
    return [...replies.values()].reduce((sum, count) => sum + count, 0);
  }

  async indexOpen({ id, version, createdAtMs, openUnder }: OpenEntry): Promise<boolean> {
    const partition = this.#partitions.ofId(id);
    if (partition === null) return false;
    const keys = [this.#keys.instance(partition, id), this.#keys.open(partition)];
    const args = [version, ...openUnder.map((under) => openMember(under, { id, createdAtMs }))];
    if (args.length === 1) return true;
    return (await this.#partitions.connection.run(() => scripts.indexOpen(this.#client, keys, args))) === "indexed";
  }

  async history(instanceId: string): Promise<string[] | null> {
    const partition = this.#partitions.ofId(instanceId);
    return partition === null ? null : this.#histories.ask(partition, instanceId);
  }

  async #readHistories(partition: number, ids: readonly string[]): Promise<(string[] | null)[]> {
    const keys = ids.flatMap((id) => [this.#keys.instance(partition, id), this.#keys.history(partition, id)]);
    const texts = await this.#partitions.connection.run(() => this.#client.mget(keys));
    return ids.map((_, index) => {
      const [stored, lines] = texts.slice(2 * index, 2 * index + 2);
      return stored == null ? null : parseLines(stored, lines ?? null);
    });
  }

  async touch(instanceId: string, atMs: number): Promise<void> {
    const partition = this.#partitions.ofId(instanceId);
    if (partition === null) return;
    const keys = [this.#keys.instance(partition, instanceId), this.#keys.touched(partition)];
    await this.#partitions.connection.run(() => scripts.touchInstance(this.#client, keys, [instanceId, atMs]));
  }

  async touched(instanceIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const touched = new Map<string, number>();
    await this.#partitions.ofIds(instanceIds, async (partition, ids) => {
      const times = await this.#client.hmget(this.#keys.touched(partition), ...ids);
      for (const [index, id] of ids.entries()) {
        const atMs = times[index] ?? null;
        if (atMs !== null) touched.set(id, Number(atMs));
      }
    });
    return touched;
  }

  async oldest(request: {
    partition: number;
    createdUntilMs: number;
    limit: number;
    after?: CreatedAt;
  }): Promise<CreatedAt[]> {
    const { partition, limit, after } = request;
    const rows = await this.#partitions.connection.run(() => this.#createdPage("oldest", { partition, limit, after }));
    return rows.filter(({ createdAtMs }) => createdAtMs <= request.createdUntilMs);
  }

  async remove(instanceId: string, version: number, { episode, condition }: Removal = {}): Promise<boolean> {
    const partition = this.#partitions.ofId(instanceId);
    if (partition === null) return false;
    const keys = [
      this.#keys.instance(partition, instanceId),
      this.#keys.history(partition, instanceId),
      this.#keys.created(partition),
      this.#keys.touched(partition),
      this.#keys.episodes(partition),
    ];
    const its = [episode?.key ?? "", episode?.value ?? "", condition?.key ?? "", condition?.expected ?? ""];
    const args = [instanceId, version, ...its];
    return (
      (await this.#partitions.connection.run(() => scripts.removeInstance(this.#client, keys, args))) === "removed"
    );
  }

  async #stored(instanceIds: readonly string[]): Promise<Map<string, StoredInstance>> {
    const stored = new Map<string, StoredInstance>();
    await this.#partitions.ofIds(instanceIds, async (partition, ids) => {
      const texts = await this.#client.mget(...ids.map((id) => this.#keys.instance(partition, id)));
      for (const [id, instance] of toInstances(ids, texts)) stored.set(id, instance);
    });
    return stored;
  }

  /** Newest first, like the set's members behind what they are found under. */
  async #openPage(
    under: string,
    { partition, limit, after }: { partition: number; limit: number; after: CreatedAt | undefined },
  ): Promise<CreatedAt[]> {
    const key = this.#keys.open(partition);
    const last = after === undefined ? `(${under}!` : `(${openMember(under, after)}`;
    const count = Math.min(limit, ROW_COUNT_MAX);
    const members = await this.#client.zrange(key, last, `[${under} `, "BYLEX", "REV", "LIMIT", 0, count);
    return members.map(parseOpenMember);
  }

  async #createdPage(
    first: "newest" | "oldest",
    { partition, limit, after }: { partition: number; limit: number; after: CreatedAt | undefined },
  ): Promise<CreatedAt[]> {
    const args = [first, Math.min(limit, ROW_COUNT_MAX), after?.createdAtMs ?? "", after?.id ?? ""];
    const flat = await scripts.createdPage(this.#client, [this.#keys.created(partition)], args);
    return pairs(flat).map(([id, createdAtMs]) => ({ id, createdAtMs: Number(createdAtMs) }));
  }

  get #client(): RedisClient {
    return this.#partitions.connection.client;
  }

  get #keys(): RedisKeys {
    return this.#partitions.keys;
  }
}

/** Those of `ids` that have a text, by id. */
export function toInstances(ids: readonly string[], texts: readonly (string | null)[]): Map<string, StoredInstance> {
  const instances = new Map<string, StoredInstance>();
  ids.forEach((id, index) => {
    const text = texts[index] ?? null;
    if (text !== null) instances.set(id, { id, ...parseCheckpoint(text) });
  });
  return instances;
}

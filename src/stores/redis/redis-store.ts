/**
 * The store on Redis 7 or later, one server or a cluster, shared by any number of processes. What lies where: docs/data-layout.md.
 *
 * R1: every write that has a condition is one script, which reads and checks all before it writes.
 * R2: a command touches keys of one partition only; what spans partitions is asked of each and merged here.
 * R3: every command may be sent twice (ioredis sends again what was not answered), so each is harmless the second time.
 */
import { compareCodePoints } from "../../model/utf8.ts";
import type { DimensionLock } from "../dimension-lock.ts";
import type {
  ClaimRequest,
  Commit,
  CommitOutcome,
  ExtendRequest,
  LeaseRequest,
  ListPage,
  ListRequest,
  LoadRequest,
  LoadResult,
  MembersRequest,
  NamespaceInfo,
  NamespaceMode,
  NamespaceSpec,
  PolicyRecord,
  Store,
  StoredEffect,
  StoredInstance,
  TimerLane,
  TimerRow,
} from "../store.ts";
import {
  type CreatedAt,
  compareCreated,
  compareTimers,
  decodeCursor,
  encodeCursor,
  invalid,
  notOpen,
  partitionInId,
  requireLease,
  requireNamespaceSpec,
  requirePartition,
  requireSameNamespace,
  requireValidCommit,
} from "../store-rules.ts";
import {
  commitArguments,
  commitSize,
  parseCheckpoint,
  parseLines,
  parseTimerMember,
  parseVersioned,
} from "./commit-arguments.ts";
import { type RedisClient, RedisConnection, ROW_COUNT_MAX } from "./connection.ts";
import { type KeySpace, type NamespaceKeys, namespaceKeys, type RedisKeys, redisKeys } from "./keys.ts";
import { RedisOutbox } from "./redis-outbox.ts";
import { redlockDimensionLock } from "./redlock-dimension-lock.ts";
import { pairs, scripts } from "./scripts.ts";
import { Together } from "./together.ts";

export type RedisStoreOptions = {
  /** Default "default". Letters, digits, `.`, `_` and `-`, at most 64. */
  namespace?: string;
  /** What every key starts with. Default "becalm". */
  keyPrefix?: string;
};

/**
 * A store on Redis. `target`: a URL (`redis://[user:password@]host[:port][/database]`), or an ioredis client or cluster of the
 * caller's, which stays the caller's to close. Connects with the first call.
 */
export function redisStore(target: string | RedisClient, options: RedisStoreOptions = {}): Store {
  return new RedisStore(new RedisConnection(target), requireKeySpace(options));
}

/** Texts of a script's commits, in UTF-16 units: some 256 alerts, which stall other clients for about 2 ms. */
const SCRIPT_UNITS_MAX = 384 * 1_024;
/** Some 30 alerts, with which the server is busy as long as this process with deciding further ones. */
const SCRIPT_UNITS_ENOUGH = 48 * 1_024;
/** Keys of one read. */
const READ_KEY_COUNT_MAX = 1_024;
const READ_KEY_COUNT_ENOUGH = 128;

class RedisStore implements Store {
  readonly lock: DimensionLock;
  readonly #connection: RedisConnection;
  readonly #client: RedisClient;
  readonly #space: KeySpace;
  readonly #ownKeys: NamespaceKeys;
  /** null until `open` has found the namespace: the tags in the keys depend on the number of partitions. */
  #keys: RedisKeys | null = null;
  #outbox: RedisOutbox | null = null;
  readonly #loads = new Together<LoadRequest, LoadResult>({
    sizeMax: READ_KEY_COUNT_MAX,
    sizeEnough: READ_KEY_COUNT_ENOUGH,
    sizeOf: ({ instanceIds }) => instanceIds.length + 1,
    send: (partition, requests) => this.#load(partition, requests),
    write: (sendAll) => this.#connection.writeTogether(sendAll),
  });
  readonly #commits = new Together<Commit, CommitOutcome>({
    sizeMax: SCRIPT_UNITS_MAX,
    sizeEnough: SCRIPT_UNITS_ENOUGH,
    sizeOf: commitSize,
    send: (partition, commits) => this.#commit(partition, commits),
    write: (sendAll) => this.#connection.writeTogether(sendAll),
  });

  constructor(connection: RedisConnection, space: KeySpace) {
    this.#connection = connection;
    this.#client = connection.client;
    this.#space = space;
    this.#ownKeys = namespaceKeys(space);
    this.lock = redlockDimensionLock(connection, (partition, key, slot) =>
      this.#open(partition).lockSlot(partition, key, slot),
    );
  }

  async open(spec: NamespaceSpec): Promise<NamespaceInfo | null> {
    requireNamespaceSpec(spec);
    const [mode, partitions, highestTimeMs] = await this.#connection.run(() => this.#readOrCreate(spec));
    if (mode == null) return null;
    const info: NamespaceInfo = {
      mode: mode as NamespaceMode,
      partitions: Number(partitions),
      highestTimeMs: highestTimeMs == null ? null : Number(highestTimeMs),
    };
    requireSameNamespace(this.#space.namespace, info, spec);
    this.#keys = redisKeys(this.#space, info.partitions);
    this.#outbox = new RedisOutbox(this.#connection, this.#keys);
    return info;
  }

  /** Reads first: a server that is out of memory lets nobody call a script that may write. */
  async #readOrCreate(spec: NamespaceSpec): Promise<(string | null | undefined)[]> {
    const { meta } = this.#ownKeys;
    const fields = await this.#client.hmget(meta, "mode", "partitions", "highestTimeMs");
    if (typeof fields[0] === "string" || spec.mode === undefined) return fields;
    return scripts.openNamespace(this.#client, [meta], [spec.mode, spec.partitions ?? ""]);
  }

  async load(request: LoadRequest): Promise<LoadResult> {
    this.#open(request.partition);
    return this.#loads.ask(request.partition, request);
  }

  async #load(partition: number, requests: readonly LoadRequest[]): Promise<LoadResult[]> {
    const keysOf = this.#open();
    const keys: string[] = [];
    for (const { groupId, instanceIds } of requests) {
      for (const id of instanceIds) keys.push(keysOf.instance(partition, id));
      if (groupId !== null) keys.push(keysOf.group(partition, groupId));
    }
    const texts = keys.length === 0 ? [] : await this.#connection.run(() => this.#client.mget(keys));
    let at = 0;
    return requests.map(({ groupId, instanceIds }) => {
      const instances = toInstances(instanceIds, texts.slice(at, at + instanceIds.length));
      at += instanceIds.length;
      const groupText = groupId === null ? null : (texts[at++] ?? null);
      return { group: groupText === null ? null : parseVersioned(groupText), instances };
    });
  }

  async members({ groupId, partition, set, limit, offset = 0 }: MembersRequest): Promise<string[]> {
    const key = this.#open(partition).members(partition, groupId, set);
    if (limit < 1) return [];
    const last = offset + Math.min(limit, ROW_COUNT_MAX) - 1;
    return this.#connection.run(() => this.#client.zrange(key, String(offset), String(last)));
  }

  async commit(commit: Commit): Promise<CommitOutcome> {
    requireValidCommit(commit, this.#open().partitions);
    return this.#commits.ask(commit.partition, commit);
  }

  async #commit(partition: number, commits: readonly Commit[]) {
    const { keys, args } = commitArguments(partition, commits, this.#open());
    const answers = await this.#connection.run(() => scripts.commit(this.#client, keys, args));
    return answers.map((answer) => this.#connection.answerOf<CommitOutcome>(answer));
  }

  async timers({ lane, untilMs, limit }: { lane: TimerLane; untilMs: number; limit: number }): Promise<TimerRow[]> {
    if (limit < 1) return [];
    const [untilScore, count] = [untilMs === Infinity ? "+inf" : String(untilMs), Math.min(limit, ROW_COUNT_MAX)];
    // Each partition answers in the port's order (see timerMember), so the first `limit` of all are among the first `limit` of each.
    const parts = await this.#eachPartition(async (keysOf, partition) => {
      const key = keysOf.timers(partition, lane);
      const flat = await this.#client.zrange(key, "-inf", untilScore, "BYSCORE", "LIMIT", 0, count, "WITHSCORES");
      const rowOf = ([member, score]: [string, string]) => ({ ...parseTimerMember(member), dueAtMs: Number(score) });
      return pairs(flat).map((pair) => ({ lane, partition, ...rowOf(pair) }));
    });
    return parts.flat().sort(compareTimers).slice(0, limit);
  }

  async claimEffects(request: ClaimRequest): Promise<StoredEffect[]> {
    this.#open(request.partition);
    requireLease(request.leaseMs, "claim");
    return firstById(await (this.#outbox as RedisOutbox).claim(request), request.limit);
  }

  async listEffects(request: { limit: number; partition?: number }): Promise<StoredEffect[]> {
    this.#open(request.partition);
    return firstById(await (this.#outbox as RedisOutbox).list(request), request.limit);
  }

  async releaseClaims({ owner, effectIds }: { owner: string; effectIds: readonly string[] }): Promise<void> {
    this.#open();
    await (this.#outbox as RedisOutbox).extend({ owner, effectIds, leaseMs: 0 });
  }

  async extendClaims(request: ExtendRequest): Promise<string[]> {
    this.#open();
    requireLease(request.leaseMs, "claim");
    return (this.#outbox as RedisOutbox).extend(request);
  }

  async list({ limit, cursor }: ListRequest): Promise<ListPage> {
    const after = cursor === undefined ? undefined : decodeCursor(cursor);
    const parts = await this.#eachPartition((_, partition) =>
      this.#createdPage("newest", { partition, limit: limit + 1, after }),
    );
    const rows = parts.flat().sort((left, right) => compareCreated(right, left));
    const page = rows.slice(0, limit);
    const stored = await this.#instances(page.map(({ id }) => id));
    const last = page.at(-1);
    return {
      // An instance that was removed since its place was read is left out: the page is shorter, not the last one.
      instances: page.flatMap(({ id }) => stored.get(id) ?? []),
      next: last === undefined || rows.length === page.length ? null : encodeCursor(last),
    };
  }

  async history(instanceId: string): Promise<string[] | null> {
    const keysOf = this.#open();
    const partition = partitionInId(instanceId, keysOf.partitions);
    if (partition === null) return null;
    const keys = [keysOf.instance(partition, instanceId), keysOf.history(partition, instanceId)];
    const [stored, lines] = await this.#connection.run(() => this.#client.mget(...keys));
    return stored == null ? null : parseLines(stored, lines ?? null);
  }

  async touch(instanceId: string, atMs: number): Promise<void> {
    const keysOf = this.#open();
    const partition = partitionInId(instanceId, keysOf.partitions);
    if (partition === null) return;
    const keys = [keysOf.instance(partition, instanceId), keysOf.touched(partition)];
    await this.#connection.run(() => scripts.touchInstance(this.#client, keys, [instanceId, atMs]));
  }

  async touched(instanceIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const touched = new Map<string, number>();
    await this.#byPartition(instanceIds, async (keysOf, partition, ids) => {
      const times = await this.#client.hmget(keysOf.touched(partition), ...ids);
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
    this.#open(partition);
    const rows = await this.#connection.run(() => this.#createdPage("oldest", { partition, limit, after }));
    return rows.filter(({ createdAtMs }) => createdAtMs <= request.createdUntilMs);
  }

  async remove(instanceId: string, version: number): Promise<boolean> {
    const keysOf = this.#open();
    const partition = partitionInId(instanceId, keysOf.partitions);
    if (partition === null) return false;
    const keys = [
      keysOf.instance(partition, instanceId),
      keysOf.history(partition, instanceId),
      keysOf.created(partition),
      keysOf.touched(partition),
    ];
    const outcome = await this.#connection.run(() => scripts.removeInstance(this.#client, keys, [instanceId, version]));
    return outcome === "removed";
  }

  lease({ groupId, partition, owner, ttlMs }: LeaseRequest): Promise<boolean> {
    return this.#lease(this.#open(partition).lease(partition, groupId), owner, ttlMs);
  }

  leaseRun({ owner, ttlMs }: { owner: string; ttlMs: number }): Promise<boolean> {
    return this.#lease(this.#open().runLease, owner, ttlMs);
  }

  async #lease(key: string, owner: string, ttlMs: number): Promise<boolean> {
    return (await this.#connection.run(() => scripts.leaseGroup(this.#client, [key], [owner, ttlMs]))) === "held";
  }

  async savePolicies(entries: readonly PolicyRecord[]): Promise<void> {
    this.#open();
    const save = ({ key, value }: PolicyRecord) => this.#client.hsetnx(this.#ownKeys.policies, key, value);
    await this.#connection.run(() => Promise.all(entries.map(save)));
  }

  async policies(): Promise<PolicyRecord[]> {
    this.#open();
    const stored = await this.#connection.run(() => this.#client.hgetall(this.#ownKeys.policies));
    const records = Object.entries(stored).map(([key, value]) => ({ key, value }));
    return records.sort((left, right) => compareCodePoints(left.key, right.key));
  }

  async advanceTime(toMs: number): Promise<number> {
    this.#open();
    const highest = await this.#connection.run(() => scripts.advanceTime(this.#client, [this.#ownKeys.meta], [toMs]));
    if (highest === null) throw this.#connection.hasLost(`the namespace "${this.#space.namespace}"`);
    return Number(highest);
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  /** The keys of the open namespace; checks the partition when one is given. */
  #open(partition?: number): RedisKeys {
    if (this.#keys === null) throw notOpen(this.#space.namespace);
    if (partition !== undefined) requirePartition(partition, this.#keys.partitions);
    return this.#keys;
  }

  /** Asks all partitions at once; the answers stand in the order of the partitions. */
  #eachPartition<Reply>(ask: (keysOf: RedisKeys, partition: number) => Promise<Reply>): Promise<Reply[]> {
    const keysOf = this.#open();
    return this.#connection.run(() =>
      Promise.all(Array.from({ length: keysOf.partitions }, (_, partition) => ask(keysOf, partition))),
    );
  }

  /** Asks those partitions that have one of the instances. */
  async #byPartition(
    instanceIds: readonly string[],
    ask: (keysOf: RedisKeys, partition: number, ids: string[]) => Promise<void>,
  ): Promise<void> {
    const keysOf = this.#open();
    const idsOf = new Map<number, string[]>();
    for (const id of instanceIds) {
      const partition = partitionInId(id, keysOf.partitions);
      if (partition !== null) idsOf.set(partition, [...(idsOf.get(partition) ?? []), id]);
    }
    await this.#connection.run(() => Promise.all([...idsOf].map(([partition, ids]) => ask(keysOf, partition, ids))));
  }

  async #instances(instanceIds: readonly string[]): Promise<Map<string, StoredInstance>> {
    const stored = new Map<string, StoredInstance>();
    await this.#byPartition(instanceIds, async (keysOf, partition, ids) => {
      const texts = await this.#client.mget(...ids.map((id) => keysOf.instance(partition, id)));
      for (const [id, instance] of toInstances(ids, texts)) stored.set(id, instance);
    });
    return stored;
  }

  async #createdPage(
    first: "newest" | "oldest",
    { partition, limit, after }: { partition: number; limit: number; after: CreatedAt | undefined },
  ): Promise<CreatedAt[]> {
    const args = [first, Math.min(limit, ROW_COUNT_MAX), after?.createdAtMs ?? "", after?.id ?? ""];
    const flat = await scripts.createdPage(this.#client, [this.#open().created(partition)], args);
    return pairs(flat).map(([id, createdAtMs]) => ({ id, createdAtMs: Number(createdAtMs) }));
  }
}

/** Checks what a program chose for its keys. Throws BECALM_ARGUMENT_INVALID. */
export function requireKeySpace({ namespace = "default", keyPrefix = "becalm" }: RedisStoreOptions): KeySpace {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(namespace)) {
    throw invalid(
      `The namespace ${JSON.stringify(namespace)} is no name. Use 1 to 64 letters, digits, ".", "_" or "-".`,
    );
  }
  if (!/^[^{}\s]{1,64}$/.test(keyPrefix)) {
    throw invalid(
      `The key prefix ${JSON.stringify(keyPrefix)} cannot start a key. Use 1 to 64 characters, no brace and no space.`,
    );
  }
  return { prefix: keyPrefix, namespace };
}

function firstById(effects: StoredEffect[], limit: number): StoredEffect[] {
  return effects.sort((left, right) => compareCodePoints(left.id, right.id)).slice(0, limit);
}

function toInstances(ids: readonly string[], texts: readonly (string | null)[]): Map<string, StoredInstance> {
  const instances = new Map<string, StoredInstance>();
  ids.forEach((id, index) => {
    const text = texts[index] ?? null;
    if (text !== null) instances.set(id, { id, ...parseCheckpoint(text) });
  });
  return instances;
}

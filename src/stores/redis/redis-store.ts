/**
 * The store on Redis 7 or later, one server or a cluster, shared by any number of processes. What lies where:
 * docs/data-layout.md.
 *
 * R1: every write that has a condition is one script, which reads and checks all before it writes.
 * R2: a command touches keys of one partition only; what spans partitions is asked of each and merged here.
 * R3: every command may be sent twice (ioredis sends again what was not answered), so each is harmless the second time.
 */

import { compareCodePoints } from "../../model/utf8.ts";
import type { DimensionLock } from "../dimension-lock.ts";
import { requireKnownOptions } from "../known-options.ts";
import type { ClaimedEffect, Outbox } from "../outbox.ts";
import type {
  ClaimRequest,
  Commit,
  CommitOutcome,
  EpisodeWrite,
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
  OpenEntry,
  PolicyRecord,
  Removal,
  Store,
  StoreDescription,
  StoredEffect,
  StorePulse,
  StrayInstance,
  Tally,
  TimerKey,
  TimerRow,
  TimersRequest,
} from "../store.ts";
import { NAMESPACE_FORMAT } from "../store.ts";
import {
  type CreatedAt,
  invalid,
  notOpen,
  requireLease,
  requireNamespaceSpec,
  requirePartition,
  requireSameNamespace,
  requireValidCommit,
  requireValidEpisodes,
  requireValidOpenUnder,
} from "../store-rules.ts";
import { tallyOf } from "../tally-text.ts";
import { CommitLedger } from "./commit-ledger.ts";
import { type RedisClient, RedisConnection, ROW_COUNT_MAX } from "./connection.ts";
import {
  type KeySpace,
  type NamespaceKeys,
  namespaceKeys,
  type RedisKeys,
  redisKeys,
  requireKeySpace,
} from "./keys.ts";
import { RedisPartitions } from "./partitions.ts";
import { RedisCommits } from "./redis-commits.ts";
import { describeServer, RedisHealth } from "./redis-health.ts";
import { RedisInstances } from "./redis-instances.ts";
import { RedisLoads } from "./redis-loads.ts";
import { RedisOutbox } from "./redis-outbox.ts";
import { RedisProcesses } from "./redis-processes.ts";
import { strayInstances } from "./redis-strays.ts";
import { RedisTimers } from "./redis-timers.ts";
import { redlockDimensionLock } from "./redlock-dimension-lock.ts";
import { type Replication, replicationOf } from "./replication.ts";
import type { ReplicationOptions } from "./replication-options.ts";
import { requireRights } from "./rights.ts";
import { requireMaster, requireNoEviction } from "./role.ts";
import { scripts } from "./scripts.ts";
import { tryWrite } from "./trial-write.ts";

export type RedisStoreOptions = {
  /** Default "default". Letters, digits, `.`, `_` and `-`, at most 64. */
  namespace?: string;
  /** What every key starts with. Default "becalm". */
  keyPrefix?: string;
  /** How long a call may take until it fails as BECALM_STORE_UNAVAILABLE. Default 5 s. */
  callTimeoutMs?: number;
  /**
   * Commits are answered when so many replicas have them (WAIT). Default: what the URL says, else they are not waited
   * for.
   */
  durability?: ReplicationOptions;
};

/**
 * A store on Redis. `target`: a URL (redis://, redis+sentinel://, redis+cluster://; rediss for TLS), or an ioredis
 * client or cluster of the caller's, which is completed with what notices a silent server, and stays the caller's to
 * close. Connects with the first call.
 */
export function redisStore(target: string | RedisClient, options: RedisStoreOptions = {}): Store {
  requireKnownOptions("redisStore", options, ["namespace", "keyPrefix", "callTimeoutMs", "durability"]);
  const { callTimeoutMs } = options;
  if (callTimeoutMs !== undefined && !(Number.isInteger(callTimeoutMs) && callTimeoutMs >= 1))
    throw invalid(`A call cannot take ${callTimeoutMs} ms. Use a whole number of at least 1.`);
  const patience = callTimeoutMs === undefined ? {} : { callTimeoutMs };
  return new RedisStore(new RedisConnection(target, patience), {
    space: requireKeySpace(options),
    replication: replicationOf(target, options),
  });
}

class RedisStore implements Store {
  readonly lock: DimensionLock;
  readonly #connection: RedisConnection;
  readonly #client: RedisClient;
  readonly #space: KeySpace;
  readonly #ownKeys: NamespaceKeys;
  /** null until `open` has found the namespace: the tags in the keys depend on the number of partitions. */
  #parts: OpenParts | null = null;
  readonly #ledger = new CommitLedger();
  readonly #replication: Replication | null;
  readonly #health: RedisHealth;
  readonly processes: RedisProcesses;

  constructor(
    connection: RedisConnection,
    { space, replication }: { space: KeySpace; replication: Replication | null },
  ) {
    this.#replication = replication;
    this.#health = new RedisHealth(connection);
    this.processes = new RedisProcesses({ connection, keys: () => this.#open() });
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
    const use = spec.mode === undefined ? "reading" : "writing";
    const also = use === "writing" && this.#replication !== null ? ["WAIT"] : [];
    await requireRights(this.#connection, { key: this.#ownKeys.meta, use, also });
    if (use === "writing") {
      await requireMaster(this.#connection);
      await requireNoEviction(this.#connection);
    }
    const [mode, partitions, highestTimeMs, format] = await this.#connection.run(() => this.#readOrCreate(spec));
    if (mode == null) return null;
    const info: NamespaceInfo = {
      mode: mode as NamespaceMode,
      partitions: Number(partitions),
      highestTimeMs: highestTimeMs == null ? null : Number(highestTimeMs),
      format: Number(format ?? 1),
    };
    requireSameNamespace(this.#space.namespace, info, spec);
    // An engine that looks after its namespace opens it again and again.
    if (this.#parts?.keys.partitions !== info.partitions)
      this.#parts = this.#partsOf(new RedisPartitions(this.#connection, redisKeys(this.#space, info.partitions)));
    return info;
  }

  /** Reads first: a server that is out of memory lets nobody call a script that may write. */
  async #readOrCreate(spec: NamespaceSpec): Promise<(string | null | undefined)[]> {
    const { meta } = this.#ownKeys;
    const fields = await this.#client.hmget(meta, "mode", "partitions", "highestTimeMs", "format");
    if (typeof fields[0] === "string" || spec.mode === undefined) return fields;
    return scripts.openNamespace(this.#client, [meta], [spec.mode, spec.partitions ?? "", NAMESPACE_FORMAT]);
  }

  async load(request: LoadRequest): Promise<LoadResult> {
    return this.#opened(request.partition).loads.load(request);
  }

  async renewEpisodes({ partition, writes }: { partition: number; writes: readonly EpisodeWrite[] }) {
    const key = this.#open(partition).episodes(partition);
    requireValidEpisodes(writes);
    if (writes.length === 0) return "applied";
    const args = writes.flatMap(({ key: field, expected, value }) => [field, expected ?? "", value]);
    return this.#connection.run(() => scripts.renewEpisodes(this.#client, [key], args));
  }

  async members({ groupId, partition, set, limit, offset = 0 }: MembersRequest): Promise<string[]> {
    const key = this.#open(partition).members(partition, groupId, set);
    if (limit < 1) return [];
    const last = offset + Math.min(limit, ROW_COUNT_MAX) - 1;
    return this.#connection.run(() => this.#client.zrange(key, String(offset), String(last)));
  }

  async tally({ partition, key }: { partition: number; key: string }): Promise<Tally | null> {
    const tallies = this.#open(partition).tallies(partition);
    const [text] = await this.#connection.run(() => this.#client.hmget(tallies, key));
    return text == null ? null : tallyOf(text);
  }

  async commit(commit: Commit): Promise<CommitOutcome> {
    const { commits, keys } = this.#opened();
    requireValidCommit(commit, keys.partitions);
    return commits.commit(commit);
  }

  async timers(request: TimersRequest): Promise<TimerRow[]> {
    return this.#opened(request.partition).timers.due(request);
  }

  async dueTimes(timers: readonly TimerKey[]): Promise<(number | null)[]> {
    const opened = this.#opened();
    for (const { partition } of timers) requirePartition(partition, opened.keys.partitions);
    return opened.timers.dueTimes(timers);
  }

  get outbox(): Outbox {
    return this.#opened().outbox;
  }

  async claimEffects(request: ClaimRequest): Promise<ClaimedEffect[]> {
    const { outbox } = this.#opened(request.partition);
    requireLease(request.leaseMs, "claim");
    return firstById(await outbox.claimFirst(request), request.limit);
  }

  async listEffects(request: { limit: number; partition?: number }): Promise<StoredEffect[]> {
    return firstById(await this.#opened(request.partition).outbox.list(request), request.limit);
  }

  async releaseClaims({ owner, effectIds }: { owner: string; effectIds: readonly string[] }): Promise<void> {
    await this.#opened().outbox.giveBack({ owner, effectIds, delayMs: 0 });
  }

  async extendClaims(request: ExtendRequest): Promise<string[]> {
    const { outbox } = this.#opened();
    requireLease(request.leaseMs, "claim");
    return outbox.extend(request);
  }

  async unclaimedEffects(partition: number): Promise<string[]> {
    return this.#opened(partition).outbox.unclaimed(partition);
  }

  async strayInstances(): Promise<StrayInstance[]> {
    return strayInstances(this.#opened().partitions, this.#space);
  }

  async list(request: ListRequest): Promise<ListPage> {
    return this.#opened().instances.list(request);
  }

  async countOpen(under: string): Promise<number> {
    return this.#opened().instances.countOpen(under);
  }

  async indexOpen(entry: OpenEntry): Promise<boolean> {
    const { instances } = this.#opened();
    requireValidOpenUnder(entry);
    return instances.indexOpen(entry);
  }

  async raiseFormat(to: number): Promise<number> {
    this.#open();
    const format = await this.#connection.run(() => scripts.raiseFormat(this.#client, [this.#ownKeys.meta], [to]));
    if (format === null) throw this.#connection.hasLost(`the namespace "${this.#space.namespace}"`);
    return Number(format);
  }

  async history(instanceId: string): Promise<string[] | null> {
    return this.#opened().instances.history(instanceId);
  }

  async touch(instanceId: string, atMs: number): Promise<void> {
    return this.#opened().instances.touch(instanceId, atMs);
  }

  async touched(instanceIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    return this.#opened().instances.touched(instanceIds);
  }

  async oldest(request: {
    partition: number;
    createdUntilMs: number;
    limit: number;
    after?: CreatedAt;
  }): Promise<CreatedAt[]> {
    return this.#opened(request.partition).instances.oldest(request);
  }

  async remove(instanceId: string, version: number, removal?: Removal): Promise<boolean> {
    return this.#opened().instances.remove(instanceId, version, removal);
  }

  lease({ groupId, partition, owner, ttlMs }: LeaseRequest): Promise<boolean> {
    return this.#lease(this.#open(partition).lease(partition, groupId), owner, ttlMs);
  }

  /** Renewed for the shortest time that there is. */
  async endLease({ groupId, partition, owner }: Omit<LeaseRequest, "ttlMs">): Promise<void> {
    await this.#lease(this.#open(partition).lease(partition, groupId), owner, 1);
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

  async pulse(): Promise<StorePulse> {
    const { commits } = this.#opened();
    return this.#health.pulse(() => commits.lost());
  }

  tryWrite(): Promise<void> {
    return tryWrite({ connection: this.#connection, keys: this.#open(), replication: this.#replication });
  }

  describe(): Promise<StoreDescription> {
    const replication = this.#replication?.options ?? null;
    return describeServer(this.#connection, { key: this.#ownKeys.meta, replication });
  }

  close(): Promise<void> {
    this.#replication?.close();
    this.processes.close();
    return this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #partsOf(partitions: RedisPartitions): OpenParts {
    const { connection, keys } = partitions;
    return {
      partitions,
      keys,
      loads: new RedisLoads(connection, keys, this.#replication),
      commits: new RedisCommits(connection, { keys, ledger: this.#ledger, replication: this.#replication }),
      instances: new RedisInstances(partitions),
      timers: new RedisTimers(partitions),
      outbox: new RedisOutbox(partitions),
    };
  }

  /** What works on the open namespace; checks the partition when one is given. */
  #opened(partition?: number): OpenParts {
    if (this.#parts === null) throw notOpen(this.#space.namespace);
    if (partition !== undefined) requirePartition(partition, this.#parts.keys.partitions);
    return this.#parts;
  }

  #open(partition?: number): RedisKeys {
    return this.#opened(partition).keys;
  }
}

type OpenParts = {
  readonly partitions: RedisPartitions;
  readonly keys: RedisKeys;
  readonly loads: RedisLoads;
  readonly commits: RedisCommits;
  readonly instances: RedisInstances;
  readonly timers: RedisTimers;
  readonly outbox: RedisOutbox;
};

function firstById<Row extends StoredEffect>(effects: Row[], limit: number): Row[] {
  return effects.sort((left, right) => compareCodePoints(left.id, right.id)).slice(0, limit);
}

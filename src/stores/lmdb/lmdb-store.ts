/**
 * The store in a file of LMDB, embedded in the process and durable through a loss of power: what is answered is on the
 * disk. One process writes to a file, any number may look. What lies where: docs/data-layout.md.
 *
 * L1: every write is one function of the transaction's rows, which checks all before it writes; environment.ts puts
 * those that come together into one transaction. L2: what only has a meaning while the writer lives is kept in its
 * memory: leases, slots of the counting lock. Claims of effects are stored, and free when another writer takes over.
 */

import type { DimensionLock } from "../dimension-lock.ts";
import { requireKnownOptions } from "../known-options.ts";
import { LOCAL_PULSE, lmdbDescription } from "../local-stores.ts";
import { GroupLeases } from "../memory/group-leases.ts";
import { memoryDimensionLock } from "../memory/memory-dimension-lock.ts";
import type { ClaimedEffect } from "../outbox.ts";
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
  NamespaceSpec,
  OpenEntry,
  PolicyRecord,
  Removal,
  Store,
  StoreDescription,
  StoredEffect,
  StoredInstance,
  StorePulse,
  StrayInstance,
  Tally,
  TimerKey,
  TimerRow,
  TimersRequest,
} from "../store.ts";
import {
  type CreatedAt,
  decodeCursor,
  encodeCursor,
  notOpen,
  partitionInId,
  requireLease,
  requireNamespaceSpec,
  requirePartition,
  requireSameNamespace,
  requireValidCommit,
  requireValidEpisodes,
  requireValidOpenUnder,
} from "../store-rules.ts";
import { diskFinding } from "./disk-finding.ts";
import { databaseFile, Environment } from "./environment.ts";
import { requireUsableId } from "./instance-rows.ts";
import { lmdbOutbox } from "./lmdb-outbox.ts";
import { NamespaceRows } from "./namespace-rows.ts";
import type { ReadRows, WriteRows } from "./rows.ts";
import { requireNamespaceName, requireStorePath } from "./store-place.ts";
import { commitTo, type Tables, tablesOf } from "./tables.ts";

export type LmdbStoreOptions = {
  /** Default "default". Letters, digits, `.`, `_` and `-`, at most 64. */
  namespace?: string;
  /** The clock of leases, of time-to-live and of commit ids, in epoch ms. Default: the system's. */
  now?: () => number;
};

/**
 * A store in a folder of this machine, or in a file that ends in `.mdb`. Nothing is opened before the first call;
 * reading makes nothing. `close` must be called: it waits for what is being written.
 */
export function lmdbStore(path: string, options: LmdbStoreOptions = {}): Store {
  requireKnownOptions("lmdbStore", options, ["namespace", "now"]);
  const { namespace = "default", now = Date.now } = options;
  requireStorePath(path);
  requireNamespaceName(namespace);
  return new LmdbStore({ path, namespace, now });
}

/** What the stores of a namespace in this process have in common while it writes. */
type WriterState = { readonly lock: DimensionLock; readonly leases: GroupLeases; claimsFreed: Promise<void> | null };

class LmdbStore implements Store {
  readonly processes = null;
  readonly lock: DimensionLock = {
    acquire: async (request) => {
      const state = await this.#writerState(this.#open());
      return state.lock.acquire(request);
    },
  };
  readonly outbox = lmdbOutbox({
    now: () => this.#now(),
    opened: () => ({ effects: this.#open().effects, partitions: this.#open().info.partitions }),
    read: (look) => this.#read(look),
    beWriter: async () => void (await this.#writerState(this.#open())),
    write: (change) => this.#write(change),
  });
  readonly #path: string;
  readonly #namespace: string;
  readonly #now: () => number;
  readonly #namespaces: NamespaceRows;
  #environment: Environment | null = null;
  #tables: Tables | null = null;
  /** Where the next claim starts, so that a busy partition does not keep the others waiting. */
  #firstPartition = 0;

  constructor({ path, namespace, now }: { path: string; namespace: string; now: () => number }) {
    this.#path = path;
    this.#namespace = namespace;
    this.#now = now;
    this.#namespaces = new NamespaceRows(namespace);
  }

  async open(spec: NamespaceSpec): Promise<NamespaceInfo | null> {
    requireNamespaceSpec(spec);
    this.#environment ??= Environment.use(this.#path);
    const environment = this.#environment;
    const { mode, partitions } = spec;
    let found = await environment.read((rows) => this.#namespaces.read(rows));
    if (found === null && mode !== undefined && partitions !== undefined)
      found = await environment.write((rows) => this.#namespaces.create(rows, { mode, partitions }));
    if (found === null) return null;
    const { info } = found;
    requireSameNamespace(this.#namespace, info, spec);
    if (mode !== undefined) await environment.beWriter();
    this.#tables = tablesOf(found);
    return { ...info };
  }

  async load({ partition, groupId, instanceIds, episodeKeys = [], births = false }: LoadRequest): Promise<LoadResult> {
    const { groups, instances, episodes } = this.#open(partition);
    return this.#read((rows) => {
      const stored = new Map<string, StoredInstance>();
      for (const id of instanceIds) {
        const instance = instances.read(rows, id, { births });
        if (instance !== undefined) stored.set(id, instance);
      }
      const group = groupId === null ? null : groups.get(rows, { partition, id: groupId }, this.#now());
      return { group, instances: stored, episodes: episodes.read(rows, partition, episodeKeys) };
    });
  }

  async members({ groupId, partition, set, limit, offset = 0 }: MembersRequest): Promise<string[]> {
    const { groups } = this.#open(partition);
    return this.#read((rows) => {
      if (groups.get(rows, { partition, id: groupId }, this.#now()) === null) return [];
      return groups.members(rows, { partition, groupId, set, limit, offset });
    });
  }

  async tally({ partition, key }: { partition: number; key: string }): Promise<Tally | null> {
    const { tallies } = this.#open(partition);
    return this.#read((rows) => tallies.read(rows, partition, key));
  }

  async commit(commit: Commit): Promise<CommitOutcome> {
    const tables = this.#open();
    requireValidCommit(commit, tables.info.partitions);
    for (const { id } of commit.instances) requireUsableId(id);
    const { leases } = await this.#writerState(tables);
    return this.#write((rows) => commitTo(rows, commit, { tables, leases, nowMs: this.#now() }));
  }

  async renewEpisodes({ partition, writes }: { partition: number; writes: readonly EpisodeWrite[] }) {
    const { episodes } = this.#open(partition);
    requireValidEpisodes(writes);
    return this.#write((rows) => episodes.renew(rows, partition, writes));
  }

  async timers(request: TimersRequest): Promise<TimerRow[]> {
    const { timers } = this.#open(request.partition);
    return this.#read((rows) => timers.due(rows, request));
  }

  async dueTimes(asked: readonly TimerKey[]): Promise<(number | null)[]> {
    for (const { partition } of asked) this.#open(partition);
    const { timers } = this.#open();
    return this.#read((rows) => asked.map((timer) => timers.dueTime(rows, timer)));
  }

  claimEffects(request: ClaimRequest): Promise<ClaimedEffect[]> {
    const tables = this.#open(request.partition);
    const partitions = request.partition === undefined ? this.#partitions(tables) : [request.partition];
    return this.outbox.claimFirst({ ...request, partitions });
  }

  async listEffects({ limit, partition }: { limit: number; partition?: number }): Promise<StoredEffect[]> {
    const { effects } = this.#open(partition);
    return this.#read((rows) => effects.list(rows, { limit, partition }));
  }

  async extendClaims(request: ExtendRequest): Promise<string[]> {
    requireLease(request.leaseMs, "claim");
    const tables = this.#open();
    if (request.effectIds.length === 0) return [];
    await this.#writerState(tables);
    return this.#write((rows) => tables.effects.extend(rows, request, this.#now()));
  }

  releaseClaims(request: { owner: string; effectIds: readonly string[] }): Promise<void> {
    return this.outbox.giveBack({ ...request, delayMs: 0 });
  }

  async unclaimedEffects(partition: number): Promise<string[]> {
    const { effects } = this.#open(partition);
    return this.#read((rows) => effects.unclaimed(rows, partition));
  }

  async strayInstances(): Promise<StrayInstance[]> {
    const { instances } = this.#open();
    return this.#read((rows) => instances.strays(rows));
  }

  async list(request: ListRequest): Promise<ListPage> {
    const { instances, open, info } = this.#open();
    const { under, cursor } = request;
    const before = cursor === undefined ? undefined : decodeCursor(cursor);
    const limit = request.limit + 1;
    const found = await this.#read((rows): (CreatedAt & { stored?: StoredInstance | undefined })[] => {
      if (under === undefined) return instances.newest(rows, { partitions: info.partitions, limit, before });
      const places = open.newest(rows, { under, limit, before });
      return places.map((place) => ({ ...place, stored: instances.read(rows, place.id) }));
    });
    const page = found.slice(0, request.limit);
    const last = page.at(-1);
    return {
      instances: page.flatMap(({ stored }) => stored ?? []),
      next: last === undefined || found.length === page.length ? null : encodeCursor(last),
    };
  }

  async countOpen(under: string): Promise<number> {
    const { open } = this.#open();
    return this.#read((rows) => open.count(rows, under));
  }

  async indexOpen(entry: OpenEntry): Promise<boolean> {
    const { instances, open } = this.#open();
    requireValidOpenUnder(entry);
    return this.#write((rows) => {
      if (instances.read(rows, entry.id)?.version !== entry.version) return false;
      open.change(rows, entry);
      return true;
    });
  }

  async raiseFormat(to: number): Promise<number> {
    this.#open();
    return this.#write((rows) => this.#namespaces.raiseFormat(rows, to));
  }

  async history(instanceId: string): Promise<string[] | null> {
    const { instances } = this.#open();
    return this.#read((rows) => instances.history(rows, instanceId));
  }

  async touch(instanceId: string, atMs: number): Promise<void> {
    const { instances } = this.#open();
    await this.#write((rows) => instances.touch(rows, instanceId, atMs));
  }

  async touched(instanceIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const { instances } = this.#open();
    return this.#read((rows) => {
      const touched = new Map<string, number>();
      for (const id of instanceIds) {
        const atMs = instances.touchedAtMs(rows, id);
        if (atMs !== null) touched.set(id, atMs);
      }
      return touched;
    });
  }

  async oldest(request: {
    partition: number;
    createdUntilMs: number;
    limit: number;
    after?: CreatedAt;
  }): Promise<CreatedAt[]> {
    const { partition, limit, after, createdUntilMs } = request;
    const { instances } = this.#open(partition);
    const found = await this.#read((rows) => instances.oldest(rows, { partition, limit, after }));
    return found.filter(({ createdAtMs }) => createdAtMs <= createdUntilMs);
  }

  async remove(instanceId: string, version: number, { episode, condition }: Removal = {}): Promise<boolean> {
    const { instances, episodes, info } = this.#open();
    const partition = partitionInId(instanceId, info.partitions);
    if (partition === null) return false;
    return this.#write((rows) => {
      if (condition !== undefined && !episodes.areExpected(rows, partition, [condition])) return false;
      if (!instances.remove(rows, instanceId, version)) return false;
      if (episode !== undefined) episodes.remove(rows, partition, episode);
      return true;
    });
  }

  async lease(request: LeaseRequest): Promise<boolean> {
    const { leases } = await this.#writerState(this.#open(request.partition));
    return leases.take(request, this.#now());
  }

  async endLease(request: Omit<LeaseRequest, "ttlMs">): Promise<void> {
    const { leases } = await this.#writerState(this.#open(request.partition));
    leases.end(request, this.#now());
  }

  async leaseRun(request: { owner: string; ttlMs: number }): Promise<boolean> {
    const { leases } = await this.#writerState(this.#open());
    return leases.takeRun(request, this.#now());
  }

  async savePolicies(entries: readonly PolicyRecord[]): Promise<void> {
    const { policies } = this.#open();
    if (entries.length > 0) await this.#write((rows) => policies.save(rows, entries));
  }

  async policies(): Promise<PolicyRecord[]> {
    const { policies } = this.#open();
    return this.#read((rows) => policies.all(rows));
  }

  async advanceTime(toMs: number): Promise<number> {
    this.#open();
    return this.#write((rows) => this.#namespaces.advanceTime(rows, toMs));
  }

  async pulse(): Promise<StorePulse> {
    return LOCAL_PULSE;
  }

  tryWrite(): Promise<void> {
    this.#open();
    return (this.#environment as Environment).tryWrite();
  }

  async describe(): Promise<StoreDescription> {
    const { durability, findings } = lmdbDescription(this.#path);
    return { durability, findings: [...findings, ...(await diskFinding(databaseFile(this.#path)))] };
  }

  async close(): Promise<void> {
    const environment = this.#environment;
    this.#environment = null;
    this.#tables = null;
    await environment?.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The tables of the open namespace; checks the partition when one is given. */
  #open(partition?: number): Tables {
    if (this.#tables === null) throw notOpen(this.#namespace);
    if (partition !== undefined) requirePartition(partition, this.#tables.info.partitions);
    return this.#tables;
  }

  /** Of an open namespace; its file is there. */
  async #read<T>(look: (rows: ReadRows) => T): Promise<T> {
    const answer = await (this.#environment as Environment).read(look);
    return answer as T;
  }

  #write<T>(run: (rows: WriteRows) => T): Promise<T> {
    return (this.#environment as Environment).write(run);
  }

  /** Makes this process the writer. What an earlier writer had claimed is free then. */
  async #writerState({ effects, info }: Tables): Promise<WriterState> {
    const environment = this.#environment as Environment;
    await environment.beWriter();
    const state = environment.shared<WriterState>(this.#namespace, () => ({
      lock: memoryDimensionLock(this.#now),
      leases: new GroupLeases(),
      claimsFreed: null,
    }));
    state.claimsFreed ??= this.#read((rows) => effects.hasClaims(rows, info.partitions)).then(async (hasClaims) => {
      if (hasClaims) await this.#write((rows) => effects.free(rows, info.partitions));
    });
    await state.claimsFreed;
    return state;
  }

  #partitions({ info }: Tables): number[] {
    this.#firstPartition = (this.#firstPartition + 1) % info.partitions;
    return Array.from({ length: info.partitions }, (_, index) => (this.#firstPartition + index) % info.partitions);
  }
}

/**
 * The store of one process: tests and one-shot runs. Everything is gone with the process.
 *
 * Owns: all rows of one namespace. Does not own: when anything is due; that is asked for with a time.
 *
 * M1: a method decides and writes without awaiting in between, so nothing interleaves and a commit is atomic.
 * M2: a commit is validated completely before the first write.
 * M3: no method costs more with the number of stored instances than a binary search, whatever it reads or writes. New
 * rows are put into their order when somebody asks for it (late-sorted-list.ts).
 */

import { COMMIT_ID_TTL_MS } from "../../model/limits.ts";
import { compareCodePoints } from "../../model/utf8.ts";
import type { DimensionLock } from "../dimension-lock.ts";
import { requireKnownOptions } from "../known-options.ts";
import { LOCAL_PULSE, MEMORY_DESCRIPTION, withBirth } from "../local-stores.ts";
import type {
  ClaimRequest,
  Commit,
  CommitOutcome,
  EpisodeWrite,
  ExtendRequest,
  InstanceWrite,
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
  StoredInstance,
  Tally,
  TimerKey,
  TimerRow,
  TimersRequest,
} from "../store.ts";
import { NAMESPACE_FORMAT } from "../store.ts";
import {
  type CreatedAt,
  compareCreated,
  decodeCursor,
  encodeCursor,
  notOpen,
  partitionInId,
  requireNamespaceSpec,
  requirePartition,
  requireSameNamespace,
  requireValidCommit,
  requireValidEpisodes,
  requireValidOpenUnder,
} from "../store-rules.ts";
import { ClaimTable } from "./claim-table.ts";
import { EpisodeTable } from "./episode-table.ts";
import { GroupLeases } from "./group-leases.ts";
import { GroupTable } from "./group-table.ts";
import { memoryDimensionLock } from "./memory-dimension-lock.ts";
import { MemoryOutbox } from "./memory-outbox.ts";
import { MemoryProcesses } from "./memory-processes.ts";
import { OpenIndex } from "./open-index.ts";
import { SortedList, take } from "./sorted-list.ts";
import { TallyTable } from "./tally-table.ts";
import { TimerTable } from "./timer-table.ts";

/** `now`: the clock of leases, of time-to-live and of commit ids, in epoch ms. Default: the system's. */
export type MemoryStoreOptions = { now?: () => number };

/** A store that lives in this process. `close` keeps its rows, so it can be read afterwards or opened again. */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  requireKnownOptions("memoryStore", options, ["now"]);
  return new MemoryStore(options.now ?? Date.now);
}

type Instance = CreatedAt & {
  version: number;
  head: string;
  body: string;
  lines: string[];
  touchedAtMs: number | null;
};

class MemoryStore implements Store {
  readonly lock: DimensionLock;
  readonly processes: MemoryProcesses;
  readonly outbox: MemoryOutbox;
  readonly #now: () => number;
  #info: NamespaceInfo | null = null;
  /** Order of creation, one list a partition, without those of #unordered: a storm only adds. */
  #created: SortedList<CreatedAt>[] = [];
  #unordered: CreatedAt[][] = [];
  readonly #instances = new Map<string, Instance>();
  readonly #groups = new GroupTable();
  readonly #episodes = new EpisodeTable();
  readonly #tallies = new TallyTable();
  readonly #openIndex = new OpenIndex();
  readonly #leases = new GroupLeases();
  readonly #timers = new TimerTable();
  readonly #effects = new ClaimTable();
  readonly #policies = new Map<string, string>();
  /** Partition and commit id -> when it may be forgotten; in the order of commits, so the oldest stands first. */
  readonly #commitIds = new Map<string, number>();

  constructor(now: () => number) {
    this.#now = now;
    this.lock = memoryDimensionLock(now);
    this.processes = new MemoryProcesses(now);
    this.outbox = new MemoryOutbox(this.#effects, () => ({ nowMs: now(), partitions: this.#open().partitions }));
  }

  async open(spec: NamespaceSpec): Promise<NamespaceInfo | null> {
    requireNamespaceSpec(spec);
    if (this.#info !== null) requireSameNamespace("memory", this.#info, spec);
    else if (spec.mode !== undefined && spec.partitions !== undefined) {
      this.#info = { mode: spec.mode, partitions: spec.partitions, highestTimeMs: null, format: NAMESPACE_FORMAT };
      this.#created = Array.from({ length: spec.partitions }, () => new SortedList<CreatedAt>(compareCreated));
      this.#unordered = this.#created.map(() => []);
    }
    return this.#info === null ? null : { ...this.#info };
  }

  async load({ partition, groupId, instanceIds, episodeKeys = [], births }: LoadRequest): Promise<LoadResult> {
    requirePartition(partition, this.#open().partitions);
    const instances = new Map<string, StoredInstance>();
    for (const id of instanceIds) {
      const stored = this.#instances.get(id);
      if (stored !== undefined) instances.set(id, withBirth(toStored(stored), births ? stored.lines[0] : undefined));
    }
    const group = groupId === null ? undefined : this.#groups.get(partition, groupId, this.#now());
    return {
      group: group === undefined ? null : { version: group.version, value: group.value },
      instances,
      episodes: this.#episodes.read(partition, episodeKeys),
    };
  }

  async members({ groupId, partition, set, limit, offset = 0 }: MembersRequest): Promise<string[]> {
    requirePartition(partition, this.#open().partitions);
    const group = this.#groups.get(partition, groupId, this.#now());
    return group?.[set]?.ids(limit, offset) ?? [];
  }

  async tally({ partition, key }: { partition: number; key: string }): Promise<Tally | null> {
    requirePartition(partition, this.#open().partitions);
    return this.#tallies.read(partition, key);
  }

  async commit(commit: Commit): Promise<CommitOutcome> {
    requireValidCommit(commit, this.#open().partitions);
    const nowMs = this.#now();
    this.#forget(nowMs);
    const refusal = this.#refusal(commit, nowMs);
    if (refusal !== null) return refusal;
    this.#commitIds.set(nameIn(commit.partition, commit.commitId), nowMs + COMMIT_ID_TTL_MS);
    if (commit.group?.kind === "write") this.#groups.write(commit, commit.group, nowMs);
    for (const instance of commit.instances) this.#write(instance, commit.partition);
    this.#episodes.write(commit.partition, commit.episodes);
    if (commit.tallies !== undefined && commit.tallies.length > 0)
      this.#tallies.write(commit.partition, commit.tallies);
    this.#timers.change(commit.timersArmed, commit.timersCancelled);
    this.#effects.put(commit, nowMs);
    return "applied";
  }

  async renewEpisodes({ partition, writes }: { partition: number; writes: readonly EpisodeWrite[] }) {
    requirePartition(partition, this.#open().partitions);
    requireValidEpisodes(writes);
    if (!this.#episodes.mayRenew(partition, writes)) return "conflict";
    this.#episodes.write(partition, writes);
    return "applied";
  }

  async timers(request: TimersRequest): Promise<TimerRow[]> {
    const { partitions } = this.#open();
    if (request.partition !== undefined) requirePartition(request.partition, partitions);
    return this.#timers.due(request);
  }

  async dueTimes(timers: readonly TimerKey[]): Promise<(number | null)[]> {
    const { partitions } = this.#open();
    for (const { partition } of timers) requirePartition(partition, partitions);
    return timers.map((timer) => this.#timers.dueTime(timer));
  }

  readonly claimEffects = (request: ClaimRequest) => this.outbox.claimFirst(request);
  readonly listEffects = (request: { limit: number; partition?: number }) => this.outbox.list(request);
  readonly extendClaims = (request: ExtendRequest) => this.outbox.extend(request);
  readonly releaseClaims = (request: { owner: string; effectIds: readonly string[] }) =>
    this.outbox.giveBack({ ...request, delayMs: 0 });

  /** An effect and its claim, an instance and its place are one row here. */
  async unclaimedEffects(partition: number): Promise<string[]> {
    requirePartition(partition, this.#open().partitions);
    return [];
  }
  readonly strayInstances = async () => [];

  async list(request: ListRequest): Promise<ListPage> {
    this.#open();
    const before = request.cursor === undefined ? undefined : decodeCursor(request.cursor);
    const lists = request.under === undefined ? this.#ordered() : this.#openIndex.listsUnder(request.under);
    const rows = lists.flatMap((created) => take(created.descending(before), request.limit + 1));
    rows.sort((left, right) => compareCreated(right, left));
    const page = rows.slice(0, request.limit);
    const last = page.at(-1);
    return {
      instances: page.map(({ id }) => toStored(this.#instances.get(id) as Instance)),
      next: last === undefined || rows.length === page.length ? null : encodeCursor(last),
    };
  }

  async countOpen(under: string): Promise<number> {
    this.#open();
    return this.#openIndex.countUnder(under);
  }

  async indexOpen(entry: OpenEntry): Promise<boolean> {
    this.#open();
    requireValidOpenUnder(entry);
    const stored = this.#instances.get(entry.id);
    if (stored === undefined || stored.version !== entry.version) return false;
    this.#openIndex.change(stored, { openUnder: entry.openUnder, wasOpenUnder: [] });
    return true;
  }

  async raiseFormat(to: number): Promise<number> {
    const info = this.#open();
    info.format = Math.max(info.format, to);
    return info.format;
  }

  async history(instanceId: string): Promise<string[] | null> {
    this.#open();
    return this.#instances.get(instanceId)?.lines.slice() ?? null;
  }

  async touch(instanceId: string, atMs: number): Promise<void> {
    this.#open();
    const stored = this.#instances.get(instanceId);
    if (stored !== undefined) stored.touchedAtMs = Math.max(stored.touchedAtMs ?? atMs, atMs);
  }

  async touched(instanceIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    this.#open();
    const touched = new Map<string, number>();
    for (const id of instanceIds) {
      const atMs = this.#instances.get(id)?.touchedAtMs ?? null;
      if (atMs !== null) touched.set(id, atMs);
    }
    return touched;
  }

  async oldest(request: {
    partition: number;
    createdUntilMs: number;
    limit: number;
    after?: CreatedAt;
  }): Promise<CreatedAt[]> {
    requirePartition(request.partition, this.#open().partitions);
    const created = this.#ordered()[request.partition] as SortedList<CreatedAt>;
    const rows = take(created.ascending(request.after), request.limit);
    return rows
      .filter((row) => row.createdAtMs <= request.createdUntilMs)
      .map(({ id, createdAtMs }) => ({ id, createdAtMs }));
  }

  async remove(instanceId: string, version: number, { episode, condition }: Removal = {}): Promise<boolean> {
    const partition = partitionInId(instanceId, this.#open().partitions);
    const stored = this.#instances.get(instanceId);
    if (partition === null || stored === undefined || stored.version !== version) return false;
    if (condition !== undefined && !this.#episodes.areExpected(partition, [condition])) return false;
    this.#instances.delete(instanceId);
    this.#ordered()[partition]?.remove(stored);
    this.#openIndex.forget(stored);
    if (episode !== undefined) this.#episodes.remove(partition, episode);
    return true;
  }

  async lease(request: LeaseRequest): Promise<boolean> {
    requirePartition(request.partition, this.#open().partitions);
    return this.#leases.take(request, this.#now());
  }

  async endLease(request: Omit<LeaseRequest, "ttlMs">): Promise<void> {
    requirePartition(request.partition, this.#open().partitions);
    this.#leases.end(request, this.#now());
  }

  async leaseRun(request: { owner: string; ttlMs: number }): Promise<boolean> {
    this.#open();
    return this.#leases.takeRun(request, this.#now());
  }

  async savePolicies(entries: readonly PolicyRecord[]): Promise<void> {
    this.#open();
    for (const { key, value } of entries) if (!this.#policies.has(key)) this.#policies.set(key, value);
  }

  async policies(): Promise<PolicyRecord[]> {
    this.#open();
    const records = [...this.#policies].map(([key, value]) => ({ key, value }));
    return records.sort((left, right) => compareCodePoints(left.key, right.key));
  }

  async advanceTime(toMs: number): Promise<number> {
    const info = this.#open();
    info.highestTimeMs = Math.max(info.highestTimeMs ?? toMs, toMs);
    return info.highestTimeMs;
  }

  readonly pulse = async () => LOCAL_PULSE;
  async tryWrite(): Promise<void> {}
  readonly describe = async () => MEMORY_DESCRIPTION;
  async close(): Promise<void> {}
  readonly [Symbol.asyncDispose] = (): Promise<void> => this.close();

  #open(): NamespaceInfo {
    if (this.#info === null) throw notOpen("memory");
    return this.#info;
  }

  /** Why a commit is not applied; null: it is. Looks in the order that the outcomes promise. */
  #refusal(commit: Commit, nowMs: number): CommitOutcome | null {
    if (this.#commitIds.has(nameIn(commit.partition, commit.commitId))) return "duplicate";
    const { group, partition, afterCommitId } = commit;
    if (group !== null) {
      if (this.#leases.isFenced({ groupId: group.id, partition, owner: commit.owner }, nowMs)) return "fenced";
      if ((this.#groups.get(partition, group.id, nowMs)?.version ?? 0) !== group.expectedVersion) return "conflict";
    }
    if (afterCommitId !== null && !this.#commitIds.has(nameIn(partition, afterCommitId))) return "conflict";
    if (!this.#episodes.areExpected(partition, commit.episodes)) return "conflict";
    const { tallies = [] } = commit;
    if (tallies.length > 0 && !this.#tallies.areExpected(partition, tallies)) return "conflict";
    return commit.instances.every((write) => this.#isExpected(write)) ? null : "conflict";
  }

  #isExpected({ id, expectedVersion, expectedHead }: InstanceWrite): boolean {
    const stored = this.#instances.get(id);
    if ((stored?.version ?? 0) !== expectedVersion) return false;
    return expectedHead === null || stored === undefined || stored.head === expectedHead;
  }

  #write(write: InstanceWrite, partition: number): void {
    // New, as #isExpected has seen: looking for it among all that there are is not free.
    const stored = write.expectedVersion === 0 ? undefined : this.#instances.get(write.id);
    this.#openIndex.change(stored ?? write, write);
    if (stored !== undefined) {
      stored.version += 1;
      stored.head = write.head;
      stored.body = write.body;
      for (const line of write.historyLines) stored.lines.push(line);
      return;
    }
    const { id, head, body, createdAtMs } = write;
    const instance: Instance = {
      id,
      createdAtMs,
      version: 1,
      head,
      body,
      lines: write.historyLines.slice(),
      touchedAtMs: null,
    };
    this.#instances.set(id, instance);
    this.#unordered[partition]?.push(instance);
  }

  /**
   * All instances in their order of creation. Those of one moment come in any order, so they are sorted among
   * themselves first.
   */
  #ordered(): readonly SortedList<CreatedAt>[] {
    for (const [partition, added] of this.#unordered.entries())
      for (const instance of added.splice(0).sort(compareCreated)) this.#created[partition]?.add(instance);
    return this.#created;
  }

  /** Drops what has run out. Each row is dropped once, so a commit pays a constant on average. */
  #forget(nowMs: number): void {
    for (const [key, untilMs] of this.#commitIds) {
      if (untilMs > nowMs) break;
      this.#commitIds.delete(key);
    }
    this.#groups.forget(nowMs);
  }
}

function toStored({ id, version, head, body }: Instance): StoredInstance {
  return { id, version, value: `${head} ${body}` };
}

/** Ids of commits are known in their own partition only. */
function nameIn(partition: number, name: string): string {
  return `${partition} ${name}`;
}

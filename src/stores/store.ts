import type { EpisodeEnd } from "../model/instance-types.ts";
import type { DimensionLock } from "./dimension-lock.ts";
import type { ClaimedEffect, ClaimRequest, ExtendRequest, Outbox, StoredEffect } from "./outbox.ts";
import type { Processes } from "./processes.ts";
import type { StoreDescription, StorePulse } from "./store-description.ts";
import type { TimerKey, TimerRow, TimersRequest } from "./timer-rows.ts";

export type { ClaimRequest, ExtendRequest, StoredEffect } from "./outbox.ts";
export type * from "./store-description.ts";
export * from "./timer-rows.ts";

/**
 * The store: where every decision becomes durable in one atomic write, or not at all.
 *
 * Drivers see strings. What is inside a checkpoint, an audit line or an effect is the core's business
 * (instance/checkpoint.ts, instance/audit.ts, instance/effect.ts); a driver never parses one. No connection and no
 * transaction is exposed. Everything that a commit touches lies in one partition, so a driver can keep a partition in
 * one place (Redis: one hash slot).
 *
 * A store object serves one namespace; `open` comes before everything else. All methods reject with
 * BECALM_STORE_UNAVAILABLE when the server cannot be reached, BECALM_STORE_FULL when it is out of memory,
 * BECALM_STORE_FORBIDDEN when its user lacks a right, BECALM_STORE_FAILED otherwise, and with BECALM_ARGUMENT_INVALID,
 * before anything is written, when what they are given breaks a rule that stands here.
 *
 * An instance id starts with its partition in two digits and `-`: that is how `history`, `touch` and `remove` find it.
 * Texts are ordered by code point, which is also the order of their UTF-8 bytes.
 */
export interface Store {
  /** The counting lock of this namespace, kept in the same place. */
  readonly lock: DimensionLock;

  /** The processes that share the namespace; null: there can be only one. */
  readonly processes: Processes | null;

  /** The outbox of this namespace, for those who choose what they take, and for what could not be delivered. */
  readonly outbox: Outbox;

  /**
   * Creates the namespace, or checks it against `spec`. Rejects with BECALM_NAMESPACE_MODE,
   * BECALM_NAMESPACE_PARTITIONS or BECALM_NAMESPACE_NEWER. `spec` may leave either out (a reading command does): then nothing is created and a
   * missing namespace resolves to null.
   */
  open(spec: NamespaceSpec): Promise<NamespaceInfo | null>;

  /**
   * One read of all that a batch needs: the group's stored value, the stored instances among `instanceIds`, and the
   * records of episodes. All of them belong to `partition`.
   */
  load(request: LoadRequest): Promise<LoadResult>;

  /**
   * Ids of a group's ordered set (`waiters` or `held`), lowest order first, at most `limit`, after skipping `offset`.
   */
  members(request: MembersRequest): Promise<string[]>;

  /** What was counted under a key beside a group; null: nothing. */
  tally(request: { partition: number; key: string }): Promise<Tally | null>;

  /** The one write. Validates everything first, then writes everything. */
  commit(commit: Commit): Promise<CommitOutcome>;

  /**
   * Writes records of episodes and nothing else: cheaper than a commit. All of them are written, or none (`conflict`),
   * and writing the same again is harmless.
   */
  renewEpisodes(request: { partition: number; writes: readonly EpisodeWrite[] }): Promise<"applied" | "conflict">;

  /**
   * The earliest timers of a lane with `fromMs <= dueAtMs <= untilMs`, over all partitions, ordered by (dueAtMs, owner,
   * name, arm), at most `limit`. Taking one out is a commit's business.
   */
  timers(request: TimersRequest): Promise<TimerRow[]>;

  /**
   * When each of these timers is due; null: it is not armed. What an instance waits for is one of the things that an
   * audit compares.
   */
  dueTimes(timers: readonly TimerKey[]): Promise<(number | null)[]>;

  /**
   * Outbox: takes effects that nobody holds (never claimed, given back, or the claim has run out by the store's clock)
   * for `leaseMs`, at most `limit`, ordered by id. Those that have waited longest are taken first, wherever they lie.
   */
  claimEffects(request: ClaimRequest): Promise<ClaimedEffect[]>;

  /** Looks at the outbox without claiming: effects that somebody holds included, ordered by id, at most `limit`. */
  listEffects(request: { limit: number; partition?: number }): Promise<StoredEffect[]>;

  /**
   * Extends claims of `owner`, also one that has run out if nobody else took it since. Returns the ids that it lost. A
   * claim that was given back has run out.
   */
  extendClaims(request: ExtendRequest): Promise<string[]>;

  /**
   * Gives claims of `owner` back, as if they had not been delivered: any process may take the effects. Claims of others
   * stay.
   */
  releaseClaims(request: { owner: string; effectIds: readonly string[] }): Promise<void>;

  /**
   * Ids of effects of a partition that no claim will ever give out, in order: a commit makes none, so they are damage.
   */
  unclaimedEffects(partition: number): Promise<string[]>;

  /**
   * Instances that lists and their own rows tell differently of, by id: a commit makes none, so they are damage, or
   * somebody's doing.
   */
  strayInstances(): Promise<StrayInstance[]>;

  /**
   * Instances by creation time, newest first (ties: greater id first), `limit` a page. `cursor` is what an earlier page
   * returned as `next`; `next` is null on the last page. `under`: only those that a commit put there (see
   * InstanceWrite.openUnder), without reading any other.
   */
  list(request: ListRequest): Promise<ListPage>;

  /**
   * How many instances `list({ under })` finds, without reading them. Those that it cannot reach are missing; one that
   * was removed while it was found there may be counted still.
   */
  countOpen(under: string): Promise<number>;

  /**
   * Puts an instance of a namespace of format 1 under what it is found under, if it still has `version`. False: it
   * changed meanwhile, or is gone. What is there stays.
   */
  indexOpen(entry: OpenEntry): Promise<boolean>;

  /** Raises the namespace's format, which never falls; returns the format afterwards. */
  raiseFormat(to: number): Promise<number>;

  /** History lines of an instance, oldest first (the birth line is the first); null if the instance is unknown. */
  history(instanceId: string): Promise<string[] | null>;

  /**
   * Records that the alert of an instance was received again (the latest time counts). Does nothing if the instance is
   * unknown.
   */
  touch(instanceId: string, atMs: number): Promise<void>;

  /** When the alert of each instance was last received again, for those that `touch` recorded. */
  touched(instanceIds: readonly string[]): Promise<ReadonlyMap<string, number>>;

  /**
   * Ids of instances created at or before `createdUntilMs`, oldest first, at most `limit`, strictly after `(afterMs,
   * afterId)` when given.
   */
  oldest(request: {
    partition: number;
    createdUntilMs: number;
    limit: number;
    after?: { createdAtMs: number; id: string };
  }): Promise<{ id: string; createdAtMs: number }[]>;

  /**
   * Removes an instance with its history and what `touch` recorded, if it still has `version`; with it the record of
   * its episode, if that is still `episode.value`. False: the instance changed meanwhile, or no longer exists, or
   * `condition` does not hold; nothing was removed.
   */
  remove(instanceId: string, version: number, removal?: Removal): Promise<boolean>;

  /**
   * Takes or renews a lease on a group for `ttlMs` by the store's clock; false: somebody else has it. While it lasts, a
   * commit of another owner that touches the group answers `fenced`.
   */
  lease(request: LeaseRequest): Promise<boolean>;

  /** Gives the lease on a group back before it has run out. Nothing happens when somebody else has it. */
  endLease(request: Omit<LeaseRequest, "ttlMs">): Promise<void>;

  /** The same for the one virtual run that may work on the namespace. It fences nothing. */
  leaseRun(request: { owner: string; ttlMs: number }): Promise<boolean>;

  /** Policy versions: what instances were made under. Written once, never changed. Key: `<policy name>@<version>`. */
  savePolicies(entries: readonly PolicyRecord[]): Promise<void>;
  policies(): Promise<PolicyRecord[]>;

  /**
   * Virtual namespaces: the highest time seen (never falls). Returns the highest. BECALM_STORE_FAILED: the namespace is
   * gone.
   */
  advanceTime(toMs: number): Promise<number>;

  /**
   * Asked now and then, beside the work: what time it is in the store, and which of this store object's commits it has
   * lost since the last call. The namespace must be open.
   */
  pulse(): Promise<StorePulse>;

  /**
   * Writes something that means nothing, and rejects as every commit would now: the server is full, takes no writes, or
   * is away. If only some partitions can be written it resolves: commits of those succeed. A driver that would hear of
   * it by other means writes nothing. The namespace must be open.
   */
  tryWrite(): Promise<void>;

  /** The store's settings and health, for its operator. The namespace need not exist. */
  describe(): Promise<StoreDescription>;

  close(): Promise<void>;
  /** Closes it, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Who made a namespace: an engine by the clock (`live`), `becalm run` in the time of its file, performing the actions
 * (`virtual`, the older name) or assuming how they end (`simulated`). None of them takes another's.
 */
export type NamespaceMode = "live" | "virtual" | "simulated";

/** `partitions`: 1 to 100. */
export type NamespaceSpec = { mode?: NamespaceMode; partitions?: number };

/**
 * `format`: how the namespace's contents are kept. 1: before there was one; instances may be missing from what `list({
 * under })` finds. 2: none is, and alerts are told apart by their episodes, but instances may be there that were made
 * before they were. 3: none are. A namespace begins with NAMESPACE_FORMAT; one of format 1 is raised to RAISED_FORMAT.
 */
export type NamespaceInfo = { mode: NamespaceMode; partitions: number; highestTimeMs: number | null; format: number };

/** The format of namespaces that this version makes. */
export const NAMESPACE_FORMAT = 3;

/** The format that namespaces of earlier versions are raised to. */
export const RAISED_FORMAT = 2;

export type LoadRequest = {
  partition: number;
  groupId: string | null;
  instanceIds: readonly string[];
  /** Default: none. */
  episodeKeys?: readonly string[];
  /** Instances come with the first line of their histories. */
  births?: boolean;
};

export type LoadResult = {
  /** null: no such group yet. */
  group: { version: number; value: string } | null;
  /** Only those that exist. */
  instances: ReadonlyMap<string, StoredInstance>;
  /** Records by key; only those that exist. */
  episodes: ReadonlyMap<string, string>;
};

/**
 * The record of an alert's episodes under one policy, as model/episode-record.ts wrote it. `key` tells policy and
 * alert, and is known in its own partition only; neither contains a line break, and the key no space.
 */
export type StoredEpisode = { key: string; value: string };

/** `expected`: the record that was read; null: there must be none. */
export type EpisodeWrite = StoredEpisode & { expected: string | null };

/** A record of the instance's partition must still be `expected`; null: there must be none. */
export type RecordCondition = { key: string; expected: string | null };

export type Removal = { episode?: StoredEpisode | undefined; condition?: RecordCondition | undefined };

/**
 * `value` is a checkpoint as instance/checkpoint.ts wrote it; `version` rises by one with every commit of the instance.
 * `birth`: the first line of its history, if it was asked for. Only a bundle has `birthHash`, and how its alert ended.
 */
export type StoredInstance = {
  id: string;
  version: number;
  value: string;
  birth?: string;
  birthHash?: string | null;
  ended?: { reason: EpisodeEnd; atMs: number } | null;
};
/** `gone`: lists name it, and it is not there. `unlisted`: it is there, and no list names it. */
export type StrayInstance = { id: string; what: "gone" | "unlisted" };

export type MembersRequest = { groupId: string; partition: number; set: MemberSet; limit: number; offset?: number };

/** `waiters`: instances in Proceeding, in order of arrival. `held`: instances in Defense or Waiting. */
export type MemberSet = "waiters" | "held";

export type CommitOutcome = "applied" | "duplicate" | "conflict" | "fenced";

/**
 * All that one step (or one batch of steps) makes durable. What is put in comes before what is taken out: an effect,
 * timer or member that is in both lists is gone afterwards.
 */
export type Commit = {
  /** Unique per commit; the same id again within 10 minutes answers `duplicate` and writes nothing. */
  commitId: string;
  partition: number;
  /** Who commits: compared with the group's lease, if there is one. */
  owner: string;
  /**
   * The commit that left what this one was decided on, without reading it again; null: none. Unless that one was
   * applied (in the last 10 minutes, in the same partition), this one answers `conflict`: a version alone does not tell
   * who wrote it.
   */
  afterCommitId: string | null;
  /** The group that this was decided on; null: none. */
  group: GroupWrite | GroupCheck | null;
  /** Holds no instance twice. */
  instances: readonly InstanceWrite[];
  /** Records of episodes. Unless each is as it is expected, the commit answers `conflict`. No key stands here twice. */
  episodes: readonly EpisodeWrite[];
  /**
   * What is counted beside the group, and taken when it is told. Nothing that is counted makes a commit a conflict,
   * whoever counted meanwhile. No key stands here twice.
   */
  tallies?: readonly TallyWrite[];
  /** Effects put into the outbox. */
  effects: readonly StoredEffect[];
  /** How long `owner` has claimed them; null: any process may take them. */
  effectClaimMs: number | null;
  /** Effects taken out of the outbox: their results are part of this commit. */
  settledEffectIds: readonly string[];
  timersArmed: readonly TimerRow[];
  timersCancelled: readonly TimerKey[];
  /** Changes of the ordered sets of `group`; an id that is added again keeps its first order. */
  membersAdded: readonly { set: MemberSet; instanceId: string; order: number }[];
  membersRemoved: readonly { set: MemberSet; instanceId: string }[];
};

/** How many were counted, and the first TALLY_SAMPLE_COUNT_MAX of them that are still counted. */
export type Tally = { count: number; sample: readonly string[] };

export const TALLY_SAMPLE_COUNT_MAX = 20;

/**
 * `count`: those of `removed` are no longer counted, then those of `added` are; the number may become negative. `take`:
 * the tally is gone afterwards; unless it is as expected (null: nothing was counted), the commit answers `conflict`.
 * `key` is known in its own partition only; neither it nor an id contains a line break, and no id a space.
 */
export type TallyWrite =
  | { kind: "count"; key: string; added: readonly string[]; removed: readonly string[] }
  | { kind: "take"; key: string; expected: Tally | null };

/** Compare-and-set: `expectedVersion` 0 means that the group must not exist; it is created with version 1. */
export type GroupWrite = {
  kind: "write";
  id: string;
  expectedVersion: number;
  value: string;
  /** Drop the group, with its ordered sets, this long after this commit, by the store's clock; null: keep it. */
  ttlMs: number | null;
  /** Nobody is in its ordered sets, before this commit and after it: a driver need not look at them. */
  areSetsEmpty?: boolean;
};

/** The group must still have this version. It keeps it, and its end, and no members are added or removed. */
export type GroupCheck = { kind: "check"; id: string; expectedVersion: number };

export type InstanceWrite = {
  id: string;
  /** 0: the instance must not exist; it is created with version 1. Otherwise the stored version must equal it. */
  expectedVersion: number;
  /**
   * What the stored head must equal; null: any. A store that has lost its last writes may hold another instance of that
   * version, which grew from the same alert.
   */
  expectedHead: string | null;
  /**
   * The checkpoint: the hash of the last history line, and its body. They are read as one value, with a space between.
   * In a storm many instances of a commit share their body and their lines after the first: a driver may write those
   * once.
   */
  head: string;
  body: string;
  /** When it was created, the order of `list`. It never changes. */
  createdAtMs: number;
  /**
   * What the instance is found under from this commit on (its state while it is not at rest, ...), and what it was
   * found under until then; no space and no control character. Default: nothing.
   */
  openUnder?: readonly string[];
  wasOpenUnder?: readonly string[];
  /** Lines appended to the instance's history. Neither a line nor the checkpoint contains a line break. */
  historyLines: readonly string[];
};

/** `under`: one of `InstanceWrite.openUnder`. */
export type ListRequest = { limit: number; cursor?: string; under?: string };

export type OpenEntry = { id: string; version: number; createdAtMs: number; openUnder: readonly string[] };

/**
 * `unreached`: partitions that could not be asked, as those of a shard that is away; their instances are missing.
 * Absent: all were asked.
 */
export type ListPage = { instances: StoredInstance[]; next: string | null; unreached?: readonly number[] };

export type LeaseRequest = { groupId: string; partition: number; owner: string; ttlMs: number };

export type PolicyRecord = { key: string; value: string };

import { isForming } from "../../convergence/group.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import type { Decision } from "../../instance/decide.ts";
import { receiveAll } from "../../instance/receive.ts";
import type { BecalmError } from "../../model/errors.ts";
import type { Commit } from "../../stores/store.ts";
import { type Address, type Batch, type Envelope, isCreation, mailboxKey } from "./batch.ts";
import { type CachedGroup, GroupCache } from "./group-cache.ts";
import type { BatchRead, GroupSource } from "./group-source.ts";
import { mayMoveWaiters, NOBODY_WAITS, NOTHING_COUNTED, type ReadFrom, readStored } from "./stored-snapshot.ts";

/** Groups that are remembered as met again, or lost. */
const MAILBOX_COUNT_MAX = 10_000;
/**
 * So many batches of a mailbox are read after one that met an instance which was there already: its alerts are being
 * sent again.
 */
const READS_AFTER_DUPLICATE = 64;
/** And after a guess that lost: another process writes the same group. */
const READS_AFTER_LOSS = 8;
/**
 * So many groups of which nothing is known have to be new, one after the other, until the next such ones are taken for
 * new.
 */
const NEW_BEFORE_GUESS = 64;

const NOTHING_QUARANTINED: ReadonlyMap<string, BecalmError> = new Map();
const NO_RECORDS: ReadonlyMap<string, string> = new Map();

/**
 * The source that starts a batch from what this process left of its group, without reading it again. Most batches of a
 * storm do. Whether that still holds is found out by the commit's compare-and-set; a batch that loses is decided again
 * from what is stored. So nothing here is ever taken for what the store has.
 *
 * G1 an entry only goes forward: to what a batch has just decided, or away, when that batch lost.
 * G2 wrong guesses cost a decision each, so a mailbox that has made one reads for some batches: its alerts are sent
 * again, or others write its group.
 * G3 a version does not tell who wrote it: a group may have expired, or a server may have lost its last writes, and
 * another process may have written as many versions since. So a guess follows this process's last commit on the group,
 * and none is made without such a commit.
 * G4 that a group is new needs no such commit: an absent group has exactly one version. It is guessed while the groups
 * of which nothing was known have been new. After one that was there, many are read.
 * G5 whoever may settle a peer that somebody waits for is read: peers and waiters may be quarantined.
 */
export class SpeculativeGroups implements GroupSource {
  readonly #from: ReadFrom;
  readonly #cache = new GroupCache();
  /** The last commit of this process on a mailbox of ungrouped instances (G3). */
  readonly #ungroupedCommits = new Map<string, string>();
  /** Batches that have lost: each is read when it is decided again. */
  readonly #lost = new WeakSet<Batch>();
  /** How many batches of a mailbox are still to be read (G2). */
  readonly #readsLeft = new Map<string, number>();
  #newUntilGuess = NEW_BEFORE_GUESS;

  constructor(from: ReadFrom) {
    this.#from = from;
  }

  guess(batch: Batch): BatchRead | null {
    if (this.#lost.delete(batch) || !this.#isKnown(batch.address, batch.envelopes)) return null;
    const mailbox = mailboxKey(batch.address);
    return this.#countGuess(mailbox) ? this.#guessFrom(batch, mailbox) : null;
  }

  async read(batch: Batch): Promise<BatchRead> {
    const { groupId } = batch.address;
    const isUnknown = groupId !== null && this.#cache.get(groupId) === undefined;
    const read = await readStored(this.#from, batch, { cache: this.#cache, turn: null });
    const { group, instances, quarantined, received } = read.snapshot;
    if (isUnknown) {
      // One that has expired, and whose alerts are sent again, is not new.
      if (group !== null || instances.size + quarantined.size > 0) this.#newUntilGuess = NEW_BEFORE_GUESS;
      else if (this.#newUntilGuess > 0) this.#newUntilGuess -= 1;
    }
    const wasThere = received.words.some(
      ({ kind, id }) => kind === "goes_on" || (kind === "begins" && instances.has(id ?? "")),
    );
    if (wasThere) this.#mustRead(mailboxKey(batch.address), READS_AFTER_DUPLICATE);
    return read;
  }

  /** G1. */
  committing({ group }: Decision, { group: write, commitId }: Commit, { address }: Batch): void {
    if (address.groupId === null) this.#ungroupedCommits.set(mailboxKey(address), commitId);
    if (group === null || write === null) return;
    if (write.kind === "check") this.#cache.checkedBy(commitId, write.id, write.expectedVersion);
    else this.#cache.set({ version: write.expectedVersion + 1, value: write.value, group, commitId });
  }

  /** What was decided since in the mailbox does not hold either. */
  lost({ snapshot, precondition }: BatchRead, { isRefused }: { isRefused: boolean }): void {
    const { address } = snapshot.batch;
    const mailbox = mailboxKey(address);
    this.#ungroupedCommits.delete(mailbox);
    this.#cache.forget(mailbox);
    this.#lost.add(snapshot.batch);
    if (!precondition.isGuess || !isRefused) return;
    if (!this.#readsLeft.has(mailbox)) this.#mustRead(mailbox, READS_AFTER_LOSS);
    if (address.groupId !== null && snapshot.group === null) this.#newUntilGuess = NEW_BEFORE_GUESS;
  }

  /**
   * Ungrouped instances have no group whose next state would be known, and in a forming group the first batch may hold
   * the only slot of the lock. What has to be read is read when the batch before it is stored: its instances may be
   * among what that one makes.
   */
  isAhead(envelopes: readonly Envelope[]): boolean {
    const address = envelopes[0]?.address;
    if (address === undefined || address.groupId === null || this.#readsLeft.has(mailboxKey(address))) return false;
    const cached = this.#followable(address.groupId);
    return cached !== null && !isForming(cached.group) && this.#isKnown(address, envelopes);
  }

  #guessFrom(batch: Batch, mailbox: string): BatchRead {
    const { address, envelopes } = batch;
    const cached = address.groupId === null ? null : this.#followable(address.groupId);
    const instances = new Map<string, Instance>();
    for (const { lastSeen } of envelopes) if (lastSeen !== null) instances.set(lastSeen.id, lastSeen);
    const afterCommitId = address.groupId === null ? this.#ungroupedCommits.get(mailbox) : cached?.commitId;
    const group = cached?.group ?? null;
    const received = receiveAll({
      incoming: envelopes.map(({ command }) => command),
      records: NO_RECORDS,
      partition: address.partition,
      turn: null,
      grace: this.#from.leaseGrace,
      instances,
      quarantined: NOTHING_QUARANTINED,
    });
    return {
      snapshot: {
        batch,
        received,
        group,
        instances,
        quarantined: NOTHING_QUARANTINED,
        tallies: NOTHING_COUNTED,
        waiters: NOBODY_WAITS.waiters,
        hasMoreWaiters: false,
      },
      precondition: { groupVersion: cached?.version ?? 0, afterCommitId: afterCommitId ?? null, isGuess: true },
    };
  }

  /**
   * Is everything known that these must know? Alerts that fire are taken for new; that they are is a condition of the
   * commit.
   */
  #isKnown({ groupId, partition }: Address, envelopes: readonly Envelope[]): boolean {
    let isAllNew = true;
    for (const { command, lastSeen } of envelopes) {
      if (isCreation(command)) continue;
      if (lastSeen === null) return false;
      isAllNew = false;
    }
    if (groupId === null) return isAllNew || this.#ungroupedCommits.has(mailboxKey({ groupId, partition }));
    const cached = this.#followable(groupId);
    if (cached === null) return isAllNew && this.#newUntilGuess === 0 && this.#cache.get(groupId) === undefined;
    const { group } = cached;
    return (
      (group.open?.running.length ?? 0) === 0 &&
      !mayMoveWaiters(
        group,
        envelopes.map(({ command }) => command),
      )
    );
  }

  /** What a batch may start from; null: nothing (G3). */
  #followable(groupId: string): CachedGroup | null {
    const cached = this.#cache.get(groupId);
    return cached === undefined || cached.commitId === null ? null : cached;
  }

  /** May the next batch of the mailbox start without reading? Asked once a batch (G2). */
  #countGuess(mailbox: string): boolean {
    const left = this.#readsLeft.get(mailbox);
    if (left === undefined) return true;
    if (left === 1) this.#readsLeft.delete(mailbox);
    else this.#readsLeft.set(mailbox, left - 1);
    return false;
  }

  #mustRead(mailbox: string, batches: number): void {
    if (this.#readsLeft.size >= MAILBOX_COUNT_MAX) this.#readsLeft.clear();
    this.#readsLeft.set(mailbox, batches);
  }
}

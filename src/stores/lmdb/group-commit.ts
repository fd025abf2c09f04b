/**
 * Writes are answered when they are on the disk. While one transaction is being written to it, those that come are run
 * on what it will have written, and go into the next one together: the disk is waited for once for all of them, and
 * works all the time.
 *
 * G1: a write runs at once, in this thread, on rows in memory (pending-rows.ts). What it has changed is handed to the
 * binding, whose thread puts it into the pages and flushes: half of what a transaction costs is done beside the next
 * decisions (docs/decisions/lmdb-flushes-in-its-commit.md). G2: writes are run in the order they were asked for. One
 * that throws leaves nothing and fails alone. G3: a transaction that cannot be committed leaves nothing of any of its
 * writes, and all of them fail. Those that were run on it are run again. G4: the whole of a transaction is one `batch`
 * of the binding, of which it commits all or nothing. Nothing may throw while it is handed over. G5: after a
 * transaction that failed the next one waits a moment, longer each time: a full disk is not asked as fast as it
 * refuses, and the binding prints a line for each refusal.
 */
import type { Journal, Plan } from "./journal.ts";
import type { Database } from "./load-lmdb.ts";
import { PendingRows } from "./pending-rows.ts";
import type { ReadRows, WriteRows } from "./rows.ts";

/** How long a transaction waits at most while each turn of the event loop brings more writes. */
const GATHER_MS_MAX = 8;
const AFTER_FAILURE_MS = 50;
const AFTER_FAILURE_MS_MAX = 1_000;

export type Write = {
  /** May be called more than once, and does not wait for anything. */
  readonly run: (rows: WriteRows) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
};

/** `done`: its writes, with what they gave. */
type Transaction = { readonly rows: PendingRows; readonly done: { readonly write: Write; readonly value: unknown }[] };

export type GroupCommitParts = {
  readonly journal: Journal;
  /** What was committed last. */
  readonly stored: ReadRows;
  /** The error that the caller of a write gets. */
  readonly toError: (error: unknown) => Promise<Error>;
};

export class GroupCommit {
  readonly #database: Database;
  readonly #journal: Journal;
  readonly #stored: ReadRows;
  readonly #toError: GroupCommitParts["toError"];
  #next: Transaction;
  #flushing: Promise<void> | null = null;
  /** In a row. */
  #failures = 0;

  constructor(database: Database, { journal, stored, toError }: GroupCommitParts) {
    this.#database = database;
    this.#journal = journal;
    this.#stored = stored;
    this.#toError = toError;
    this.#next = over(stored);
  }

  add(write: Write): void {
    this.#run(write);
    if (this.#next.done.length > 0) this.#flushing ??= this.#flush();
  }

  /** The last transaction could not be committed. */
  get hasFailed(): boolean {
    return this.#failures > 0;
  }

  /** Resolves when all that was added is answered. */
  async settled(): Promise<void> {
    while (this.#flushing !== null) await this.#flushing;
  }

  /** Answers all that was added, and leaves the file without a journal, if it can. */
  async end(): Promise<void> {
    await this.settled();
    this.#flushing = this.#putJournalAway();
    await this.settled();
  }

  /** What is added meanwhile follows: the journal makes one plan after the other. */
  async #putJournalAway(): Promise<void> {
    // A journal that stays says the same.
    await this.#commit(this.#journal.planOfEnd()).catch(() => {});
    await this.#flush();
  }

  #run(write: Write): void {
    const { rows, done } = this.#next;
    try {
      done.push({ write, value: rows.attempt(write.run) });
    } catch (error) {
      void this.#toError(error).then(write.reject);
    }
  }

  async #flush(): Promise<void> {
    while (this.#next.done.length > 0) {
      await this.#gather();
      const { rows, done } = this.#next;
      this.#next = over(rows);
      try {
        await this.#commit(this.#journal.plan(rows.changes));
      } catch (error) {
        const reason = await this.#toError(error);
        for (const { write } of done) write.reject(reason);
        this.#runAgain();
        await pause(Math.min(AFTER_FAILURE_MS * 2 ** this.#failures, AFTER_FAILURE_MS_MAX));
        this.#failures += 1;
        continue;
      }
      this.#failures = 0;
      this.#next.rows.rebase(this.#stored);
      for (const { write, value } of done) write.resolve(value);
    }
    this.#flushing = null;
  }

  /**
   * Waits while each turn of the event loop brings more: the fewer transactions, the fewer pages are written for the
   * same rows.
   */
  async #gather(): Promise<void> {
    const untilMs = performance.now() + GATHER_MS_MAX;
    let before = 0;
    while (this.#next.done.length > before && performance.now() < untilMs) {
      before = this.#next.done.length;
      await turn();
    }
  }

  #runAgain(): void {
    this.#database.resetReadTxn();
    const { done } = this.#next;
    this.#next = over(this.#stored);
    for (const { write } of done) this.#run(write);
  }

  async #commit({ writes, durable }: Plan): Promise<void> {
    if (writes.length === 0) return;
    const database = this.#database;
    await database.batch(() => {
      for (const [key, value] of writes)
        if (value === null) void database.remove(key);
        else void database.put(key, value);
    });
    database.resetReadTxn();
    durable();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function over(rows: ReadRows): Transaction {
  return { rows: new PendingRows(rows), done: [] };
}

/**
 * One mailbox a group (and one a partition for ungrouped instances): inside a process a group decides in order, and
 * what has queued up meanwhile goes through the main path as one batch. Batches of the mailboxes of one partition run
 * beside each other.
 *
 * Whoever submitted the first of a batch runs it, and awaits it: an error, or a stack trace taken at the commit, names
 * who that was.
 *
 * Owns: the order of the commands, how they are cut into batches, and whose turn it is. Does not own: what a batch does
 * (run-batch.ts), or the states of a mailbox (mailbox.ts).
 * M1 batches of a mailbox are decided one after the other; one that loses is decided again before any further one
 * begins.
 * M2 a submission settles only after its batch was committed or refused. M3 what is submitted together is committed
 * together.
 * M4 a mailbox that meets other writers waits alone, its neighbours go on.
 */
import { type Batch, type BatchResult, type Envelope, type EnvelopeResult, mailboxKey } from "../commit/batch.ts";
import { runUntilCommitted } from "../commit/retry.ts";
import { isApplied, runBatch } from "../commit/run-batch.ts";
import type { BatchRuntime } from "../runtime.ts";
import { isFull, type Size, sizeOf } from "./batch-size.ts";
import { Crowd } from "./crowd.ts";
import {
  type BatchRun,
  type Mailbox,
  type MailboxEvent,
  type MailboxTurn,
  newMailbox,
  nextBatch,
  nextState,
  type Partition,
  type Round,
  type Submission,
  sum,
} from "./mailbox.ts";

/** Rounds of one partition that are under way at once. */
const ROUNDS_MAX = 2;

export class Mailboxes {
  readonly #runtime: BatchRuntime;
  /** Those with submissions, queued or under way. */
  readonly #mailboxes = new Map<string, Mailbox>();
  readonly #partitions = new Map<number, Partition>();
  readonly #crowd: Crowd;
  #onIdle: (() => void)[] = [];

  constructor(runtime: BatchRuntime) {
    this.#runtime = runtime;
    this.#crowd = new Crowd(runtime.realTime);
  }

  /**
   * Puts commands, at least one and at most a batch of them, into the mailbox that they all belong to. Resolves with a
   * result each when they are committed, rejects with the store's or the conflict's error.
   */
  async submit(
    envelopes: readonly Envelope[],
    { count, bytes }: Size = envelopes.length === 1 ? sizeOf(envelopes[0] as Envelope) : sum(envelopes.map(sizeOf)),
  ): Promise<readonly EnvelopeResult[]> {
    const { address } = envelopes[0] as Envelope;
    const key = mailboxKey(address);
    const mailbox = this.#mailboxes.get(key) ?? newMailbox(key, address);
    this.#mailboxes.set(key, mailbox);
    const turn = await new Promise<MailboxTurn>((answer, refuse) => {
      mailbox.queue.push({ count, bytes, envelopes, answer, refuse });
      this.#move(mailbox, "enqueued");
    });
    return "batch" in turn ? await this.#run(turn) : turn;
  }

  /** Puts each command into its own mailbox; a result each, in their order. */
  async submitEach(envelopes: readonly Envelope[]): Promise<EnvelopeResult[]> {
    return (await Promise.all(envelopes.map((envelope) => this.submit([envelope])))).flat();
  }

  get isIdle(): boolean {
    return this.#mailboxes.size === 0;
  }

  /** Resolves when nothing is queued or under way. */
  async idle(): Promise<void> {
    if (this.#mailboxes.size > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
  }

  #move(mailbox: Mailbox, event: MailboxEvent): void {
    const { state } = mailbox;
    mailbox.state = nextState(mailbox, event, this.#runtime.groups);
    if (mailbox.state === state) return;
    if (mailbox.state === "queued") this.#offer(mailbox);
    if (mailbox.state !== "idle") return;
    this.#mailboxes.delete(mailbox.key);
    if (this.#mailboxes.size === 0) for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #offer(mailbox: Mailbox): void {
    const { partition: number } = mailbox.address;
    const partition = this.#partitions.get(number) ?? { ready: [], rounds: 0, isExpected: false };
    this.#partitions.set(number, partition);
    partition.ready.push(mailbox);
    this.#expectRound(partition);
  }

  /**
   * A turn of the event loop later, so that what arrives together goes together: requests, and the results of attempts
   * that end at once.
   */
  #expectRound(partition: Partition): void {
    if (partition.isExpected || partition.rounds >= ROUNDS_MAX || partition.ready.length === 0) return;
    partition.isExpected = true;
    setImmediate(() =>
      this.#crowd.pass(() => {
        partition.isExpected = false;
        this.#beginRound(partition);
      }),
    );
  }

  /** Begins a batch of each mailbox that is ready, as long as all of them together are no more than a batch. */
  #beginRound(partition: Partition): void {
    const size = { count: 0, bytes: 0 };
    const round = { partition, untried: 1 };
    partition.rounds += 1;
    while (partition.ready.length > 0 && !isFull(size)) {
      const mailbox = partition.ready.shift() as Mailbox;
      // It may have met other writers since it was offered; it is offered again when that is over.
      if (mailbox.state !== "queued") continue;
      const { batch, submissions } = nextBatch(mailbox);
      mailbox.underway += 1;
      this.#move(mailbox, "begun");
      for (const { count, bytes } of submissions) {
        size.count += count;
        size.bytes += bytes;
      }
      round.untried += 1;
      submissions[0]?.answer({ mailbox, batch, submissions, round, counted: this.#crowd.enter() });
    }
    this.#tried(round);
  }

  /** A batch of the round has been tried, or all have begun: the partition may have room for another round. */
  #tried(round: Round): void {
    round.untried -= 1;
    if (round.untried === 0) round.partition.rounds -= 1;
    this.#expectRound(round.partition);
  }

  #batchTried({ round, counted }: BatchRun): void {
    this.#crowd.leave(counted);
    this.#tried(round);
  }

  /** Runs a batch for all who are in it; gives the results of the first. */
  async #run(run: BatchRun): Promise<readonly EnvelopeResult[]> {
    const { mailbox, batch, submissions } = run;
    const isShared = submissions.length > 1;
    let tried: BatchResult | null = null;
    try {
      tried = await runBatch(this.#runtime, batch, { onDecided: () => this.#move(mailbox, "decided") });
      this.#batchTried(run);
      const results = isApplied(tried.outcome) ? tried.results : await this.#retry(mailbox, batch, tried);
      return isShared ? share(submissions, results) : results;
    } catch (error) {
      if (isShared) for (const { refuse } of submissions.slice(1)) refuse(error);
      throw error;
    } finally {
      if (tried === null) this.#batchTried(run);
      mailbox.underway -= 1;
      this.#move(mailbox, "ended");
    }
  }

  /** Others won: the batch is decided again by itself, after those of its mailbox that lost before it. */
  async #retry(mailbox: Mailbox, batch: Batch, lost: BatchResult): Promise<readonly EnvelopeResult[]> {
    const before = mailbox.retried;
    let end = () => {};
    const retried = new Promise<void>((resolve) => {
      end = resolve;
    });
    mailbox.retried = retried;
    this.#move(mailbox, "lost");
    try {
      await before;
      return await runUntilCommitted(this.#runtime, batch, { lost });
    } finally {
      if (mailbox.retried === retried) mailbox.retried = null;
      end();
    }
  }
}

/** Answers all submissions of a batch but the first, whose results are returned. */
function share(submissions: readonly Submission[], results: readonly EnvelopeResult[]): readonly EnvelopeResult[] {
  let from = 0;
  for (const { count, answer } of submissions) {
    if (from > 0) answer(results.slice(from, from + count));
    from += count;
  }
  return results.slice(0, submissions[0]?.count);
}

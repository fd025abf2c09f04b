/**
 * A mailbox: the order in which one group decides inside a process, or the ungrouped instances of one partition.
 *
 * | state | means | next |
 * |---|---|---|
 * | `idle` | nothing is queued, nothing is under way | queued, when something is `enqueued` |
 * | `queued` | its next batch waits for a turn of its partition | deciding, when it has `begun` |
 * | `deciding` | a batch is read and decided | committing, when it is `decided` |
 * | `committing` | the last batch that began is being committed | idle or queued, when it has `ended`; retrying, when it `lost` |
 * | `retrying` | a batch lost to other writers: it is decided again by itself, before anything else begins | idle or queued, when it has `ended` |
 *
 * One batch is under way at a time, and a second one when it can run ahead: the mailbox is queued again while it
 * commits.
 */
import type { Address, Batch, Envelope, EnvelopeResult } from "../commit/batch.ts";
import type { GroupSource } from "../commit/group-source.ts";
import { countFitting, isFull, type Size } from "./batch-size.ts";
import type { Counted } from "./crowd.ts";

/** Batches of one mailbox that are under way at once. */
const UNDERWAY_MAX = 2;

export type MailboxState = "idle" | "queued" | "deciding" | "committing" | "retrying";

export type MailboxEvent = "enqueued" | "begun" | "decided" | "lost" | "ended";

export type Mailbox = {
  readonly key: string;
  readonly address: Address;
  state: MailboxState;
  readonly queue: Submission[];
  /** Batches that have begun and not ended. */
  underway: number;
  /** Resolves when the last batch that lost has been decided again; null: none has lost. */
  retried: Promise<void> | null;
};

/** What was submitted in one go. It is committed in one batch, perhaps with others. */
export type Submission = Size & {
  readonly envelopes: readonly Envelope[];
  readonly answer: (turn: MailboxTurn) => void;
  readonly refuse: (error: unknown) => void;
};

/** What one partition has to do: a round after the other, each a batch of several mailboxes. */
export type Partition = {
  /** Mailboxes whose next batch may begin, the longest waiting first. */
  readonly ready: Mailbox[];
  /** Rounds whose batches have not all been tried. */
  rounds: number;
  isExpected: boolean;
};

/** Batches of one partition that began together. */
export type Round = {
  readonly partition: Partition;
  /** How many of them have not been tried. */
  untried: number;
};

/** Submissions of a mailbox that are on their turn; the first one runs the batch. */
export type BatchRun = {
  readonly mailbox: Mailbox;
  readonly batch: Batch;
  readonly submissions: readonly Submission[];
  readonly round: Round;
  readonly counted: Counted;
};

/** What a submission gets: its results, or the batch that it has to run. */
export type MailboxTurn = readonly EnvelopeResult[] | BatchRun;

export function newMailbox(key: string, address: Address): Mailbox {
  return { key, address, state: "idle", queue: [], underway: 0, retried: null };
}

/** What an event makes of a mailbox. */
export function nextState(mailbox: Mailbox, event: MailboxEvent, groups: GroupSource): MailboxState {
  const { state, queue, underway, retried } = mailbox;
  switch (event) {
    case "enqueued":
      if (state === "idle") return "queued";
      return state === "committing" && canRunAhead(mailbox, groups) ? "queued" : state;
    case "begun":
      return "deciding";
    case "decided":
      return state === "deciding" ? (canRunAhead(mailbox, groups) ? "queued" : "committing") : state;
    case "lost":
      return "retrying";
    case "ended":
      if (retried !== null) return "retrying";
      if (underway === 0) return queue.length === 0 ? "idle" : "queued";
      // The other batch that is under way: it has not been decided, or its commit is not answered.
      if (state === "deciding" || state === "queued") return state;
      return canRunAhead(mailbox, groups) ? "queued" : "committing";
  }
}

/**
 * May the next batch begin while the one before it is being committed? Only if it is full (waiting would not make it
 * larger, and the store works on the first meanwhile), and nothing has to be read for it.
 */
function canRunAhead({ queue, underway }: Mailbox, groups: GroupSource): boolean {
  const first = queue[0];
  if (first === undefined || underway >= UNDERWAY_MAX || !groups.isAhead(first.envelopes)) return false;
  const next = queue.slice(0, countFitting(queue));
  const isWhole = next.length < queue.length || isFull(sum(next));
  return isWhole && next.every(({ envelopes }) => groups.isAhead(envelopes));
}

/** Takes the next batch out of the queue. */
export function nextBatch({ address, queue }: Mailbox): { batch: Batch; submissions: readonly Submission[] } {
  const submissions = queue.splice(0, queue.length === 1 ? 1 : countFitting(queue));
  const [first] = submissions as [Submission];
  const envelopes = submissions.length === 1 ? first.envelopes : submissions.flatMap((one) => one.envelopes);
  return { batch: { address, envelopes }, submissions };
}

export function sum(sizes: readonly Size[]): Size {
  return sizes.reduce((a, b) => ({ count: a.count + b.count, bytes: a.bytes + b.bytes }), { count: 0, bytes: 0 });
}

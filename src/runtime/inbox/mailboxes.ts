/**
 * One mailbox a group (and one a partition for lone instances): inside a process a group decides in order, and what has queued up
 * meanwhile goes through the main path as one batch. Batches of the mailboxes of one partition make their turns beside each other.
 *
 * Owns: the order of the work and how it is cut into batches. Does not own: what a batch does (turn.ts).
 * M1 batches of a mailbox are decided one after the other. One is under way at a time; of a group that forms no more two, when the second is
 * full (waiting would not make it larger, and the server works on the first meanwhile) and can be decided without reading. One that loses is decided
 * again before any further one begins. M2 a promise settles only after its batch was committed or refused. M3 what is submitted together is committed together.
 * M4 a mailbox that meets other writers waits alone, its neighbours go on.
 */
import { isForming } from "../../convergence/group.ts";
import { COMMIT_BYTES_MAX, COMMIT_INSTANCE_COUNT_MAX, EFFECT_RESULT_BYTES_MAX } from "../../model/limits.ts";
import { type Batch, isKnown, type Work } from "../commit/batch-read.ts";
import { type Address, mailboxKey } from "../commit/conflicts.ts";
import { beginTurns, type Taken, TurnFailure, takeTurn, type WorkResult } from "../commit/turn.ts";
import type { World } from "../world.ts";

/** What was submitted in one go. */
type Parcel = {
  readonly works: readonly Work[];
  readonly bytes: number;
  readonly resolve: (results: readonly WorkResult[]) => void;
  readonly reject: (error: unknown) => void;
};

/** Leaves room in a commit for waiters that are woken and notices that are sent. */
const BATCH_COUNT_MAX = Math.floor(COMMIT_INSTANCE_COUNT_MAX * 0.75);
const BATCH_BYTES_MAX = Math.floor(COMMIT_BYTES_MAX * 0.75);

/** Batches of one mailbox, and turns of one partition, that are under way at once. */
const UNDERWAY_MAX = 2;

type Mailbox = {
  readonly key: string;
  readonly address: Address;
  readonly queue: Parcel[];
  /** Batches whose turn has begun and not ended. */
  underway: number;
  /** The last of them is not decided yet. */
  isDeciding: boolean;
  /** Those that lost to other writers, one after the other; null: none. */
  insisting: Promise<void> | null;
  isReady: boolean;
};

/** Parcels of one mailbox that are on their turn. */
type Leg = { readonly mailbox: Mailbox; readonly parcels: readonly Parcel[]; readonly batch: Batch };

/** What one partition has to do. */
type Partition = {
  /** Mailboxes whose next batch may begin, the longest waiting first. */
  readonly ready: Mailbox[];
  turns: number;
  isExpected: boolean;
};

export class Mailboxes {
  private readonly world: World;
  /** Those with parcels, queued or on their turn. */
  private readonly mailboxes = new Map<string, Mailbox>();
  private readonly partitions = new Map<number, Partition>();
  private readonly underway = new Set<Promise<void>>();

  constructor(world: World) {
    this.world = world;
  }

  /**
   * Puts works, at most a batch of them (`batchesOf`), into the mailbox of `address`. Resolves with a result each when they are committed,
   * rejects with the store's or the conflict's error.
   */
  submit(address: Address, works: readonly Work[], bytes = sum(works.map(bytesOf))): Promise<readonly WorkResult[]> {
    return new Promise((resolve, reject) => {
      const parcel = { works, bytes, resolve, reject };
      const key = mailboxKey(address);
      let mailbox = this.mailboxes.get(key);
      if (mailbox === undefined) {
        mailbox = { key, address, queue: [], underway: 0, isDeciding: false, insisting: null, isReady: false };
        this.mailboxes.set(key, mailbox);
      }
      mailbox.queue.push(parcel);
      this.offer(mailbox);
    });
  }

  /** Puts each work into its own mailbox; results in their order. */
  async submitEach(works: readonly { readonly address: Address; readonly work: Work }[]): Promise<WorkResult[]> {
    return (await Promise.all(works.map(({ address, work }) => this.submit(address, [work])))).flat();
  }

  /** Resolves when nothing is queued or under way. */
  async idle(): Promise<void> {
    while (this.underway.size > 0) await Promise.all(this.underway);
  }

  /** Lets the next batch of a mailbox begin as soon as its partition comes to it, if it may (M1). */
  private offer(mailbox: Mailbox): void {
    if (mailbox.isReady || !this.mayBegin(mailbox)) return;
    const { partition: number } = mailbox.address;
    const partition = this.partitions.get(number) ?? { ready: [], turns: 0, isExpected: false };
    this.partitions.set(number, partition);
    mailbox.isReady = true;
    partition.ready.push(mailbox);
    this.expectTurn(partition);
  }

  /** A turn of the event loop later, so that what arrives together goes together: requests, and the results of attempts that end at once. */
  private expectTurn(partition: Partition): void {
    if (partition.isExpected || partition.turns >= UNDERWAY_MAX || partition.ready.length === 0) return;
    partition.isExpected = true;
    this.track(
      new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
        partition.isExpected = false;
        return this.makeTurn(partition);
      }),
    );
  }

  private track(promise: Promise<void>): void {
    const tracked = promise.finally(() => this.underway.delete(tracked));
    this.underway.add(tracked);
  }

  private async makeTurn(partition: Partition): Promise<void> {
    partition.turns += 1;
    const legs = this.takeLegs(partition.ready);
    const batches = legs.map(({ batch }) => batch);
    const { taken } = await beginTurns(this.world, batches);
    for (const { mailbox } of legs) {
      mailbox.isDeciding = false;
      this.offer(mailbox);
    }
    this.expectTurn(partition);
    const outcomes = await taken;
    partition.turns -= 1;
    for (const [index, leg] of legs.entries()) this.arrive(leg, outcomes[index] as Taken | TurnFailure);
    this.expectTurn(partition);
  }

  /** Takes a batch from each mailbox, as long as all of them together are no more than a batch. */
  private takeLegs(ready: Mailbox[]): Leg[] {
    const legs: Leg[] = [];
    const room = { count: BATCH_COUNT_MAX, bytes: BATCH_BYTES_MAX };
    while (ready.length > 0 && (legs.length === 0 || (room.count > 0 && room.bytes > 0))) {
      const mailbox = ready.shift() as Mailbox;
      mailbox.isReady = false;
      // It may have met other writers since it was offered; it is offered again when that is over.
      if (!this.mayBegin(mailbox)) continue;
      mailbox.underway += 1;
      mailbox.isDeciding = true;
      const parcels = mailbox.queue.splice(0, parcelsInBatch(mailbox.queue));
      for (const { works, bytes } of parcels) {
        room.count -= works.length;
        room.bytes -= bytes;
      }
      const works = parcels.length === 1 ? (parcels[0] as Parcel).works : parcels.flatMap((parcel) => parcel.works);
      legs.push({ mailbox, parcels, batch: { address: mailbox.address, works } });
    }
    return legs;
  }

  /**
   * M1. Lone instances have no group whose next state would be known, and in a forming one the first may hold the only slot of the lock. What has
   * to be read is read when the one before it is stored: its instances may be among what that one makes.
   */
  private mayBegin({ key, address, queue, underway, isDeciding, insisting }: Mailbox): boolean {
    if (queue.length === 0 || insisting !== null || underway >= UNDERWAY_MAX) return false;
    if (underway === 0) return true;
    const { groups } = this.world;
    const known = address.groupId === null ? null : groups.get(address.groupId);
    if (known === null || isDeciding || isForming(known.group) || groups.mustRead(key) || !isFull(queue)) return false;
    return queue.slice(0, parcelsInBatch(queue)).every(({ works }) => isKnown(this.world, { address, works }));
  }

  private arrive(leg: Leg, taken: Taken | TurnFailure): void {
    if (taken instanceof TurnFailure) this.end(leg, ({ reject }) => reject(taken.error));
    else if (taken.outcome === "applied" || taken.outcome === "duplicate") this.settle(leg, taken.results);
    else this.insist(leg, taken);
  }

  /** Others won: the batch is tried again by itself, after those that lost before it. */
  private insist(leg: Leg, lost: Taken): void {
    const { mailbox } = leg;
    const before = mailbox.insisting ?? Promise.resolve();
    const insisting = before
      .then(() => this.tryAgain(leg, lost))
      .then(() => {
        if (mailbox.insisting === insisting) mailbox.insisting = null;
        this.offer(mailbox);
      });
    mailbox.insisting = insisting;
    this.track(insisting);
  }

  private async tryAgain(leg: Leg, lost: Taken): Promise<void> {
    try {
      this.settle(leg, await takeTurn(this.world, leg.batch, { lost }));
    } catch (error) {
      this.end(leg, ({ reject }) => reject(error));
    }
  }

  private settle(leg: Leg, results: readonly WorkResult[]): void {
    let from = 0;
    this.end(leg, ({ works, resolve }) => {
      resolve(leg.parcels.length === 1 ? results : results.slice(from, from + works.length));
      from += works.length;
    });
  }

  private end({ mailbox, parcels }: Leg, tell: (parcel: Parcel) => void): void {
    for (const parcel of parcels) tell(parcel);
    mailbox.underway -= 1;
    if (mailbox.queue.length > 0) this.offer(mailbox);
    else if (mailbox.underway === 0) this.mailboxes.delete(mailbox.key);
  }
}

function isFull(queue: readonly Parcel[]): boolean {
  let [count, bytes] = [0, 0];
  for (const parcel of queue) {
    count += parcel.works.length;
    bytes += parcel.bytes;
    if (count >= BATCH_COUNT_MAX || bytes >= BATCH_BYTES_MAX) return true;
  }
  return false;
}

/** Cuts what goes to one mailbox into pieces that fit into one commit each. */
export function batchesOf<Item extends { readonly work: Work }>(items: readonly Item[]): Item[][] {
  const batches: Item[][] = [];
  let size = null as BatchSize | null;
  for (const item of items) {
    if (size?.takes(item.work) !== true) {
      size = new BatchSize(item.work);
      batches.push([]);
    }
    batches.at(-1)?.push(item);
  }
  return batches;
}

/** How large a batch is. The first work is always taken, however large. */
export class BatchSize {
  count = 1;
  bytes: number;

  constructor(first: Work) {
    this.bytes = bytesOf(first);
  }

  /** Takes a further work, if a commit has room for it. */
  takes(work: Work): boolean {
    const bytes = this.bytes + bytesOf(work);
    if (this.count >= BATCH_COUNT_MAX || bytes > BATCH_BYTES_MAX) return false;
    this.count += 1;
    this.bytes = bytes;
    return true;
  }
}

/** How many parcels from the front of a queue fit into one commit; at least one. */
function parcelsInBatch(queue: readonly Parcel[]): number {
  let count = 0;
  let bytes = 0;
  for (const [index, parcel] of queue.entries()) {
    count += parcel.works.length;
    bytes += parcel.bytes;
    if (index > 0 && (count > BATCH_COUNT_MAX || bytes > BATCH_BYTES_MAX)) return index;
  }
  return queue.length;
}

/**
 * What a command adds to a commit, roughly: the alert or the result that it brings, and its checkpoint and line. A character takes up to 3 bytes.
 * What a commit has beside its commands, its group above all, is in the room that a batch leaves.
 */
function bytesOf({ command }: Work): number {
  const around = 1_024;
  if (command.type === "event" && "result" in command.event) return around + EFFECT_RESULT_BYTES_MAX;
  if (command.type !== "create") return around;
  let length = 0;
  for (const name in command.alert.labels) length += name.length + (command.alert.labels[name]?.length ?? 0);
  for (const name in command.alert.annotations) length += name.length + (command.alert.annotations[name]?.length ?? 0);
  return around + length * 3;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

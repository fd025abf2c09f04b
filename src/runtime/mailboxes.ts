/**
 * One mailbox a group (and one a partition for lone instances): inside a process a group decides in order, and what has queued up
 * meanwhile goes through the main path as one batch.
 *
 * Owns: the order of the work and how it is cut into batches. Does not own: what a batch does (turn.ts).
 * M1 one batch of a mailbox is under way at a time. M2 a promise settles only after its batch was committed or refused.
 * M3 what is submitted together is committed together.
 */
import { COMMIT_BYTES_MAX, COMMIT_INSTANCE_COUNT_MAX } from "../core/limits.ts";
import type { Address } from "./conflicts.ts";
import { takeTurn, type Work, type WorkResult } from "./turn.ts";
import type { World } from "./world.ts";

/** What was submitted in one go. */
type Parcel = {
  readonly works: readonly Work[];
  readonly bytes: number;
  readonly resolve: (results: WorkResult[]) => void;
  readonly reject: (error: unknown) => void;
};

/** Leaves room in a commit for waiters that are woken and notices that are sent. */
const BATCH_COUNT_MAX = Math.floor(COMMIT_INSTANCE_COUNT_MAX * 0.75);
const BATCH_BYTES_MAX = Math.floor(COMMIT_BYTES_MAX * 0.75);

export class Mailboxes {
  private readonly world: World;
  private readonly queues = new Map<string, Parcel[]>();
  private readonly underway = new Set<Promise<void>>();

  constructor(world: World) {
    this.world = world;
  }

  /**
   * Puts works, at most a batch of them (`batchesOf`), into the mailbox of `address`. Resolves with a result each when they are committed,
   * rejects with the store's or the conflict's error.
   */
  submit(address: Address, works: readonly Work[]): Promise<WorkResult[]> {
    return new Promise((resolve, reject) => {
      const key = mailboxKey(address);
      const parcel = { works, bytes: sum(works.map(bytesOf)), resolve, reject };
      const queue = this.queues.get(key);
      if (queue !== undefined) {
        queue.push(parcel);
        return;
      }
      this.queues.set(key, [parcel]);
      const run = this.drain(key, address).finally(() => this.underway.delete(run));
      this.underway.add(run);
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

  private async drain(key: string, address: Address): Promise<void> {
    // A turn of the event loop later, so that what arrives together becomes one batch: requests, and the results of attempts that end at once.
    await new Promise<void>((resolve) => setImmediate(resolve));
    const queue = this.queues.get(key) as Parcel[];
    while (queue.length > 0) await this.take(address, queue.splice(0, parcelsInBatch(queue)));
    this.queues.delete(key);
  }

  private async take(address: Address, parcels: readonly Parcel[]): Promise<void> {
    try {
      const results = await takeTurn(this.world, address, { batch: parcels.flatMap(({ works }) => works) });
      let from = 0;
      for (const { works, resolve } of parcels) {
        resolve(results.slice(from, from + works.length));
        from += works.length;
      }
    } catch (error) {
      for (const { reject } of parcels) reject(error);
    }
  }
}

/** Works of equal keys go through the same mailbox. */
export function mailboxKey({ groupId, partition }: Address): string {
  return groupId ?? `partition ${partition}`;
}

/** Cuts what goes to one mailbox into pieces that fit into one commit each. */
export function batchesOf<Item extends { readonly work: Work }>(items: readonly Item[]): Item[][] {
  const batches: Item[][] = [];
  let batch: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const itemBytes = bytesOf(item.work);
    if (batch.length > 0 && (batch.length >= BATCH_COUNT_MAX || bytes + itemBytes > BATCH_BYTES_MAX)) {
      batches.push(batch);
      batch = [];
      bytes = 0;
    }
    batch.push(item);
    bytes += itemBytes;
  }
  return batch.length === 0 ? batches : [...batches, batch];
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

/** What a command adds to a commit at most, roughly: the alert that it brings, and its checkpoint and line. A character takes up to 3 bytes. */
function bytesOf({ command }: Work): number {
  const around = 1_024;
  if (command.type !== "create") return around;
  let length = 0;
  for (const name in command.alert.labels) length += name.length + (command.alert.labels[name]?.length ?? 0);
  for (const name in command.alert.annotations) length += name.length + (command.alert.annotations[name]?.length ?? 0);
  return around + length * 3;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

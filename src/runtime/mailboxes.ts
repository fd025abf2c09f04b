/**
 * One mailbox a group (and one a partition for lone instances): inside a process a group decides in order, and what has queued up
 * meanwhile goes through the main path as one batch.
 *
 * Owns: the order of the work and how it is cut into batches. Does not own: what a batch does (turn.ts).
 * M1 one batch of a mailbox is under way at a time. M2 a promise settles only after its batch was committed or refused.
 */
import { COMMIT_BYTES_MAX, COMMIT_INSTANCE_COUNT_MAX } from "../core/limits.ts";
import type { Address } from "./conflicts.ts";
import { takeTurn, type Work, type WorkResult } from "./turn.ts";
import type { World } from "./world.ts";

type Entry = {
  readonly work: Work;
  readonly bytes: number;
  readonly resolve: (result: WorkResult) => void;
  readonly reject: (error: unknown) => void;
};

/** Leaves room in a commit for waiters that are woken and notices that are sent. */
const BATCH_COUNT_MAX = Math.floor(COMMIT_INSTANCE_COUNT_MAX * 0.75);
const BATCH_BYTES_MAX = Math.floor(COMMIT_BYTES_MAX * 0.75);

export class Mailboxes {
  private readonly world: World;
  private readonly queues = new Map<string, Entry[]>();
  private readonly underway = new Set<Promise<void>>();

  constructor(world: World) {
    this.world = world;
  }

  /** Puts work into the mailbox of `address`; resolves when it is committed, rejects with the store's or the conflict's error. */
  submit(address: Address, work: Work): Promise<WorkResult> {
    return new Promise((resolve, reject) => {
      const key = address.groupId ?? `partition ${address.partition}`;
      const entry = { work, bytes: bytesOf(work), resolve, reject };
      const queue = this.queues.get(key);
      if (queue !== undefined) {
        queue.push(entry);
        return;
      }
      this.queues.set(key, [entry]);
      const run = this.drain(key, address).finally(() => this.underway.delete(run));
      this.underway.add(run);
    });
  }

  /** Resolves when nothing is queued or under way. */
  async idle(): Promise<void> {
    while (this.underway.size > 0) await Promise.all(this.underway);
  }

  private async drain(key: string, address: Address): Promise<void> {
    // A microtask later, so that what is submitted in one go becomes one batch.
    await Promise.resolve();
    const queue = this.queues.get(key) as Entry[];
    while (queue.length > 0) {
      const batch = queue.splice(0, batchLength(queue));
      try {
        const results = await takeTurn(this.world, address, { batch: batch.map((entry) => entry.work) });
        for (const [index, entry] of batch.entries()) entry.resolve(results[index] as WorkResult);
      } catch (error) {
        for (const entry of batch) entry.reject(error);
      }
    }
    this.queues.delete(key);
  }
}

/** How many entries from the front of a queue fit into one commit; at least one. */
export function batchLength(queue: readonly { readonly bytes: number }[]): number {
  let bytes = 0;
  for (const [index, entry] of queue.entries()) {
    bytes += entry.bytes;
    if (index > 0 && (index >= BATCH_COUNT_MAX || bytes > BATCH_BYTES_MAX)) return index;
  }
  return queue.length;
}

/** What a command adds to a commit at most, roughly: the alert that it brings, and its checkpoint and line. A character takes up to 3 bytes. */
export function bytesOf({ command }: Work): number {
  const around = 1_024;
  if (command.type !== "create") return around;
  let length = 0;
  for (const name in command.alert.labels) length += name.length + (command.alert.labels[name]?.length ?? 0);
  for (const name in command.alert.annotations) length += name.length + (command.alert.annotations[name]?.length ?? 0);
  return around + length * 3;
}

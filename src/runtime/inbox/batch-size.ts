import { COMMIT_BYTES_MAX, COMMIT_INSTANCE_COUNT_MAX, EFFECT_RESULT_BYTES_MAX } from "../../model/limits.ts";
import type { Envelope } from "../commit/batch.ts";

/** Leaves room in a commit for waiters that are woken and notices that are sent. */
const BATCH_COUNT_MAX = Math.floor(COMMIT_INSTANCE_COUNT_MAX * 0.75);
const BATCH_BYTES_MAX = Math.floor(COMMIT_BYTES_MAX * 0.75);

/** What commands add to a commit: their number, and about how many bytes. */
export type Size = { readonly count: number; readonly bytes: number };

/** The size of a batch that is being filled. */
export type Filling = { count: number; bytes: number };

/** Puts more into a batch, if a commit has room for all of it. The first always fits, however large. */
export function takes(batch: Filling, more: Size): boolean {
  const count = batch.count + more.count;
  const bytes = batch.bytes + more.bytes;
  if (batch.count > 0 && (count > BATCH_COUNT_MAX || bytes > BATCH_BYTES_MAX)) return false;
  batch.count = count;
  batch.bytes = bytes;
  return true;
}

export function isFull({ count, bytes }: Size): boolean {
  return count >= BATCH_COUNT_MAX || bytes >= BATCH_BYTES_MAX;
}

/** How many items from the front fit into one commit together; at least one, if there is one. */
export function countFitting(items: readonly Size[]): number {
  const batch = { count: 0, bytes: 0 };
  let fitting = 0;
  while (fitting < items.length && takes(batch, items[fitting] as Size)) fitting += 1;
  return fitting;
}

/**
 * What a command adds to a commit, roughly: the alert or the result that it brings, and its checkpoint and line. A
 * character takes up to 3 bytes. What a commit has beside its commands, its group above all, is in the room that a
 * batch leaves.
 */
export function sizeOf({ command }: Envelope): Size {
  let bytes = 1_024;
  if (command.type === "event" && "result" in command.event) bytes += EFFECT_RESULT_BYTES_MAX;
  if (command.type === "create" || command.type === "receipt") {
    const { labels, annotations } = command.type === "create" ? command.alert : command.receipt;
    for (const name in labels) bytes += 3 * (name.length + (labels[name]?.length ?? 0));
    for (const name in annotations) bytes += 3 * (name.length + (annotations[name]?.length ?? 0));
  }
  return { count: 1, bytes };
}

/**
 * Where BullMQ keeps the attempts: in one queue, or on a cluster in one a partition, whose hash tag lies in the
 * partition's own slot.
 */
import type { ConnectionOptions } from "bullmq";

export type QueuePlace = { readonly name: string; readonly prefix: string };

export type QueuePlaces = {
  readonly connection: ConnectionOptions;
  readonly all: readonly QueuePlace[];
  of(partition: number): QueuePlace;
};

/** `tags`: a hash tag a partition, on a cluster; null: one server. */
export function queuePlaces(
  connection: ConnectionOptions,
  { name, prefix, tags }: { name: string; prefix: string; tags: readonly string[] | null },
): QueuePlaces {
  const one: QueuePlace = { name, prefix };
  if (tags === null) return { connection, all: [one], of: () => one };
  const all = tags.map((tag, partition) => {
    const number = String(partition).padStart(2, "0");
    return { name: `${name}-${number}`, prefix: `${prefix}:{${tag}}` };
  });
  return { connection, all, of: (partition) => all[partition] as QueuePlace };
}

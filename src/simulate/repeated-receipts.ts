/**
 * Receipts that only say that an alert goes on firing: most of what senders send. Their record tells, and nothing
 * follows from them, so a run in memory need neither read their instance nor decide anything. Whatever else a receipt
 * means takes the main path.
 */

import type { ReceiptCommand } from "../instance/receive.ts";
import { NO_GRACE, startOf } from "../model/episode.ts";
import { type Position, receiveRecorded } from "../model/episode-record.ts";
import { instanceIdOf } from "../model/ids.ts";
import type { Envelope, EnvelopeResult } from "../runtime/commit/batch.ts";
import type { RoutedAlert } from "../runtime/inbox/routed-alerts.ts";
import type { Runtime } from "../runtime/runtime.ts";

/** Results of those among `routed` that change nothing, by their place. */
export async function repeatedReceipts(
  { store }: Pick<Runtime, "store">,
  routed: readonly RoutedAlert[],
  turn: number,
): Promise<ReadonlyMap<number, EnvelopeResult>> {
  const results = new Map<number, EnvelopeResult>();
  for (const [partition, places] of byPartition(routed)) {
    const keys = places.map((place) => commandAt(routed, place)?.key ?? "");
    const { episodes } = await store.load({ partition, groupId: null, instanceIds: [], episodeKeys: keys });
    // An alert may come twice in a line. What comes behind a receipt that changes something finds another record.
    const changed = new Set<string>();
    for (const place of places) {
      const command = commandAt(routed, place);
      if (command === null || changed.has(command.key)) continue;
      const id = idOfRepeated(command, { record: episodes.get(command.key), partition, turn });
      if (id === null) changed.add(command.key);
      else results.set(place, { outcome: "duplicate", instance: null, id });
    }
  }
  return results;
}

type Found = { readonly record: string | undefined; readonly partition: number; readonly turn: number };

/** null: it changes something, or may. */
function idOfRepeated(command: ReceiptCommand, { record, partition, turn }: Found): string | null {
  const { receipt, atMs, order, ownId, policy } = command;
  if (record === undefined || receipt.status === "resolved") return null;
  const { form, status, startsAtMs, endsAtMs, fingerprint } = receipt;
  const times = { form, status, startsAtMs, endsAtMs, receivedAtMs: atMs };
  const position: Position = { atMs, turn, index: order?.[0] ?? 0 };
  const { reception, record: written } = receiveRecorded(record, times, { position, grace: NO_GRACE });
  if (reception.kind !== "goes_on" || written !== null) return null;
  const { startMs } = reception.episode;
  return startMs === startOf(times)
    ? ownId
    : instanceIdOf({ policy: policy.policy.name, fingerprint, startMs }, partition);
}

function byPartition(routed: readonly RoutedAlert[]): Map<number, number[]> {
  const partitions = new Map<number, number[]>();
  for (const [place, { envelope }] of routed.entries()) {
    const { partition } = (envelope as Envelope).address;
    const places = partitions.get(partition);
    if (places === undefined) partitions.set(partition, [place]);
    else places.push(place);
  }
  return partitions;
}

function commandAt(routed: readonly RoutedAlert[], place: number): ReceiptCommand | null {
  const command = routed[place]?.envelope.command;
  return command?.type === "receipt" ? command : null;
}

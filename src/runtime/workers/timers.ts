/** From due timer rows to the work that they ask for. A firing counts by its commit, so firing a row twice is harmless. */

import { birthOf } from "../../instance/audit.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import type { Alert } from "../../model/alert.ts";
import { BecalmError } from "../../model/errors.ts";
import { partitionOfId } from "../../model/ids.ts";
import type { FiringTimerName } from "../../model/instance-types.ts";
import type { TimerRow } from "../../stores/store.ts";
import type { Work } from "../commit/batch-read.ts";
import type { Address } from "../commit/conflicts.ts";
import { tryInstance } from "../commit/read-instance.ts";
import { silenceAt } from "../inbox/routing.ts";
import type { World } from "../world.ts";

export type DueWork = { readonly address: Address; readonly work: Work };

/**
 * What a row asks for, dated `atMs`. null: its owner is quarantined, so the row waits.
 * A row whose owner is gone is taken out by an event that finds nobody.
 */
export async function workOf(world: World, row: TimerRow, atMs: number): Promise<DueWork | null> {
  if (partitionOfId(row.owner) === null) {
    const type = row.name === "summary" ? "summarise" : "wake";
    return {
      address: { partition: row.partition, groupId: row.owner },
      work: { command: { type, arm: row.arm, atMs }, fired: row },
    };
  }
  const owner = await ownerOf(world, row);
  if (owner === "quarantined") return null;
  const address = { partition: row.partition, groupId: owner?.groupId ?? null };
  if (row.name === "lock") {
    const silence = await silenceOf(world, row.owner, atMs);
    return { address, work: { command: { type: "unpark", id: row.owner, arm: row.arm, atMs, silence }, fired: row } };
  }
  if (row.name === "reconsider" || row.name === "silence") {
    const cause = row.name === "silence" ? "silence_over" : "again";
    const silence = await silenceOf(world, row.owner, atMs);
    const command = { type: "reconsider", id: row.owner, atMs, cause, isOpen: true, silence, arm: row.arm } as const;
    return { address, work: { command, fired: row } };
  }
  const timer = row.name as FiringTimerName;
  const event = { type: "timer.elapsed" as const, atMs, timer, arm: row.arm };
  return { address, work: { command: { type: "event", id: row.owner, event }, fired: row } };
}

async function ownerOf(world: World, row: TimerRow): Promise<Instance | null | "quarantined"> {
  const loaded = await world.store.load({ partition: row.partition, groupId: null, instanceIds: [row.owner] });
  const stored = loaded.instances.get(row.owner);
  if (stored === undefined) return null;
  const read = await tryInstance(world, stored);
  return read instanceof BecalmError ? "quarantined" : read;
}

/** The silence that holds for an instance's alert at `atMs`. */
export async function silenceOf(world: World, instanceId: string, atMs: number) {
  const alert = await alertOf(world, instanceId);
  return alert === null ? null : silenceAt(world.silences, alert.labels, atMs);
}

export async function alertOf(world: World, instanceId: string): Promise<Alert | null> {
  const lines = await world.store.history(instanceId);
  return lines === null ? null : birthOf(instanceId, lines).alert;
}

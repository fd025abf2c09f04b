/**
 * From due timer rows to the commands that they ask for. A firing counts by its commit, so firing a row twice is
 * harmless.
 */

import { birthOf } from "../../instance/audit.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import { LEASE_TIMER } from "../../instance/lease-timer.ts";
import type { Incoming } from "../../instance/receive.ts";
import type { Alert } from "../../model/alert.ts";
import { endEvent } from "../../model/episode.ts";
import { BecalmError } from "../../model/errors.ts";
import { partitionOfId } from "../../model/ids.ts";
import type { FiringTimerName } from "../../model/instance-types.ts";
import { compareCodePoints } from "../../model/utf8.ts";
import type { StoredInstance, TimerRow } from "../../stores/store.ts";
import type { Envelope } from "../commit/batch.ts";
import { tryInstance } from "../commit/read-instance.ts";
import { silenceAt } from "../inbox/routing.ts";
import { episodeNameOf, isEpisodeOpen, solvedBy } from "../instance-episode.ts";
import type { Runtime } from "../runtime.ts";

/** `owners`: see `ownersOf`; absent: it is read. */
export type Firing = { readonly atMs: number; readonly owners?: ReadonlyMap<string, StoredInstance> };

/** An instance that is gone: its lease finds no record. */
const NO_EPISODE = { policy: "", fingerprint: "", key: "-" };

/**
 * What a row asks for, dated `atMs`. null: its owner is quarantined, so the row waits.
 * A row whose owner is gone is taken out by an event that finds nobody.
 */
export async function envelopeOf(runtime: Runtime, row: TimerRow, firing: Firing): Promise<Envelope | null> {
  const { atMs } = firing;
  const { owner, name, arm, partition } = row;
  const envelope = (groupId: string | null, command: Incoming): Envelope => ({
    address: { partition, groupId },
    command,
    consumes: { kind: "timer", timer: row },
    lastSeen: null,
  });
  if (partitionOfId(owner) === null) {
    return envelope(owner, { type: name === "summary" ? "summarise" : "wake", arm, atMs });
  }
  const owners = firing.owners ?? (await ownersOf(runtime, partition, [row]));
  const instance = await ownerOf(runtime, owners.get(owner));
  if (instance === "quarantined") return null;
  const groupId = instance?.groupId ?? null;
  if (name === "lock") {
    const silence = await silenceOf(runtime, owner, atMs);
    return envelope(groupId, { type: "unpark", id: owner, arm, atMs, silence });
  }
  if (name === "reconsider" || name === "silence") {
    const cause = name === "silence" ? "silence_over" : "again";
    const silence = await silenceOf(runtime, owner, atMs);
    const isOpen = instance !== null && (await isEpisodeOpen(runtime, instance, atMs));
    return envelope(groupId, { type: "reconsider", id: owner, atMs, cause, isOpen, silence, arm });
  }
  if (name === LEASE_TIMER) {
    const episode = instance === null ? null : await episodeNameOf(runtime, instance);
    return envelope(groupId, { type: "lease", id: owner, atMs, sinceMs: row.dueAtMs, ...(episode ?? NO_EPISODE) });
  }
  const solved = name === "verify" && instance !== null ? await solvedBy(runtime, instance) : null;
  // The word of it came before the instance looked for it.
  if (solved !== null) return envelope(groupId, { type: "event", id: owner, event: endEvent(solved, atMs) });
  const event = { type: "timer.elapsed" as const, atMs, timer: name as FiringTimerName, arm };
  return envelope(groupId, { type: "event", id: owner, event });
}

/** The stored instances that own some timers of a partition, read at once; those that are gone are missing. */
export async function ownersOf(
  { store }: Pick<Runtime, "store">,
  partition: number,
  rows: readonly TimerRow[],
): Promise<ReadonlyMap<string, StoredInstance>> {
  const instanceIds = [...new Set(rows.map(({ owner }) => owner))].filter((owner) => partitionOfId(owner) !== null);
  if (instanceIds.length === 0) return new Map();
  return (await store.load({ partition, groupId: null, instanceIds })).instances;
}

async function ownerOf(runtime: Runtime, stored: StoredInstance | undefined): Promise<Instance | null | "quarantined"> {
  if (stored === undefined) return null;
  const read = await tryInstance(runtime, stored);
  return read instanceof BecalmError ? "quarantined" : read;
}

/** The silence that holds for an instance's alert at `atMs`. */
export async function silenceOf(runtime: Runtime, instanceId: string, atMs: number) {
  if (runtime.inForce.silences.length === 0) return null;
  const alert = await alertOf(runtime, instanceId);
  return alert === null ? null : silenceAt(runtime.inForce.silences, alert.labels, atMs);
}

export async function alertOf(runtime: Runtime, instanceId: string): Promise<Alert | null> {
  const lines = await runtime.store.history(instanceId);
  return lines === null ? null : birthOf(instanceId, lines).alert;
}

/** The timer that fires first: by due time, owner id, name. */
export function compareRows(a: TimerRow, b: TimerRow): number {
  return (
    a.dueAtMs - b.dueAtMs || compareCodePoints(a.owner, b.owner) || compareCodePoints(a.name, b.name) || a.arm - b.arm
  );
}

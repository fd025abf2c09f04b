/** From an instance back to its episode: the alert in its birth line names the record. */
import { birthOf } from "../instance/audit.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { endedByLease, type KnownEnd } from "../model/episode.ts";
import { lastEpisode } from "../model/episode-record.ts";
import { instanceIdOf, partitionOfId } from "../model/ids.ts";
import { policyKey } from "../policy/policy-versions.ts";
import type { StoredEpisode } from "../stores/store.ts";
import { episodeKeyOf } from "./inbox/routing.ts";
import type { Runtime } from "./runtime.ts";

/** Which alert's episodes an instance is of. */
export type EpisodeName = { readonly policy: string; readonly fingerprint: string; readonly key: string };

/** null: it was not made by an alert, or is gone. */
export async function episodeNameOf(runtime: Runtime, instance: Instance): Promise<EpisodeName | null> {
  if (instance.kind !== "action") return null;
  const lines = await runtime.store.history(instance.id);
  const alert = lines === null ? null : birthOf(instance.id, lines).alert;
  const { policy, policyVersion } = instance;
  const compiled = runtime.versions.get(policyKey({ name: policy, version: policyVersion }));
  if (alert === null || compiled === undefined) return null;
  const { fingerprint } = alert;
  return { policy, fingerprint, key: episodeKeyOf(compiled, fingerprint) };
}

/** The record of which an instance's episode is the last one; null: a later one has begun, or there is none. */
export async function lastRecordOf(runtime: Runtime, instance: Instance): Promise<StoredEpisode | null> {
  const partition = partitionOfId(instance.id);
  const name = await episodeNameOf(runtime, instance);
  if (name === null || partition === null) return null;
  const request = { partition, groupId: null, instanceIds: [], episodeKeys: [name.key] };
  const value = (await runtime.store.load(request)).episodes.get(name.key);
  if (value === undefined) return null;
  const { startMs } = lastEpisode(value);
  return instanceIdOf({ ...name, startMs }, partition) === instance.id ? { key: name.key, value } : null;
}

/** Does the alert of an instance still fire at `atMs`? */
export async function isEpisodeOpen(runtime: Runtime, instance: Instance, atMs: number): Promise<boolean> {
  return (await episodeEndOf(runtime, instance, atMs)) === null;
}

/** How the alert of an instance ended; null: it still fires at `atMs`. */
export async function episodeEndOf(runtime: Runtime, instance: Instance, atMs: number): Promise<KnownEnd | null> {
  const record = await lastRecordOf(runtime, instance);
  // A later one has begun, or its record is gone: nobody knows how and when it ended.
  if (record === null) return { reason: "alert_resolved", atMs };
  return endedByLease(lastEpisode(record.value), atMs, runtime.leaseGrace).end;
}

/** The end of an instance's alert, if it says that its trouble is over; null: it still fires, or nobody knows. */
export async function solvedBy(runtime: Runtime, instance: Instance): Promise<KnownEnd | null> {
  const record = await lastRecordOf(runtime, instance);
  const end = record === null ? null : lastEpisode(record.value).end;
  return end === null || end.reason === "lease_over" ? null : end;
}

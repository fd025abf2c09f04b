/**
 * What the inspection is told: instances and groups as they are, and commits as they happen. Nothing here knows who
 * watches.
 */

import type { Group } from "../convergence/group.ts";
import { isMachineEvent, type StoredEvent } from "../instance/audit-types.ts";
import type { Instance, InstanceKind } from "../instance/checkpoint.ts";
import type { Decision } from "../instance/decide.ts";
import { type Snapshot, step } from "../instance/step.ts";
import type { InspectedGroup } from "./group-snapshot.ts";

export type InspectedInstance = {
  readonly id: string;
  readonly policy: string;
  readonly kind: InstanceKind;
  readonly groupId: string | null;
  /** Rises with every commit; a watcher that knows a version is not told of it again. */
  readonly version: number;
  readonly atMs: number;
  readonly snapshot: Snapshot;
};

/** One instance's part of a commit. `before` is null when the commit made it. */
export type InspectedChange = {
  readonly before: InspectedInstance | null;
  readonly instance: InspectedInstance;
  readonly createdAtMs: number;
  /** In order. None: only where it is now is known, not how it came there. */
  readonly entries: readonly InspectedEntry[];
};

export type InspectedEntry = { readonly event: StoredEvent; readonly atMs: number };

export type InspectedCommit = { readonly group: InspectedGroup | null; readonly changes: readonly InspectedChange[] };

/**
 * A commit on its way to watchers. It is read only when somebody can take it; `bytes` is about what keeping it costs.
 */
export type PendingCommit = { readonly bytes: number; readonly read: () => InspectedCommit };

/** Where a watcher that comes late, or lost its place, finds everything that is selected. */
export type InspectSource = {
  /** Newest first, in pages. */
  pages(): AsyncIterable<readonly InspectedInstance[]>;
  group(id: string): Promise<InspectedGroup | null>;
};

/** Through which an engine or a replay tells what happens. */
export type InspectFeed = {
  committed(commit: PendingCommit): void;
  /** Whoever comes from now on does not see the source any longer. */
  detach(): void;
};

export interface InspectTarget {
  /** False: nobody watches, so nothing need be told. */
  readonly isWatched: boolean;
  attach(source: InspectSource): InspectFeed;
  /** Tells a history at once and keeps where it ended for those who come later. */
  replayed(commits: readonly InspectedCommit[]): void;
}

const BYTES_PER_INSTANCE = 1_024;

export function inspectedInstance({ id, policy, kind, groupId, version, atMs, snapshot }: Instance): InspectedInstance {
  return { id, policy, kind, groupId, version, atMs, snapshot };
}

/** A decision as watchers get it. Cheap until it is read: it stands on the path of every alert. */
export function pendingDecision(decision: Decision, groupOf: (group: Group) => InspectedGroup): PendingCommit {
  let bytes = 0;
  for (const { body, lines } of decision.instances) {
    bytes += BYTES_PER_INSTANCE + body.length;
    for (const line of lines) bytes += line.length;
  }
  return {
    bytes,
    read: () => ({ group: decision.group === null ? null : groupOf(decision.group), changes: changesOf(decision) }),
  };
}

function changesOf(decision: Decision): InspectedChange[] {
  const entries = new Map<string, InspectedEntry[]>(decision.instances.map(({ instance }) => [instance.id, []]));
  for (const { instance, entry } of decision.entries) entries.get(instance)?.push(entry);
  return decision.instances.map(({ instance, before }) => ({
    before: before === null ? null : inspectedInstance(before),
    instance: inspectedInstance(instance),
    createdAtMs: instance.createdAtMs,
    entries: entries.get(instance.id) ?? [],
  }));
}

/**
 * The snapshot after each entry of a change. All but the last are made by stepping again: a commit keeps only where it
 * ended.
 */
export function snapshotsOf({ instance, entries }: InspectedChange, start: Snapshot): Snapshot[] {
  let snapshot = start;
  return entries.map(({ event }, index) => {
    if (index === entries.length - 1) return instance.snapshot;
    if (isMachineEvent(event)) {
      const taken = step(snapshot, event);
      if (taken.accepted) snapshot = taken.snapshot;
    }
    return snapshot;
  });
}

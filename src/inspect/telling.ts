/**
 * What one watcher hears of instances and groups, and in which order. `Listener` is the kind of watcher (frames, XState
 * events).
 */
import { isMachineEvent } from "../instance/audit-types.ts";
import { initialSnapshot, type Visit, visitsOf } from "../instance/step.ts";
import type { InspectedGroup } from "./group-snapshot.ts";
import { type InspectedChange, type InspectedCommit, type InspectedInstance, snapshotsOf } from "./inspected.ts";
import { type ActorAddress, type ActorEvent, type ActorSnapshot, groupAddress, instanceAddress } from "./protocol.ts";

export type Listener = {
  actor(address: ActorAddress, snapshot: ActorSnapshot, about: { atMs: number; policy: string; kind: string }): void;
  event(address: ActorAddress, event: ActorEvent, how: { atMs: number; sourceId?: string | undefined }): void;
  snapshot(address: ActorAddress, snapshot: ActorSnapshot, how: { atMs: number; event: ActorEvent }): void;
  /** The way to the snapshot that follows, transition by transition. */
  visits?(address: ActorAddress, visits: readonly Visit[]): void;
};

/** Instances and groups that a watcher can know at once; the one that moved longest ago is introduced anew. */
const KNOWN_COUNT_MAX = 100_000;

/**
 * The place of one watcher. T1 an actor is introduced before its first step is reported. T2 no version is reported
 * twice or after a later one.
 */
export class Telling {
  readonly #listener: Listener;
  /** Versions of instances. */
  readonly #versions = new Map<string, number>();
  /** Snapshots of groups, as text. */
  readonly #groups = new Map<string, string>();

  constructor(listener: Listener) {
    this.#listener = listener;
  }

  knowsGroup(id: string): boolean {
    return this.#groups.has(id);
  }

  commit({ group, changes }: InspectedCommit): void {
    if (group !== null)
      this.group(group, changes.some(({ before }) => before === null) ? "instance.arrived" : "peers.changed");
    for (const change of changes) this.#change(change);
  }

  /** The state of an instance, from its checkpoint. */
  instance(instance: InspectedInstance): void {
    const known = this.#versions.get(instance.id);
    if (known !== undefined && known >= instance.version) return;
    const address = instanceAddress(instance.id, instance.groupId);
    const { snapshot, atMs, policy, kind } = instance;
    if (known === undefined) this.#listener.actor(address, snapshot, { atMs, policy, kind });
    // Steps in between were dropped: which ones, the checkpoint does not tell.
    else this.#listener.snapshot(address, snapshot, { atMs, event: { type: "becalm.resync" } });
    remember(this.#versions, instance.id, instance.version);
  }

  group({ id, policy, atMs, snapshot }: InspectedGroup, eventType: "instance.arrived" | "peers.changed"): void {
    const text = JSON.stringify(snapshot);
    const known = this.#groups.get(id);
    if (known === text) return;
    const address = groupAddress(id);
    if (known === undefined) this.#listener.actor(address, snapshot, { atMs, policy, kind: "group" });
    else {
      const { inProgress, waiters } = snapshot.context;
      const event =
        eventType === "instance.arrived" ? { type: eventType, atMs } : { type: eventType, atMs, inProgress, waiters };
      this.#listener.event(address, event, { atMs });
      this.#listener.snapshot(address, snapshot, { atMs, event });
    }
    remember(this.#groups, id, text);
  }

  #change(change: InspectedChange): void {
    const { before, instance, createdAtMs, entries } = change;
    if (entries.length === 0) {
      this.instance(instance);
      return;
    }
    const known = this.#versions.get(instance.id);
    if (known !== undefined && known >= instance.version) return;
    const address = instanceAddress(instance.id, instance.groupId);
    const { policy: name, kind } = instance;
    const { policy } = instance.snapshot.context;
    const start = before?.snapshot ?? initialSnapshot(policy);
    if (before === null) {
      const event = { type: "xstate.init", input: { policy } };
      this.#listener.actor(address, start, { atMs: createdAtMs, policy: name, kind });
      this.#listener.event(address, event, { atMs: createdAtMs });
      this.#listener.snapshot(address, start, { atMs: createdAtMs, event });
    } else if (known === undefined) this.#listener.actor(address, start, { atMs: before.atMs, policy: name, kind });
    const snapshots = snapshotsOf(change, start);
    for (const [index, { event, atMs }] of entries.entries()) {
      // What a peer's end tells a waiter comes from their group.
      const sourceId = event.type === "peers.settled" ? (instance.groupId ?? undefined) : undefined;
      this.#listener.event(address, event, { atMs, sourceId });
      if (isMachineEvent(event)) this.#listener.visits?.(address, visitsOf(snapshots[index - 1] ?? start, event));
      this.#listener.snapshot(address, snapshots[index] ?? start, { atMs, event });
    }
    remember(this.#versions, instance.id, instance.version);
  }
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= KNOWN_COUNT_MAX) return;
  const oldest = map.keys().next();
  if (oldest.done !== true) map.delete(oldest.value);
}

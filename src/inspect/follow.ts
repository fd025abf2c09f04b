/**
 * Follows the instances of a namespace that other processes work on: versions are polled, steps are read from the
 * histories. Nothing is read while nobody watches.
 */
import { messageOf } from "../model/errors.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import type { Clock } from "../system/clock.ts";
import type { InspectedCommit, InspectedInstance, InspectFeed, InspectSource, InspectTarget } from "./inspected.ts";

const POLLED_EVERY_MS = 500;
/** A round that takes long is followed by a pause so many times as long: looking must not wear the store out. */
const PAUSE_PER_ROUND = 10;

export type Followed = { readonly instances: InstanceReader; readonly source: InspectSource };

export type FollowOptions = { readonly clock: Clock; readonly onFault: (what: string) => void };

/** Follows until the returned function is called. */
export function follow(target: InspectTarget, followed: Followed, options: FollowOptions): () => void {
  const feed = target.attach(followed.source);
  const follower = new Follower(followed, feed);
  let cancel: () => void = () => {};
  let isOver = false;
  const again = (): void => {
    const startMs = options.clock.now();
    if (!target.isWatched) follower.forget();
    const round = target.isWatched ? follower.round() : Promise.resolve();
    round
      .catch((error: unknown) => options.onFault(messageOf(error)))
      .finally(() => {
        const pauseMs = Math.max((options.clock.now() - startMs) * PAUSE_PER_ROUND, POLLED_EVERY_MS);
        if (!isOver) cancel = options.clock.schedule(pauseMs, again);
      });
  };
  again();
  return () => {
    isOver = true;
    cancel();
    feed.detach();
  };
}

class Follower {
  readonly #followed: Followed;
  readonly #feed: InspectFeed;
  /** As they were when they were last read. */
  #seen: ReadonlyMap<string, InspectedInstance> | null = null;

  constructor(followed: Followed, feed: InspectFeed) {
    this.#followed = followed;
    this.#feed = feed;
  }

  /** Nobody watches: the next round is a first one. */
  forget(): void {
    this.#seen = null;
  }

  async round(): Promise<void> {
    const before = this.#seen;
    const seen = new Map<string, InspectedInstance>();
    for await (const page of this.#followed.source.pages()) {
      for (const instance of page) {
        seen.set(instance.id, instance);
        if (before?.get(instance.id)?.version === instance.version) continue;
        const commit =
          before === null ? stateOf(instance) : await this.#changed(before.get(instance.id) ?? null, instance);
        this.#feed.committed({ bytes: JSON.stringify(commit).length, read: () => commit });
      }
    }
    this.#seen = seen;
  }

  /** The steps since `before`, and the group as it is now. */
  async #changed(before: InspectedInstance | null, instance: InspectedInstance): Promise<InspectedCommit> {
    const { instances, source } = this.#followed;
    const { birth, entries } = await instances.history(instance.id);
    const since = before?.version ?? 0;
    const group = instance.groupId === null ? null : await source.group(instance.groupId);
    // The history may be ahead of the checkpoint that was read before it: the next round tells of that.
    const told = entries.filter(({ version }) => version > since && version <= instance.version);
    return { group, changes: [{ before, instance, createdAtMs: birth.createdAtMs, entries: told }] };
  }
}

/**
 * In a first round: viewers may have read the source just before it, and have to hear only of what is newer than that.
 */
function stateOf(instance: InspectedInstance): InspectedCommit {
  return { group: null, changes: [{ before: instance, instance, createdAtMs: instance.atMs, entries: [] }] };
}

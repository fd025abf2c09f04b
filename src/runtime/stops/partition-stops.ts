import { decodeStops, encodeStops, NO_STOPS, STOPS_KEY, type StopsRecord } from "../../instance/stops-record.ts";
import type { EpisodeWrite, Store } from "../../stores/store.ts";

type Known = { readonly text: string | null; readonly record: StopsRecord };

const NOTHING: Known = { text: null, record: NO_STOPS };

/**
 * What this process knows of the emergency stops, by partition. A batch is decided under what is known; its commit
 * asserts that it still is so, and a batch that loses reads again.
 */
export class PartitionStops {
  readonly #known = new Map<number, Known>();
  readonly #listeners = new Set<() => void>();

  /** Under which stops a partition's commands are decided. */
  of(partition: number): StopsRecord {
    return (this.#known.get(partition) ?? NOTHING).record;
  }

  /** What was read, or has been written. */
  learn(partition: number, text: string | null): StopsRecord {
    const known = this.#known.get(partition);
    if (known !== undefined && known.text === text) return known.record;
    const record = decodeStops(text);
    this.#known.set(partition, { text, record });
    for (const changed of this.#listeners) changed();
    return record;
  }

  /** Calls `changed` whenever other stops are known than before. */
  watch(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  /** The condition of a commit that runs or holds something. */
  condition(partition: number): EpisodeWrite {
    const { text } = this.#known.get(partition) ?? NOTHING;
    return { key: STOPS_KEY, expected: text, value: text ?? encodeStops(NO_STOPS) };
  }

  /** Is a policy paused, as far as this process knows? */
  isPaused(partition: number, policy: string): boolean {
    return this.of(partition).pauses.some(({ scope }) => scope === null || scope === policy);
  }
}

export async function readStops(store: Store, stops: PartitionStops, partition: number): Promise<StopsRecord> {
  const request = { partition, groupId: null, instanceIds: [], episodeKeys: [STOPS_KEY] };
  const { episodes } = await store.load(request);
  return stops.learn(partition, episodes.get(STOPS_KEY) ?? null);
}

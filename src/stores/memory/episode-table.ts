import type { EpisodeWrite, RecordCondition, StoredEpisode } from "../store.ts";

/** Records of episodes, by partition and key. */
export class EpisodeTable {
  readonly #partitions = new Map<number, Map<string, string>>();

  /** Those of the keys that exist. */
  read(partition: number, keys: readonly string[]): Map<string, string> {
    const found = new Map<string, string>();
    const records = this.#partitions.get(partition);
    for (const key of keys) {
      const value = records?.get(key);
      if (value !== undefined) found.set(key, value);
    }
    return found;
  }

  areExpected(partition: number, writes: readonly RecordCondition[]): boolean {
    const records = this.#partitions.get(partition);
    return writes.every(({ key, expected }) => (records?.get(key) ?? null) === expected);
  }

  /** The same for those who write nothing else: what is written already is as good. */
  mayRenew(partition: number, writes: readonly EpisodeWrite[]): boolean {
    const records = this.#partitions.get(partition);
    return writes.every((write) => records?.get(write.key) === write.value || this.areExpected(partition, [write]));
  }

  write(partition: number, writes: readonly EpisodeWrite[]): void {
    if (writes.length === 0) return;
    const records = this.#partitions.get(partition) ?? new Map<string, string>();
    this.#partitions.set(partition, records);
    for (const { key, value } of writes) records.set(key, value);
  }

  remove(partition: number, { key, value }: StoredEpisode): void {
    const records = this.#partitions.get(partition);
    if (records?.get(key) === value) records.delete(key);
  }
}

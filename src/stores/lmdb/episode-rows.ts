/** Records of episodes. `s<partition><key>`: the record. */
import type { EpisodeWrite, RecordCondition, StoredEpisode } from "../store.ts";
import { part, twoDigits } from "./row-keys.ts";
import type { ReadRows, WriteRows } from "./rows.ts";

export class EpisodeRows {
  readonly #table: string;

  constructor(prefix: string) {
    this.#table = `${prefix}s`;
  }

  /** Those of the keys that exist. */
  read(rows: ReadRows, partition: number, keys: readonly string[]): Map<string, string> {
    const found = new Map<string, string>();
    for (const key of keys) {
      const value = this.#get(rows, partition, key);
      if (value !== null) found.set(key, value);
    }
    return found;
  }

  areExpected(rows: ReadRows, partition: number, writes: readonly RecordCondition[]): boolean {
    return writes.every(({ key, expected }) => this.#get(rows, partition, key) === expected);
  }

  /** Writes nothing if one is not as it is expected; what is written already is as good. */
  renew(rows: WriteRows, partition: number, writes: readonly EpisodeWrite[]): "applied" | "conflict" {
    const mayWrite = writes.every(({ key, value, expected }) => {
      const stored = this.#get(rows, partition, key);
      return stored === value || stored === expected;
    });
    if (!mayWrite) return "conflict";
    this.write(rows, partition, writes);
    return "applied";
  }

  write(rows: WriteRows, partition: number, writes: readonly EpisodeWrite[]): void {
    for (const { key, value } of writes) rows.put(this.#key(partition, key), value);
  }

  /** If it still has the value. */
  remove(rows: WriteRows, partition: number, { key, value }: StoredEpisode): void {
    if (this.#get(rows, partition, key) === value) rows.remove(this.#key(partition, key));
  }

  #get(rows: ReadRows, partition: number, key: string): string | null {
    return rows.get(this.#key(partition, key)) ?? null;
  }

  #key(partition: number, key: string): string {
    return `${this.#table}${twoDigits(partition)}${part(key)}`;
  }
}

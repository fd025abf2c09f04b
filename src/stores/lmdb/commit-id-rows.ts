/**
 * Ids of the commits of the last ten minutes. `k<partition><commit>`: nothing, it is there. `z<end><key>`: the key of
 * one, to be dropped then.
 */
import { COMMIT_ID_TTL_MS } from "../../model/limits.ts";
import { EndedRows } from "./ended-rows.ts";
import { part, twoDigits } from "./row-keys.ts";
import type { ReadRows, WriteRows } from "./rows.ts";

/** Ended ids that one commit drops: some milliseconds' work, in place of as many looks. */
const FORGOTTEN_COUNT_MAX = 512;

export class CommitIdRows {
  readonly #prefix: string;
  readonly #ends: EndedRows;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.#ends = new EndedRows(`${prefix}z`, { countMax: FORGOTTEN_COUNT_MAX });
  }

  has(rows: ReadRows, partition: number, commitId: string): boolean {
    return rows.get(this.#key(partition, commitId)) !== undefined;
  }

  add(rows: WriteRows, { partition, commitId }: { partition: number; commitId: string }, nowMs: number): void {
    const key = this.#key(partition, commitId);
    rows.put(key, "");
    rows.put(this.#ends.keyOf(nowMs + COMMIT_ID_TTL_MS, key), key);
  }

  /** Drops some of those whose time is over. */
  forget(rows: WriteRows, nowMs: number): void {
    for (const { key, value } of this.#ends.take(rows, nowMs)) {
      rows.remove(key);
      rows.remove(value);
    }
  }

  #key(partition: number, commitId: string): string {
    return `${this.#prefix}k${twoDigits(partition)}${part(commitId)}`;
  }
}

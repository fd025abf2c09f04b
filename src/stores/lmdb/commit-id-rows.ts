/**
 * Ids of the commits of the last ten minutes. `k<partition><commit>`: nothing, it is there. `z<end><key>`: the keys of one transaction,
 * to be dropped then.
 */
import { COMMIT_ID_TTL_MS } from "../../model/limits.ts";
import { AFTER_ALL, part, sortable, twoDigits } from "./row-keys.ts";
import { type ReadRows, takeRows, type WriteRows } from "./rows.ts";

/** Rows of ended ids that one commit drops: more than it adds. */
const FORGOTTEN_COUNT_MAX = 4;

export class CommitIdRows {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  has(rows: ReadRows, partition: number, commitId: string): boolean {
    return rows.get(this.#key(partition, commitId)) !== undefined;
  }

  add(rows: WriteRows, { partition, commitId }: { partition: number; commitId: string }, nowMs: number): void {
    const key = this.#key(partition, commitId);
    rows.put(key, "");
    rows.put(`${this.#prefix}z${sortable(nowMs + COMMIT_ID_TTL_MS)}${key}`, key);
  }

  /** Drops some of those whose time is over. */
  forget(rows: WriteRows, nowMs: number): void {
    const from = `${this.#prefix}z`;
    const ended = takeRows(rows.ascending(from, `${from}${sortable(nowMs)}${AFTER_ALL}`), FORGOTTEN_COUNT_MAX);
    for (const { key, value } of ended) {
      rows.remove(key);
      rows.remove(value);
    }
  }

  #key(partition: number, commitId: string): string {
    return `${this.#prefix}k${twoDigits(partition)}${part(commitId)}`;
  }
}

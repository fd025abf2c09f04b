/**
 * Ids of the commits of the last ten minutes. `k<partition><commit>`: nothing, it is there. `z<end><key>`: the keys of
 * one transaction, to be dropped then.
 */
import { COMMIT_ID_TTL_MS } from "../../model/limits.ts";
import { NextEnd } from "./next-end.ts";
import { AFTER_ALL, numberOf, part, sortable, twoDigits } from "./row-keys.ts";
import { type ReadRows, type Row, takeRows, type WriteRows } from "./rows.ts";

/** Rows of ended ids that one commit drops: more than it adds. */
const FORGOTTEN_COUNT_MAX = 4;
const NUMBER_DIGITS = 16;

export class CommitIdRows {
  readonly #prefix: string;
  readonly #nextEnd = new NextEnd();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  has(rows: ReadRows, partition: number, commitId: string): boolean {
    return rows.get(this.#key(partition, commitId)) !== undefined;
  }

  add(rows: WriteRows, { partition, commitId }: { partition: number; commitId: string }, nowMs: number): void {
    const key = this.#key(partition, commitId);
    rows.put(key, "");
    const endMs = nowMs + COMMIT_ID_TTL_MS;
    rows.put(`${this.#prefix}z${sortable(endMs)}${key}`, key);
    this.#nextEnd.added(endMs);
  }

  /** Drops some of those whose time is over. */
  forget(rows: WriteRows, nowMs: number): void {
    if (!this.#nextEnd.mayBeOver(nowMs)) return;
    const from = `${this.#prefix}z`;
    const first = takeRows(rows.ascending(from, `${from}${AFTER_ALL}`), FORGOTTEN_COUNT_MAX);
    const endOf = ({ key }: Row) => numberOf(key.slice(from.length, from.length + NUMBER_DIGITS));
    const living = first.find((row) => endOf(row) > nowMs);
    for (const row of first) {
      if (row === living) break;
      rows.remove(row.key);
      rows.remove(row.value);
    }
    if (living !== undefined) this.#nextEnd.found(endOf(living));
    else if (first.length < FORGOTTEN_COUNT_MAX) this.#nextEnd.found(null);
  }

  #key(partition: number, commitId: string): string {
    return `${this.#prefix}k${twoDigits(partition)}${part(commitId)}`;
  }
}

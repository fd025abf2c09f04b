/** Rows that were written and are not on the disk yet, in front of those that they change. */
import type { ReadRows, Row, WriteRows } from "./rows.ts";
import { rowsInFront } from "./rows-in-front.ts";

/**
 * What the binding takes. It is checked here, because a transaction that is being handed to the binding cannot be taken
 * back.
 */
const KEY_BYTES_MAX = 1_978;
/** UTF-8 needs at most three bytes for a unit of UTF-16. */
const SURELY_SHORT_UNITS = Math.floor(KEY_BYTES_MAX / 3);

export class PendingRows implements WriteRows {
  #seen: ReadRows;
  /** null: the row is removed. */
  readonly #changes = new Map<string, string | null>();
  /** What the write that is being attempted has replaced; undefined: nothing was pending. */
  #replaced: [key: string, before: string | null | undefined][] = [];

  constructor(behind: ReadRows) {
    this.#seen = this.#over(behind);
  }

  /** The last one of each row. */
  get changes(): ReadonlyMap<string, string | null> {
    return this.#changes;
  }

  /** What was behind is on the disk now. */
  rebase(behind: ReadRows): void {
    this.#seen = this.#over(behind);
  }

  /** Gives what `write` gives. If it throws, nothing of it is left. */
  attempt<T>(write: (rows: WriteRows) => T): T {
    this.#replaced = [];
    try {
      return write(this);
    } catch (error) {
      for (const [key, before] of this.#replaced.toReversed()) {
        if (before === undefined) this.#changes.delete(key);
        else this.#changes.set(key, before);
      }
      throw error;
    }
  }

  get(key: string): string | undefined {
    return this.#seen.get(key);
  }

  put(key: string, value: string): void {
    if (key.length > SURELY_SHORT_UNITS && Buffer.byteLength(key) > KEY_BYTES_MAX)
      throw new RangeError(`A key of ${Buffer.byteLength(key)} bytes is longer than ${KEY_BYTES_MAX}`);
    this.#change(key, value);
  }

  remove(key: string): void {
    this.#change(key, null);
  }

  ascending(from: string, to: string): Iterable<Row> {
    return this.#seen.ascending(from, to);
  }

  descending(from: string, to: string): Iterable<Row> {
    return this.#seen.descending(from, to);
  }

  #over(behind: ReadRows): ReadRows {
    return rowsInFront(behind, { get: (key) => this.#changes.get(key), near: () => this.#changes });
  }

  #change(key: string, value: string | null): void {
    this.#replaced.push([key, this.#changes.get(key)]);
    this.#changes.set(key, value);
  }
}

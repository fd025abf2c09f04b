/**
 * Rows that were written and are not on the disk yet, in front of those that they change. Whoever reads here sees the newest of each.
 */
import { compareCodePoints } from "../../model/utf8.ts";
import type { ReadRows, Row, WriteRows } from "./rows.ts";

/** What the binding takes. It is checked here, because a transaction that is being handed to the binding cannot be taken back. */
const KEY_BYTES_MAX = 1_978;
/** UTF-8 needs at most three bytes for a unit of UTF-16. */
const SURELY_SHORT_UNITS = Math.floor(KEY_BYTES_MAX / 3);

type Change = readonly [key: string, value: string | null];

export class PendingRows implements WriteRows {
  #below: ReadRows;
  /** null: the row is removed. */
  readonly #changes = new Map<string, string | null>();
  /** What the write that is being attempted has replaced; undefined: nothing was pending. */
  #replaced: [key: string, before: string | null | undefined][] = [];

  constructor(below: ReadRows) {
    this.#below = below;
  }

  /** The last one of each row. */
  get changes(): ReadonlyMap<string, string | null> {
    return this.#changes;
  }

  /** What was below is on the disk now. */
  rebase(below: ReadRows): void {
    this.#below = below;
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
    const own = this.#changes.get(key);
    return own === undefined ? this.#below.get(key) : (own ?? undefined);
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
    const own = this.#changesWhere((key) => compareCodePoints(key, from) >= 0 && compareCodePoints(key, to) < 0);
    const stored = this.#below.ascending(from, to);
    return own.length === 0 ? stored : merged(stored, own.sort(byKey), compareCodePoints);
  }

  descending(from: string, to: string): Iterable<Row> {
    const own = this.#changesWhere((key) => compareCodePoints(key, from) > 0 && compareCodePoints(key, to) < 0);
    const stored = this.#below.descending(from, to);
    if (own.length === 0) return stored;
    return merged(stored, own.sort(byKey).reverse(), (left, right) => compareCodePoints(right, left));
  }

  #change(key: string, value: string | null): void {
    this.#replaced.push([key, this.#changes.get(key)]);
    this.#changes.set(key, value);
  }

  #changesWhere(isIn: (key: string) => boolean): Change[] {
    const found: Change[] = [];
    for (const change of this.#changes) if (isIn(change[0])) found.push(change);
    return found;
  }
}

function byKey([left]: Change, [right]: Change): number {
  return compareCodePoints(left, right);
}

/** Both in the order of `compare`; of two with one key, the change. */
function* merged(
  stored: Iterable<Row>,
  changes: readonly Change[],
  compare: (left: string, right: string) => number,
): Generator<Row> {
  let at = 0;
  for (const row of stored) {
    let isChanged = false;
    for (; at < changes.length; at += 1) {
      const [key, value] = changes[at] as Change;
      const order = compare(key, row.key);
      if (order > 0) break;
      if (order === 0) isChanged = true;
      if (value !== null) yield { key, value };
    }
    if (!isChanged) yield row;
  }
  for (const [key, value] of changes.slice(at)) if (value !== null) yield { key, value };
}

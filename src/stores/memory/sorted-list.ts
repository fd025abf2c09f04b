/**
 * A sorted collection for large numbers of rows: chunks of bounded size, each sorted, one after the other.
 *
 * Adding behind the last row, the usual case, is O(1) amortised. Adding or removing anywhere else is a binary search
 * and a move inside one chunk, never of the whole collection: a timer that is armed in the middle of a million stays
 * cheap.
 *
 * Invariant: no chunk is empty, no chunk is longer than CHUNK_COUNT_MAX, and no two rows compare as equal.
 */
const CHUNK_COUNT_MAX = 512;

export class SortedList<Row> {
  readonly #compare: (left: Row, right: Row) => number;
  readonly #chunks: Row[][] = [];
  #size = 0;

  constructor(compare: (left: Row, right: Row) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#size;
  }

  /** Adds a row; one that is there already stays as it is. */
  add(row: Row): void {
    const last = this.#chunks.at(-1);
    if (last === undefined) {
      this.#chunks.push([row]);
      this.#size += 1;
    } else if (this.#compare(last[last.length - 1] as Row, row) < 0) {
      if (last.length < CHUNK_COUNT_MAX) last.push(row);
      else this.#chunks.push([row]);
      this.#size += 1;
    } else {
      this.#insert(row);
    }
  }

  has(row: Row): boolean {
    const chunk = this.#chunks[this.#chunkAt(row)];
    return chunk !== undefined && this.#compare(chunk[this.#firstNotBelow(chunk, row)] as Row, row) === 0;
  }

  /** Removes the row that compares as equal; false: there is none. */
  remove(row: Row): boolean {
    const chunkAt = this.#chunkAt(row);
    const chunk = this.#chunks[chunkAt];
    if (chunk === undefined) return false;
    const at = this.#firstNotBelow(chunk, row);
    if (this.#compare(chunk[at] as Row, row) !== 0) return false;
    if (chunk.length === 1) this.#chunks.splice(chunkAt, 1);
    else chunk.splice(at, 1);
    this.#size -= 1;
    return true;
  }

  /** Rows strictly after `after`, or all, in ascending order. The collection must not change meanwhile. */
  *ascending(after?: Row): Generator<Row> {
    let chunkAt = after === undefined ? 0 : this.#chunkAt(after);
    let at = after === undefined ? 0 : this.#firstNotBelow(this.#chunks[chunkAt] ?? [], after);
    for (; chunkAt < this.#chunks.length; chunkAt += 1, at = 0) {
      const chunk = this.#chunks[chunkAt] as Row[];
      for (; at < chunk.length; at += 1) {
        const row = chunk[at] as Row;
        if (after === undefined || this.#compare(row, after) !== 0) yield row;
      }
    }
  }

  /** Rows strictly before `before`, or all, in descending order. The collection must not change meanwhile. */
  *descending(before?: Row): Generator<Row> {
    let chunkAt = before === undefined ? this.#chunks.length : this.#chunkAt(before);
    const chunk = this.#chunks[chunkAt];
    if (before !== undefined && chunk !== undefined) {
      for (let at = this.#firstNotBelow(chunk, before) - 1; at >= 0; at -= 1) yield chunk[at] as Row;
    }
    for (chunkAt -= 1; chunkAt >= 0; chunkAt -= 1) {
      const earlier = this.#chunks[chunkAt] as Row[];
      for (let at = earlier.length - 1; at >= 0; at -= 1) yield earlier[at] as Row;
    }
  }

  #insert(row: Row): void {
    const chunkAt = this.#chunkAt(row);
    const chunk = this.#chunks[chunkAt] as Row[];
    const at = this.#firstNotBelow(chunk, row);
    if (this.#compare(chunk[at] as Row, row) === 0) return;
    chunk.splice(at, 0, row);
    this.#size += 1;
    if (chunk.length > CHUNK_COUNT_MAX) this.#chunks.splice(chunkAt + 1, 0, chunk.splice(CHUNK_COUNT_MAX / 2));
  }

  /** Index of the first chunk whose last row is not below `row`; the number of chunks when there is none. */
  #chunkAt(row: Row): number {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const chunk = this.#chunks[middle] as Row[];
      if (this.#compare(chunk[chunk.length - 1] as Row, row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Index of the first row of a chunk that is not below `row`. */
  #firstNotBelow(chunk: readonly Row[], row: Row): number {
    let low = 0;
    let high = chunk.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(chunk[middle] as Row, row) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The first `limit` of `rows`. */
export function take<Row>(rows: Iterable<Row>, limit: number): Row[] {
  const taken: Row[] = [];
  if (limit <= 0) return taken;
  for (const row of rows) {
    taken.push(row);
    if (taken.length >= limit) break;
  }
  return taken;
}

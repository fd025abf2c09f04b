/**
 * Rows of several sources as one stream in the order of their times. Each source is in order by itself, or nearly so.
 */
import type { SourceRows } from "../detection/detection.ts";
import type { RecordRow } from "../formats/record-row.ts";
import type { RowTime } from "./record-times.ts";

export type RowsOfSource = { readonly source: string; readonly rows: AsyncIterable<readonly RecordRow[]> };

/** Rows that are given out at a time. */
const GIVEN_ROWS = 500;

/** A source with the rows that were read of it and not given out. */
class Cursor {
  readonly source: string;
  readonly place: number;
  readonly #iterator: AsyncIterator<readonly RecordRow[]>;
  readonly #rowTime: RowTime;
  #rows: readonly RecordRow[] = [];
  #at = 0;
  /** Of the next row; a row that is behind an earlier one of its source comes at once. */
  time = Number.NEGATIVE_INFINITY;

  constructor({ source, rows }: RowsOfSource, place: number, rowTime: RowTime) {
    this.source = source;
    this.place = place;
    this.#iterator = rows[Symbol.asyncIterator]();
    this.#rowTime = rowTime;
  }

  get row(): RecordRow {
    return this.#rows[this.#at] as RecordRow;
  }

  /** Whether the next row is here already. */
  get hasNext(): boolean {
    return this.#at + 1 < this.#rows.length;
  }

  step(): void {
    this.#at += 1;
    this.#lookAtTime();
  }

  /** Reads on; false at the end of the source. */
  async read(): Promise<boolean> {
    for (;;) {
      const next = await this.#iterator.next();
      if (next.done === true) return false;
      if (next.value.length === 0) continue;
      this.#rows = next.value;
      this.#at = 0;
      this.#lookAtTime();
      return true;
    }
  }

  #lookAtTime(): void {
    const time = this.#rowTime(this.row);
    if (time !== null && time > this.time) this.time = time;
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}

export async function* mergeRows(sources: readonly RowsOfSource[], rowTime: RowTime): AsyncGenerator<SourceRows> {
  const cursors = sources.map((one, place) => new Cursor(one, place, rowTime));
  const heap = new Heap();
  try {
    for (const cursor of cursors) if (await cursor.read()) heap.push(cursor);
    for (let cursor = heap.pop(); cursor !== null; cursor = heap.pop()) {
      const limit = heap.first;
      const rows: RecordRow[] = [];
      let isOver = false;
      do {
        rows.push(cursor.row);
        if (cursor.hasNext) cursor.step();
        else isOver = !(await cursor.read());
      } while (!isOver && rows.length < GIVEN_ROWS && (limit === null || isBefore(cursor, limit)));
      yield { source: cursor.source, rows };
      if (!isOver) heap.push(cursor);
    }
  } finally {
    for (const cursor of cursors) await cursor.close();
  }
}

function isBefore(a: Cursor, b: Cursor): boolean {
  return a.time === b.time ? a.place < b.place : a.time < b.time;
}

/** The cursors by their next times. */
class Heap {
  readonly #items: Cursor[] = [];

  get first(): Cursor | null {
    return this.#items[0] ?? null;
  }

  push(cursor: Cursor): void {
    const items = this.#items;
    let at = items.push(cursor) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(cursor, items[parent] as Cursor)) break;
      items[at] = items[parent] as Cursor;
      at = parent;
    }
    items[at] = cursor;
  }

  pop(): Cursor | null {
    const items = this.#items;
    const top = items[0] ?? null;
    const last = items.pop();
    if (top === null || last === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && isBefore(items[child + 1] as Cursor, items[child] as Cursor)) child += 1;
      if (!isBefore(items[child] as Cursor, last)) break;
      items[at] = items[child] as Cursor;
      at = child;
    }
    items[at] = last;
    return top;
  }
}

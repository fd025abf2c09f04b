/** What a transaction of LMDB, or a look at its last one, lets the tables do. The only shape in which they know it. */
export type Row = { readonly key: string; readonly value: string };

export type ReadRows = {
  get(key: string): string | undefined;
  /** Rows with `from <= key < to`, lowest first. Nothing may be written until all that is wanted was taken. */
  ascending(from: string, to: string): Iterable<Row>;
  /** Rows with `from < key < to`, highest first. */
  descending(from: string, to: string): Iterable<Row>;
};

export type WriteRows = ReadRows & {
  put(key: string, value: string): void;
  /** A missing row is not an error. */
  remove(key: string): void;
};

/** At most `limit` rows, after skipping `offset`. */
export function takeRows(rows: Iterable<Row>, limit: number, offset = 0): Row[] {
  const taken: Row[] = [];
  if (limit < 1) return taken;
  let skipped = 0;
  for (const row of rows) {
    if (skipped < offset) skipped += 1;
    else taken.push(row);
    if (taken.length >= limit) break;
  }
  return taken;
}

/** Removes all rows with `from <= key < to`. */
export function removeRange(rows: WriteRows, from: string, to: string): void {
  for (const { key } of Array.from(rows.ascending(from, to))) rows.remove(key);
}

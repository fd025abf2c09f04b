/** Rows of one or several sources that become one commit, each with its number in its source. */
import type { RecordRow } from "../formats/record-row.ts";

/** Rows of a source that follow one another. */
export type SourceRows = { readonly source: string; readonly rows: readonly RecordRow[] };

export class SourceBatch {
  readonly rows: RecordRow[] = [];
  readonly sources: string[] = [];
  readonly numbers: number[] = [];

  /** Rows that follow what was taken of a source, at most `countMax` a batch, numbered among themselves. */
  static *cut(source: string, rows: Iterable<RecordRow>, countMax: number): Generator<SourceBatch> {
    let batch = new SourceBatch();
    for (const row of rows) {
      batch.add(source, batch.rows.length + 1, row);
      if (batch.rows.length < countMax) continue;
      yield batch;
      batch = new SourceBatch();
    }
    if (batch.rows.length > 0) yield batch;
  }

  add(source: string, number: number, row: RecordRow): void {
    this.rows.push(row);
    this.sources.push(source);
    this.numbers.push(number);
  }

  /** Without the rows that were taken meanwhile. */
  behind(takenOf: (source: string) => number): SourceBatch {
    // Normally none was.
    if ([...this.firsts()].every(([source, { number }]) => number > takenOf(source))) return this;
    const left = new SourceBatch();
    for (const [at, row] of this.rows.entries()) {
      const source = this.sources[at] as string;
      const number = this.numbers[at] as number;
      if (number > takenOf(source)) left.add(source, number, row);
    }
    return left;
  }

  /** The first row of each source. */
  firsts(): Map<string, { readonly number: number; readonly row: RecordRow }> {
    const firsts = new Map<string, { number: number; row: RecordRow }>();
    let last: string | null = null;
    for (let at = 0; at < this.sources.length; at += 1) {
      const source = this.sources[at] as string;
      if (source === last) continue;
      last = source;
      if (!firsts.has(source))
        firsts.set(source, { number: this.numbers[at] as number, row: this.rows[at] as RecordRow });
    }
    return firsts;
  }

  /** How many rows each source has here. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>();
    const { length } = this.sources;
    for (let from = 0, end = 0; from < length; from = end) {
      const source = this.sources[from] as string;
      while (end < length && this.sources[end] === source) end += 1;
      counts.set(source, (counts.get(source) ?? 0) + end - from);
    }
    return counts;
  }
}

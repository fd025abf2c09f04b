/**
 * The rows of a file in the order of their times.
 *
 * Normally a file is in order, or nearly so, and is read as it is: detection puts late points in their place. A file
 * that stands series after series, or newest first, is noticed by its beginning and by samples, and sorted: in memory
 * if it is small, with sorted runs in temporary files if it is not.
 */
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { RecordRow } from "../formats/record-row.ts";
import { TextLines } from "../formats/text-lines.ts";
import { mergeRows } from "./record-merge.ts";
import type { RowTime } from "./record-times.ts";

/** Rows that are looked at before the first is given out. */
export const LOOKED_AT_ROWS = 20_000;
/** Rows of a sorted run: what a large file needs in memory. */
export const RUN_ROWS = 100_000;
const GIVEN_ROWS = 500;

type Rows = AsyncIterable<readonly RecordRow[]>;

export type Ordering = {
  readonly rowTime: RowTime;
  /** How far a row may be behind the newest before it: less is not disorder. */
  readonly toleranceSeconds: number;
  /** `always`: whatever it looks like. */
  readonly sort: "always" | "if needed" | "never";
  /** Rows from places all over the file; null: there are no such places. */
  readonly sample: () => Promise<readonly RecordRow[] | null>;
  /** Called before the first row with the number of all rows, if they were sorted. */
  readonly onSorted: (rows: number) => void;
};

/** The rows as they are, or sorted by time where they are out of order. */
export async function* inTimeOrder(rows: Rows, ordering: Ordering): AsyncGenerator<readonly RecordRow[]> {
  if (ordering.sort === "never") {
    yield* rows;
    return;
  }
  const iterator = rows[Symbol.asyncIterator]();
  const beginning: (readonly RecordRow[])[] = [];
  let count = 0;
  let isAll = false;
  while (count < LOOKED_AT_ROWS && !isAll) {
    const next = await iterator.next();
    isAll = next.done === true;
    if (next.done === true) break;
    beginning.push(next.value);
    count += next.value.length;
  }
  const rest: Rows = { [Symbol.asyncIterator]: () => iterator };
  const sample = isAll ? null : await ordering.sample();
  // The sample has rows of the beginning too, so each is looked at by itself.
  const isSorted =
    ordering.sort === "if needed" && ![beginning, [sample ?? []]].some((parts) => isDisordered(parts, ordering));
  if (!isSorted) yield* sorted(chained(beginning, rest), ordering);
  else yield* chained(beginning, rest);
}

async function* chained(beginning: (readonly RecordRow[])[], rest: Rows): AsyncGenerator<readonly RecordRow[]> {
  while (beginning.length > 0) yield beginning.shift() as readonly RecordRow[];
  yield* rest;
}

/** A row far behind the newest before it, or an end before the beginning. */
export function isDisordered(
  parts: readonly (readonly RecordRow[])[],
  { rowTime, toleranceSeconds }: Pick<Ordering, "rowTime" | "toleranceSeconds">,
): boolean {
  let first: number | null = null;
  let newest = Number.NEGATIVE_INFINITY;
  let last: number | null = null;
  for (const rows of parts) {
    for (const row of rows) {
      const time = rowTime(row);
      if (time === null) continue;
      first ??= time;
      last = time;
      if (time < newest - toleranceSeconds) return true;
      newest = Math.max(newest, time);
    }
  }
  return first !== null && last !== null && last < first;
}

type TimedRow = { readonly time: number; readonly row: RecordRow };

async function* sorted(rows: Rows, { rowTime, onSorted }: Ordering): AsyncGenerator<readonly RecordRow[]> {
  const spill = new Spill();
  try {
    let run: TimedRow[] = [];
    let count = 0;
    // A row without a time stays behind the one before it.
    let lastTime = Number.NEGATIVE_INFINITY;
    for await (const some of rows) {
      for (const row of some) {
        lastTime = rowTime(row) ?? lastTime;
        run.push({ time: lastTime, row });
        count += 1;
      }
      if (run.length < RUN_ROWS) continue;
      await spill.add(sortedRun(run));
      run = [];
    }
    onSorted(count);
    const last = sortedRun(run);
    if (spill.paths.length === 0) {
      for (let at = 0; at < last.length; at += GIVEN_ROWS) yield last.slice(at, at + GIVEN_ROWS).map(({ row }) => row);
      return;
    }
    await spill.add(last);
    const runs = spill.paths.map((path, index) => ({ source: String(index), rows: rowsOfRun(path) }));
    yield* inPieces(mergeRows(runs, rowTime));
  } finally {
    await spill.remove();
  }
}

/** Runs take turns at every few rows: they are given out in larger pieces. */
async function* inPieces(merged: AsyncIterable<{ readonly rows: readonly RecordRow[] }>) {
  let piece: RecordRow[] = [];
  for await (const { rows } of merged) {
    for (const row of rows) piece.push(row);
    if (piece.length < GIVEN_ROWS) continue;
    yield piece;
    piece = [];
  }
  if (piece.length > 0) yield piece;
}

/** Stable: rows of one time stay in the order of the file. */
function sortedRun(run: TimedRow[]): TimedRow[] {
  return run.sort((a, b) => (a.time === b.time ? 0 : a.time - b.time));
}

/** Sorted runs in temporary files. */
class Spill {
  readonly paths: string[] = [];
  #dir: string | null = null;

  async add(run: readonly TimedRow[]): Promise<void> {
    this.#dir ??= await mkdtemp(join(tmpdir(), "becalm-sort-"));
    const path = join(this.#dir, `${this.paths.length}.jsonl`);
    const lines = function* () {
      for (const { row } of run) yield `${JSON.stringify(row)}\n`;
    };
    await pipeline(Readable.from(lines()), createWriteStream(path));
    this.paths.push(path);
  }

  async remove(): Promise<void> {
    if (this.#dir !== null) await rm(this.#dir, { recursive: true, force: true });
  }
}

async function* rowsOfRun(path: string): AsyncGenerator<readonly RecordRow[]> {
  const lines = new TextLines(Number.MAX_SAFE_INTEGER);
  const stream = createReadStream(path, "utf8");
  for await (const piece of stream) yield lines.feed(piece as string).map(({ text }) => JSON.parse(text) as RecordRow);
}

/** Rows of a table that end, and how those that have ended are dropped. */
import { describe, expect, test } from "vitest";
import { COMMIT_ID_TTL_MS } from "../../src/model/limits.ts";
import { CommitIdRows } from "../../src/stores/lmdb/commit-id-rows.ts";
import { EndedRows } from "../../src/stores/lmdb/ended-rows.ts";
import { PendingRows } from "../../src/stores/lmdb/pending-rows.ts";
import type { Row, WriteRows } from "../../src/stores/lmdb/rows.ts";

/** A sorted table that counts what is read of it by ranges. */
class CountedRows implements WriteRows {
  readonly map = new Map<string, string>();
  ranges = 0;
  rowsRead = 0;

  get(key: string) {
    return this.map.get(key);
  }

  put(key: string, value: string) {
    this.map.set(key, value);
  }

  remove(key: string) {
    this.map.delete(key);
  }

  *ascending(from: string, to: string): Generator<Row> {
    this.ranges += 1;
    for (const key of [...this.map.keys()].sort()) {
      if (key < from || key >= to) continue;
      this.rowsRead += 1;
      yield { key, value: this.map.get(key) as string };
    }
  }

  descending(): Iterable<Row> {
    throw new Error("Nothing here reads backwards");
  }
}

/** As a transaction of the disk: everything that is pending goes there at once. */
function flushed(pending: PendingRows, rows: CountedRows): PendingRows {
  for (const [key, value] of pending.changes)
    if (value === null) rows.remove(key);
    else rows.put(key, value);
  return new PendingRows(rows);
}

describe("ids of commits", () => {
  test("that are ten minutes old are dropped by few looks, though a commit follows the other", () => {
    const rows = new CountedRows();
    const ids = new CommitIdRows("1:");
    const commits = 5_000;
    let pending = new PendingRows(rows);
    const commit = (number: number, nowMs: number) => {
      ids.forget(pending, nowMs);
      ids.add(pending, { partition: number % 4, commitId: `c${number}` }, nowMs);
      // Many commits share a transaction.
      if (number % 100 === 0) pending = flushed(pending, rows);
    };
    for (let number = 0; number < commits; number += 1) commit(number, number);
    pending = flushed(pending, rows);
    rows.ranges = 0;
    rows.rowsRead = 0;
    const laterMs = COMMIT_ID_TTL_MS + commits;
    for (let number = 0; number < commits; number += 1) commit(commits + number, laterMs + number);
    flushed(pending, rows);
    expect(rows.map.size).toBe(2 * commits);
    expect(rows.ranges).toBeLessThan(commits / 100);
    expect(rows.rowsRead).toBeLessThan(2 * commits);
  });

  test("are known for ten minutes, and are dropped then", () => {
    const rows = new CountedRows();
    const ids = new CommitIdRows("1:");
    ids.add(rows, { partition: 0, commitId: "first" }, 0);
    ids.forget(rows, COMMIT_ID_TTL_MS - 1);
    expect(ids.has(rows, 0, "first")).toBe(true);
    // It looks once a second.
    ids.forget(rows, COMMIT_ID_TTL_MS + 1_000);
    expect(ids.has(rows, 0, "first")).toBe(false);
    expect(rows.map.size).toBe(0);
  });
});

describe("ended rows", () => {
  const nothing = new CountedRows();

  test("that a failed transaction has left are taken by a later look", () => {
    const rows = new CountedRows();
    const ends = new EndedRows("e", { countMax: 2 });
    for (const name of ["a", "b", "c"]) rows.put(ends.keyOf(0, name), "");
    expect(ends.take(rows, 1).map((row) => ends.nameIn(row))).toEqual(["a", "b"]);
    // Nothing was removed; the next looks go on behind it, and then begin again.
    expect(ends.take(rows, 1).map((row) => ends.nameIn(row))).toEqual(["c"]);
    rows.put(ends.keyOf(5_000, "d"), "");
    expect(ends.take(rows, 5_000).map((row) => ends.nameIn(row))).toEqual(["a", "b"]);
  });

  test("are found by a process that has just begun to write, and when one is added that ends before all others", () => {
    const rows = new CountedRows();
    rows.put(new EndedRows("e", { countMax: 9 }).keyOf(10, "old"), "");
    const ends = new EndedRows("e", { countMax: 9 });
    expect(ends.take(rows, 20)).toHaveLength(1);
    rows.map.clear();
    rows.put(ends.keyOf(100, "late"), "");
    rows.put(ends.keyOf(30, "early"), "");
    expect(ends.take(rows, 29)).toHaveLength(0);
    expect(ends.take(rows, 30).map((row) => ends.nameIn(row))).toEqual(["early"]);
  });

  test("are not looked for while none can have ended", () => {
    const ends = new EndedRows("e", { countMax: 9 });
    ends.take(nothing, 0);
    const { ranges } = nothing;
    for (let nowMs = 1; nowMs < 1_000; nowMs += 1) ends.take(nothing, nowMs);
    expect(nothing.ranges).toBe(ranges);
  });
});

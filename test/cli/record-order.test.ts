import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { inTimeOrder, LOOKED_AT_ROWS, RUN_ROWS } from "../../src/cli/record-order.ts";
import type { RecordRow } from "../../src/formats/record-row.ts";

const rowTime = (row: RecordRow): number | null => ("rejected" in row ? null : Number((row.record as { t: number }).t));

const rowAt = (t: number, line: number): RecordRow => ({ line, record: { t } });

async function* pieces(rows: readonly RecordRow[], size: number): AsyncGenerator<readonly RecordRow[]> {
  for (let at = 0; at < rows.length; at += size) yield rows.slice(at, at + size);
}

/** As the command orders a file; `sorted` is the number of rows if it was sorted. */
async function ordered(
  rows: readonly RecordRow[],
  sort: "always" | "if needed",
  { during, sample = null }: { during?: () => void; sample?: readonly RecordRow[] | null } = {},
) {
  let sorted: number | null = null;
  const given: RecordRow[] = [];
  const stream = inTimeOrder(pieces(rows, 1_000), {
    rowTime,
    toleranceSeconds: 1_800,
    sort,
    sample: async () => sample,
    onSorted: (count) => {
      sorted = count;
    },
  });
  for await (const some of stream) {
    during?.();
    given.push(...some);
  }
  return { sorted, given };
}

describe("a file of records", () => {
  const before = process.env["TMPDIR"];
  let dir = "";
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "becalm-spill-"));
    process.env["TMPDIR"] = dir;
  });
  afterEach(() => {
    if (before === undefined) delete process.env["TMPDIR"];
    else process.env["TMPDIR"] = before;
    rmSync(dir, { recursive: true, force: true });
  });

  test("that is nearly in order is given as it is", async () => {
    const rows = [5, 3, 4, 1_000, 8].map(rowAt);
    expect(await ordered(rows, "if needed")).toEqual({ sorted: null, given: rows });
  });

  test("that is in order is given as it is, however long: a sample of it begins where the file does", async () => {
    const rows = Array.from({ length: 3 * LOOKED_AT_ROWS }, (_, line) => rowAt(line, line));
    const sample = rows.filter(({ line }) => line % 1_000 === 0);
    expect((await ordered(rows, "if needed", { sample })).sorted).toBeNull();
  });

  test("whose end is earlier than its beginning is sorted, though each part of it is in order", async () => {
    const count = 2 * LOOKED_AT_ROWS;
    const rows = Array.from({ length: count }, (_, line) => rowAt(line < count - 5_000 ? 90_000 + line : line, line));
    const sample = rows.filter(({ line }) => line % 1_000 === 0);
    expect((await ordered(rows, "if needed", { sample })).sorted).toBe(count);
  });

  test("that is small and far out of order is sorted in memory; rows of one time, and a row without one, stay where they were", async () => {
    const broken: RecordRow = { line: 9, rejected: true, reason: "json_invalid", text: "broken" };
    const rows = [rowAt(9_000, 1), rowAt(100, 2), broken, rowAt(9_000, 3), rowAt(1, 4)];
    const { sorted, given } = await ordered(rows, "if needed", { during: () => expect(readdirSync(dir)).toEqual([]) });
    expect(sorted).toBe(5);
    expect(given).toEqual([rowAt(1, 4), rowAt(100, 2), broken, rowAt(9_000, 1), rowAt(9_000, 3)]);
  });

  test("that is large is sorted in runs on disk, every row of it, and nothing is left there", async () => {
    const count = 2 * RUN_ROWS + 1_234;
    // 7,919 is prime to the count: every time once, in an order that jumps about.
    const rows = Array.from({ length: count }, (_, line) => rowAt((line * 7_919) % count, line));
    let runs = 0;
    const look = () => {
      // Once, before the first row is given out.
      if (runs > 0) return;
      runs = Math.max(runs, ...readdirSync(dir).map((name) => readdirSync(join(dir, name)).length));
    };
    const { sorted, given } = await ordered(rows, "always", { during: look });
    expect(sorted).toBe(count);
    expect(runs).toBe(3);
    expect(given.length).toBe(count);
    expect(given.every((row, index) => rowTime(row) === index)).toBe(true);
    expect(readdirSync(dir)).toEqual([]);
  });

  test("whose reader stops in the middle leaves nothing on the disk", async () => {
    const rows = Array.from({ length: RUN_ROWS + 1 }, (_, line) => rowAt(RUN_ROWS - line, line));
    const stream = inTimeOrder(pieces(rows, 1_000), {
      rowTime,
      toleranceSeconds: 1_800,
      sort: "always",
      sample: async () => null,
      onSorted: () => {},
    });
    expect((await stream.next()).done).toBe(false);
    expect(readdirSync(dir).length).toBe(1);
    await stream.return(undefined);
    expect(readdirSync(dir)).toEqual([]);
  });
});

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SortedList, take } from "../../src/stores/memory/sorted-list.ts";

const ascending = (left: number, right: number) => left - right;

describe("a sorted list", () => {
  test("holds what a sorted set of the same rows holds, from any place in both directions", () => {
    const change = fc.record({ row: fc.integer({ min: 0, max: 3_000 }), isRemoved: fc.boolean() });
    fc.assert(
      fc.property(
        fc.array(change, { minLength: 1_000, maxLength: 4_000 }),
        fc.integer({ min: -1, max: 3_001 }),
        (changes, place) => {
          const list = new SortedList(ascending);
          const model = new Set<number>();
          for (const { row, isRemoved } of changes) {
            if (isRemoved) expect(list.remove(row)).toBe(model.delete(row));
            else list.add(row);
            if (!isRemoved) model.add(row);
          }
          const rows = [...model].sort(ascending);
          expect(list.size).toBe(rows.length);
          expect([...list.ascending()]).toEqual(rows);
          expect([...list.descending()]).toEqual(rows.toReversed());
          expect([...list.ascending(place)]).toEqual(rows.filter((row) => row > place));
          expect([...list.descending(place)]).toEqual(rows.filter((row) => row < place).toReversed());
        },
      ),
      { numRuns: 30 },
    );
  });

  test("compares a handful of rows, not all, to change one among 100,000", () => {
    let comparisons = 0;
    const list = new SortedList<number>((left, right) => {
      comparisons += 1;
      return left - right;
    });
    for (let row = 0; row < 100_000; row += 1) list.add(row);
    expect(comparisons).toBeLessThan(100_001);
    comparisons = 0;
    list.add(50_000.5);
    list.remove(50_000.5);
    expect(take(list.ascending(99_998), 5)).toEqual([99_999]);
    expect(comparisons).toBeLessThan(100);
  });

  test("gives nothing when nothing is asked for", () => {
    const list = new SortedList(ascending);
    list.add(1);
    expect(take(list.ascending(), 0)).toEqual([]);
  });
});

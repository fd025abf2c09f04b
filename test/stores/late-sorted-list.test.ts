import fc from "fast-check";
import { expect, test } from "vitest";
import { LateSortedList } from "../../src/stores/memory/late-sorted-list.ts";

test("a list that is put into order when it is read holds what a sorted set of the same rows holds", () => {
  const step = fc.record({
    row: fc.integer({ min: 0, max: 60 }),
    what: fc.constantFrom("add", "remove", "read" as const),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: -1, max: 61 }), (steps, place) => {
      const list = new LateSortedList<number>((left, right) => left - right, String);
      const model = new Set<number>();
      for (const { row, what } of steps) {
        if (what === "read") expect([...list.ascending()]).toEqual([...model].sort((a, b) => a - b));
        else if (what === "remove") expect(list.remove(row)).toBe(model.delete(row));
        else if (!model.has(row)) {
          model.add(row);
          list.add(row);
        }
      }
      const rows = [...model].sort((a, b) => a - b);
      expect([...list.ascending(place)]).toEqual(rows.filter((row) => row > place));
      expect([...list.descending(place)]).toEqual(rows.filter((row) => row < place).toReversed());
    }),
    { numRuns: 300 },
  );
});

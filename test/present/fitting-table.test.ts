/** Tables on a screen. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { fittingTable } from "../../src/present/fitting-table.ts";
import { columnsOf } from "../../src/present/text-width.ts";

const shown = (rows: readonly (readonly string[])[], columns: number, keys = 1) =>
  fittingTable(rows, { columns, keys, right: [1, 2, 3, 4], paint: (cell) => cell });

test("a table that fits is one, and one that is too wide goes on below with the same keys", () => {
  const rows = [
    ["policy", "one", "two", "three"],
    ["restart", "1", "22", "333"],
  ];
  expect(shown(rows, 80)).toEqual(["policy   one  two  three", "restart    1   22    333"]);
  expect(shown(rows, 20)).toEqual(["policy   one  two", "restart    1   22", "", "policy   three", "restart    333"]);
});

test("keys that leave no room are cut with a mark, and never a figure", () => {
  const rows = [["a policy of a very long name", "12345"]];
  expect(shown(rows, 20)).toEqual(["a policy of …  12345"]);
});

test("no line is wider than the screen, and every figure is there", () => {
  const cell = fc.stringMatching(/^[0-9]{1,9}$/);
  const key = fc.stringMatching(/^[a-z复]{1,40}$/);
  const table = fc
    .record({ keys: fc.integer({ min: 1, max: 3 }), figures: fc.integer({ min: 1, max: 9 }) })
    .chain(({ keys, figures }) =>
      fc.record({
        keys: fc.constant(keys),
        rows: fc.array(
          fc
            .tuple(
              fc.array(key, { minLength: keys, maxLength: keys }),
              fc.array(cell, { minLength: figures, maxLength: figures }),
            )
            .map((row) => row.flat()),
          { minLength: 1, maxLength: 5 },
        ),
      }),
    );
  fc.assert(
    fc.property(table, fc.integer({ min: 40, max: 120 }), ({ keys, rows }, columns) => {
      const lines = shown(rows, columns, keys);
      for (const line of lines) expect(columnsOf(line)).toBeLessThanOrEqual(columns);
      const words = lines.join(" ").split(/\s+/);
      for (const row of rows) for (const figure of row.slice(keys)) expect(words).toContain(figure);
    }),
  );
});

import { textTable } from "./text-table.ts";
import { columnsOf, cutColumns } from "./text-width.ts";

const GAP = 2;
const KEY_COLUMNS_MIN = 4;

export type FittingTableOptions = {
  /** Of the screen. */
  readonly columns: number;
  /** How many columns, the first ones, tell rows apart: each part of the table has them. */
  readonly keys: number;
  readonly right: readonly number[];
  /** Of the whole table, as textTable takes it. */
  readonly paint: (cell: string, column: number, row: number) => string;
};

/**
 * A table on a screen. One that is too wide goes on below, in parts that begin with the same keys; keys that leave no
 * room for a figure are cut, and end with an ellipsis.
 */
export function fittingTable(
  rows: readonly (readonly string[])[],
  { columns, keys, right, paint }: FittingTableOptions,
): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => columnsOf(row[column] ?? ""))));
  const widest = Math.max(...widths.slice(keys));
  const keyColumnsMax = Math.max(Math.floor((columns - widest) / keys) - GAP, KEY_COLUMNS_MIN);
  const isTight = sum(widths.slice(0, keys)) + GAP * keys + widest > columns;
  const cut = rows.map((row) =>
    row.map((cell, column) => (isTight && column < keys ? cutColumns(cell, keyColumnsMax) : cell)),
  );
  const keyWidths = widths.slice(0, keys).map((width) => (isTight ? Math.min(width, keyColumnsMax) : width));
  return partsOf(widths, { keys, room: columns - sum(keyWidths) - GAP * keys }).flatMap((part, index) => {
    const shown = [...widths.slice(0, keys).keys(), ...part];
    const lines = textTable(
      cut.map((row) => shown.map((column) => row[column] ?? "")),
      {
        right: right.map((column) => shown.indexOf(column)),
        paint: (cell, column, row) => paint(cell, shown[column] as number, row),
      },
    );
    return index === 0 ? lines : ["", ...lines];
  });
}

/** The columns behind the keys, in parts that fit into the room. */
function partsOf(widths: readonly number[], { keys, room }: { keys: number; room: number }): number[][] {
  const parts: number[][] = [[]];
  let left = room + GAP;
  for (const column of widths.keys()) {
    if (column < keys) continue;
    const wanted = (widths[column] as number) + GAP;
    if (wanted > left && parts.at(-1)?.length !== 0) {
      parts.push([]);
      left = room + GAP;
    }
    left -= wanted;
    parts.at(-1)?.push(column);
  }
  return parts;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

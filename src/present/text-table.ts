import { columnsOf } from "./text-width.ts";

/**
 * Rows as lines of aligned columns, two spaces apart; the last column is not padded. Colours are added by `paint`,
 * after padding.
 */
export function textTable(
  rows: readonly (readonly string[])[],
  {
    paint = (cell) => cell,
    right = [],
  }: { paint?: (cell: string, column: number, row: number) => string; right?: readonly number[] } = {},
): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, columnsOf(cell));
  return rows.map((row, rowIndex) =>
    row
      .map((cell, column) => {
        const gap = " ".repeat((widths[column] as number) - columnsOf(cell));
        const painted = paint(cell, column, rowIndex);
        if (right.includes(column)) return gap + painted;
        return column === row.length - 1 ? painted : painted + gap;
      })
      .join("  ")
      .trimEnd(),
  );
}

export function count(number: number, one: string, many: string): string {
  return `${number} ${number === 1 ? one : many}`;
}

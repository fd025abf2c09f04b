/** Where rows are put away until somebody asks for them again: in memory, or in a file. */
export interface RowStore<Row> {
  /** The slot under which the row is found again. */
  add(row: Row): number;
  get(slot: number): Row;
}

export function rowsInMemory<Row>(): RowStore<Row> {
  const rows: Row[] = [];
  return { add: (row) => rows.push(row) - 1, get: (slot) => rows[slot] as Row };
}

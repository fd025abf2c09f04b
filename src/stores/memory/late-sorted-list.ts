import { SortedList } from "./sorted-list.ts";

/**
 * A sorted list whose new rows are put into their order when somebody reads it. Most rows of a storm are gone by then:
 * an effect that this process has just committed ends before the outbox is polled, and nobody lists what is not at rest
 * meanwhile. Ordering them at once took a tenth of the time of a storm whose alerts all execute.
 *
 * A row is added once, until it has been removed.
 */
export class LateSortedList<Row> {
  readonly #compare: (left: Row, right: Row) => number;
  readonly #keyOf: (row: Row) => string;
  readonly #sorted: SortedList<Row>;
  #added = new Map<string, Row>();

  /** `keyOf`: what tells rows apart. */
  constructor(compare: (left: Row, right: Row) => number, keyOf: (row: Row) => string) {
    this.#compare = compare;
    this.#keyOf = keyOf;
    this.#sorted = new SortedList(compare);
  }

  get size(): number {
    return this.#added.size + this.#sorted.size;
  }

  has(row: Row): boolean {
    return this.#added.has(this.#keyOf(row)) || (this.#sorted.size > 0 && this.#sorted.has(row));
  }

  add(row: Row): void {
    this.#added.set(this.#keyOf(row), row);
  }

  /** Removes the row that has the same key and compares as equal; false: there is none. */
  remove(row: Row): boolean {
    return this.#added.delete(this.#keyOf(row)) || (this.#sorted.size > 0 && this.#sorted.remove(row));
  }

  /** Rows strictly after `after`, or all, in ascending order. The collection must not change meanwhile. */
  ascending(after?: Row): Generator<Row> {
    return this.#ordered().ascending(after);
  }

  /** Rows strictly before `before`, or all, in descending order. The collection must not change meanwhile. */
  descending(before?: Row): Generator<Row> {
    return this.#ordered().descending(before);
  }

  /** Those of one moment come in any order, so they are sorted among themselves first. */
  #ordered(): SortedList<Row> {
    if (this.#added.size === 0) return this.#sorted;
    const added = [...this.#added.values()].sort(this.#compare);
    this.#added = new Map();
    for (const row of added) this.#sorted.add(row);
    return this.#sorted;
  }
}

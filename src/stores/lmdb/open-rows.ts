/**
 * What is not at rest, by what it is found under. `o<under><creation><id>`: nothing; over all partitions, in the order
 * of lists.
 */
import type { InstanceWrite } from "../store.ts";
import type { CreatedAt } from "../store-rules.ts";
import { AFTER_ALL, numberOf, part, sortable } from "./row-keys.ts";
import { type ReadRows, takeRows, type WriteRows } from "./rows.ts";

const NUMBER_DIGITS = 16;

type Change = Pick<InstanceWrite, "id" | "createdAtMs" | "openUnder" | "wasOpenUnder">;

export class OpenRows {
  readonly #table: string;

  constructor(prefix: string) {
    this.#table = `${prefix}o`;
  }

  change(rows: WriteRows, { id, createdAtMs, openUnder = [], wasOpenUnder = [] }: Change): void {
    for (const under of wasOpenUnder) rows.remove(this.#key(under, { id, createdAtMs }));
    for (const under of openUnder) rows.put(this.#key(under, { id, createdAtMs }), "");
  }

  /** Newest first, at most `limit`, strictly behind `before`. */
  newest(
    rows: ReadRows,
    { under, limit, before }: { under: string; limit: number; before: CreatedAt | undefined },
  ): CreatedAt[] {
    const from = `${this.#table}${part(under)}`;
    const to = before === undefined ? `${from}${AFTER_ALL}` : this.#key(under, before);
    return takeRows(rows.descending(from, to), limit).map(({ key }) => ({
      id: key.slice(from.length + NUMBER_DIGITS),
      createdAtMs: numberOf(key.slice(from.length, from.length + NUMBER_DIGITS)),
    }));
  }

  count(rows: ReadRows, under: string): number {
    const from = `${this.#table}${part(under)}`;
    let count = 0;
    for (const _ of rows.ascending(from, `${from}${AFTER_ALL}`)) count += 1;
    return count;
  }

  #key(under: string, { id, createdAtMs }: CreatedAt): string {
    return `${this.#table}${part(under)}${sortable(createdAtMs)}${id}`;
  }
}

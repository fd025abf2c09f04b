/**
 * Rows that name by their keys when something ends: `<table><end><name>`. Looking for ended ones reads a range, so it is
 * done seldom and takes many at once: a commit that looked for itself alone would cost several times as much.
 */
import { AFTER_ALL, numberOf, sortable } from "./row-keys.ts";
import { type ReadRows, type Row, takeRows } from "./rows.ts";

const NUMBER_DIGITS = 16;
/** Unless the last look left some behind. */
const LOOK_EVERY_MS = 1_000;

export class EndedRows {
  readonly #table: string;
  readonly #countMax: number;
  /** No row has to be dropped before; a process that has just begun to write looks. One process writes a table. */
  #lookAtMs = Number.NEGATIVE_INFINITY;
  /** Where the next look begins: behind what the last one has taken, which may not be off the disk yet. */
  #from: string;

  /** `countMax`: how many one look takes. */
  constructor(table: string, { countMax }: { countMax: number }) {
    this.#table = table;
    this.#from = table;
    this.#countMax = countMax;
  }

  /** The key of a row that is about to be put. */
  keyOf(endMs: number, name: string): string {
    const key = `${this.#table}${sortable(endMs)}${name}`;
    if (endMs < this.#lookAtMs) this.#lookAtMs = endMs;
    if (key < this.#from) this.#from = this.#table;
    return key;
  }

  /** What stands behind the end in a row's key. */
  nameIn({ key }: Row): string {
    return key.slice(this.#table.length + NUMBER_DIGITS);
  }

  /** Those that have ended and are to be dropped, the earliest first. Mostly it does not look. */
  take(rows: ReadRows, nowMs: number): readonly Row[] {
    if (nowMs < this.#lookAtMs) return [];
    const to = `${this.#table}${sortable(nowMs)}${AFTER_ALL}`;
    const ended = takeRows(rows.ascending(this.#from, to), this.#countMax);
    if (ended.length === this.#countMax) {
      this.#lookAtMs = nowMs;
      this.#from = `${ended.at(-1)?.key}\0`;
    } else {
      this.#lookAtMs = this.#nextLook(rows, to, nowMs);
      // Those of a transaction that failed are there again.
      this.#from = this.#table;
    }
    return ended;
  }

  #nextLook(rows: ReadRows, to: string, nowMs: number): number {
    const [next] = takeRows(rows.ascending(to, `${this.#table}${AFTER_ALL}`), 1);
    if (next === undefined) return Number.POSITIVE_INFINITY;
    const endMs = numberOf(next.key.slice(this.#table.length, this.#table.length + NUMBER_DIGITS));
    return Math.max(endMs, nowMs + LOOK_EVERY_MS);
  }
}

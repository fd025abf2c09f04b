/**
 * Keys that live for a while after their last renewal, each with fields. `X<key>`: when it ends. `E<end><key>`: the
 * same, by time. `x<key><field>`: a value. What has ended counts as gone at once, and is dropped later.
 */
import { AFTER_ALL, numberOf, part, sortable } from "./row-keys.ts";
import { type ReadRows, removeRange, takeRows, type WriteRows } from "./rows.ts";

const NUMBER_DIGITS = 16;
/** Keys that one commit drops. */
const FORGOTTEN_COUNT_MAX = 64;

export class ExpiringRows {
  readonly #prefix: string;

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** Lives `ttlMs` from now. Comes before anything is put into it. */
  renew(rows: WriteRows, key: string, { ttlMs, nowMs }: { ttlMs: number; nowMs: number }): void {
    const name = part(key);
    const old = rows.get(`${this.#prefix}X${name}`);
    const end = sortable(nowMs + ttlMs);
    if (old === end) return;
    if (old !== undefined && numberOf(old) <= nowMs) this.#drop(rows, name, old);
    else if (old !== undefined) rows.remove(`${this.#prefix}E${old}${name}`);
    rows.put(`${this.#prefix}X${name}`, end);
    rows.put(`${this.#prefix}E${end}${name}`, "");
  }

  get(rows: ReadRows, { key, field = "" }: { key: string; field?: string }, nowMs: number): string | undefined {
    return this.#isAlive(rows, key, nowMs) ? rows.get(`${this.#fields(key)}${field}`) : undefined;
  }

  put(rows: WriteRows, { key, field = "" }: { key: string; field?: string }, value: string): void {
    rows.put(`${this.#fields(key)}${field}`, value);
  }

  remove(rows: WriteRows, { key, field }: { key: string; field: string }): void {
    rows.remove(`${this.#fields(key)}${field}`);
  }

  /** Fields that start with `from`, up to those before `to`, in their order. */
  fields(
    rows: ReadRows,
    { key, from = "", to = AFTER_ALL }: { key: string; from?: string; to?: string },
    nowMs: number,
  ): { field: string; value: string }[] {
    if (!this.#isAlive(rows, key, nowMs)) return [];
    const start = this.#fields(key);
    return [...rows.ascending(`${start}${from}`, `${start}${to}`)].map((row) => ({
      field: row.key.slice(start.length),
      value: row.value,
    }));
  }

  /** Drops some of what has ended. */
  forget(rows: WriteRows, nowMs: number): void {
    const from = `${this.#prefix}E`;
    const ended = takeRows(rows.ascending(from, `${from}${sortable(nowMs)}${AFTER_ALL}`), FORGOTTEN_COUNT_MAX);
    for (const { key } of ended)
      this.#drop(rows, key.slice(from.length + NUMBER_DIGITS), key.slice(from.length, from.length + NUMBER_DIGITS));
  }

  #isAlive(rows: ReadRows, key: string, nowMs: number): boolean {
    const end = rows.get(`${this.#prefix}X${part(key)}`);
    return end !== undefined && numberOf(end) > nowMs;
  }

  #drop(rows: WriteRows, name: string, end: string): void {
    rows.remove(`${this.#prefix}X${name}`);
    rows.remove(`${this.#prefix}E${end}${name}`);
    removeRange(rows, `${this.#prefix}x${name}`, `${this.#prefix}x${name}${AFTER_ALL}`);
  }

  #fields(key: string): string {
    return `${this.#prefix}x${part(key)}`;
  }
}

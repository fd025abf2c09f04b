/**
 * Instances. The texts lie in the order of creation, a partition after the other, so that new ones fill page after page
 * and a list reads them as they lie; a small row by id says where.
 *
 * `i<id>`: `<creation> <touched>`. `c<partition><creation><id>`: a line `<version> <checkpoint>`, then the history
 * lines of the instance's first commit. `h<partition><creation><id>\0<version>`: the lines that a later commit added.
 */

import { lineAfterFirst, withBirth } from "../local-stores.ts";
import type { InstanceWrite, StoredInstance, StrayInstance } from "../store.ts";
import { type CreatedAt, compareCreated, invalid } from "../store-rules.ts";
import { AFTER_ALL, numberOf, sortable, twoDigits } from "./row-keys.ts";
import { type ReadRows, type Row, removeRange, takeRows, type WriteRows } from "./rows.ts";

const NUMBER_DIGITS = 16;
/** An id is the last part of a key. */
const ID_BYTES_MAX = 512;

type Place = { readonly created: string; readonly touched: string };

export class InstanceRows {
  readonly #prefix: string;

  /** `prefix`: of the namespace. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  read(rows: ReadRows, id: string, { births = false } = {}): StoredInstance | undefined {
    const text = this.#text(rows, id);
    if (text === undefined) return undefined;
    return withBirth(toStored(id, text), births ? lineAfterFirst(text) : undefined);
  }

  isExpected(rows: ReadRows, { id, expectedVersion, expectedHead }: InstanceWrite): boolean {
    const stored = this.read(rows, id);
    if ((stored?.version ?? 0) !== expectedVersion) return false;
    return expectedHead === null || stored === undefined || stored.value.startsWith(`${expectedHead} `);
  }

  /** Writes what `isExpected` has accepted. */
  write(rows: WriteRows, write: InstanceWrite, partition: number): void {
    const { id, head, body, historyLines } = write;
    if (write.expectedVersion === 0) {
      const created = sortable(write.createdAtMs);
      rows.put(this.#idKey(id), `${created} `);
      rows.put(this.#textKey(partition, created, id), ["1 ".concat(head, " ", body), ...historyLines].join("\n"));
      return;
    }
    const { created } = this.#place(rows, id) as Place;
    const key = this.#textKey(partition, created, id);
    const old = rows.get(key) as string;
    const version = write.expectedVersion + 1;
    const end = old.indexOf("\n");
    rows.put(key, `${version} ${head} ${body}${end === -1 ? "" : old.slice(end)}`);
    if (historyLines.length === 0) return;
    rows.put(`${this.#historyKey(partition, created, id)}${sortable(version)}`, historyLines.join("\n"));
  }

  history(rows: ReadRows, id: string): string[] | null {
    const place = this.#place(rows, id);
    if (place === null) return null;
    const partition = partitionOf(id);
    const text = rows.get(this.#textKey(partition, place.created, id)) as string;
    const from = this.#historyKey(partition, place.created, id);
    const later = [...rows.ascending(from, `${from}${AFTER_ALL}`)].flatMap(({ value }) => value.split("\n"));
    return [...text.split("\n").slice(1), ...later];
  }

  touch(rows: WriteRows, id: string, atMs: number): void {
    const place = this.#place(rows, id);
    if (place === null) return;
    const touched = sortable(atMs);
    if (touched > place.touched) rows.put(this.#idKey(id), `${place.created} ${touched}`);
  }

  touchedAtMs(rows: ReadRows, id: string): number | null {
    const touched = this.#place(rows, id)?.touched ?? "";
    return touched === "" ? null : numberOf(touched);
  }

  /** Newest first over all partitions, at most `limit`, strictly behind `before`. */
  newest(
    rows: ReadRows,
    { partitions, limit, before }: { partitions: number; limit: number; before: CreatedAt | undefined },
  ): (CreatedAt & { stored: StoredInstance })[] {
    const found = Array.from({ length: partitions }, (_, partition) => {
      const from = this.#tableKey(partition);
      return takeRows(rows.descending(from, this.#upTo(partition, before)), limit);
    });
    return found
      .flat()
      .map((row) => this.#toCreated(row))
      .sort((left, right) => compareCreated(right, left))
      .slice(0, limit);
  }

  /** Of a partition, oldest first, strictly behind `after`. */
  oldest(
    rows: ReadRows,
    { partition, limit, after }: { partition: number; limit: number; after: CreatedAt | undefined },
  ): CreatedAt[] {
    const table = this.#tableKey(partition);
    const from = after === undefined ? table : `${this.#textKey(partition, sortable(after.createdAtMs), after.id)}\0`;
    return takeRows(rows.ascending(from, `${table}${AFTER_ALL}`), limit).map((row) => {
      const { id, createdAtMs } = this.#toCreated(row);
      return { id, createdAtMs };
    });
  }

  /** Rows by id without a text, and the reverse. */
  strays(rows: ReadRows): StrayInstance[] {
    const [ids, texts] = [`${this.#prefix}i`, `${this.#prefix}c`];
    const gone = Array.from(rows.ascending(texts, `${texts}${AFTER_ALL}`), (row) => this.#toCreated(row).id).filter(
      (id) => this.#text(rows, id) === undefined,
    );
    const unlisted = Array.from(rows.ascending(ids, `${ids}${AFTER_ALL}`), ({ key }) => key.slice(ids.length)).filter(
      (id) => this.#text(rows, id) === undefined,
    );
    return [
      ...gone.map((id) => ({ id, what: "gone" as const })),
      ...unlisted.map((id) => ({ id, what: "unlisted" as const })),
    ];
  }

  remove(rows: WriteRows, id: string, version: number): boolean {
    const place = this.#place(rows, id);
    if (place === null || this.read(rows, id)?.version !== version) return false;
    const partition = partitionOf(id);
    rows.remove(this.#idKey(id));
    rows.remove(this.#textKey(partition, place.created, id));
    const history = this.#historyKey(partition, place.created, id);
    removeRange(rows, history, `${history}${AFTER_ALL}`);
    return true;
  }

  /** Where an instance before `before` may lie in a partition: its own key is not among them. */
  #upTo(partition: number, before: CreatedAt | undefined): string {
    if (before === undefined) return `${this.#tableKey(partition)}${AFTER_ALL}`;
    return this.#textKey(partition, sortable(before.createdAtMs), before.id);
  }

  #place(rows: ReadRows, id: string): Place | null {
    if (!isUsable(id)) return null;
    const text = rows.get(this.#idKey(id));
    if (text === undefined) return null;
    return { created: text.slice(0, NUMBER_DIGITS), touched: text.slice(NUMBER_DIGITS + 1) };
  }

  #text(rows: ReadRows, id: string): string | undefined {
    const place = this.#place(rows, id);
    return place === null ? undefined : rows.get(this.#textKey(partitionOf(id), place.created, id));
  }

  #toCreated({ key, value }: Row): CreatedAt & { stored: StoredInstance } {
    const at = this.#prefix.length + 3;
    const id = key.slice(at + NUMBER_DIGITS);
    return { id, createdAtMs: numberOf(key.slice(at, at + NUMBER_DIGITS)), stored: toStored(id, value) };
  }

  #idKey(id: string): string {
    return `${this.#prefix}i${id}`;
  }

  #tableKey(partition: number): string {
    return `${this.#prefix}c${twoDigits(partition)}`;
  }

  #textKey(partition: number, created: string, id: string): string {
    return `${this.#tableKey(partition)}${created}${id}`;
  }

  #historyKey(partition: number, created: string, id: string): string {
    return `${this.#prefix}h${twoDigits(partition)}${created}${id}\0`;
  }
}

/** @throws BECALM_ARGUMENT_INVALID for an id that no key can hold. */
export function requireUsableId(id: string): void {
  if (!isUsable(id)) throw invalid(`The instance id ${JSON.stringify(id)} is too long, or holds a zero character.`);
}

function isUsable(id: string): boolean {
  return !id.includes("\0") && (id.length < ID_BYTES_MAX / 4 || Buffer.byteLength(id) <= ID_BYTES_MAX);
}

/** Ids of stored instances were checked when they were written. */
function partitionOf(id: string): number {
  return Number(id.slice(0, 2));
}

function toStored(id: string, text: string): StoredInstance {
  const space = text.indexOf(" ");
  const end = text.indexOf("\n");
  return {
    id,
    version: Number(text.slice(0, space)),
    value: end === -1 ? text.slice(space + 1) : text.slice(space + 1, end),
  };
}

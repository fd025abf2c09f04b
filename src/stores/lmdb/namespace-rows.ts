/**
 * Namespaces of a file and what each has as a whole. `n<namespace>`: what it is, and the number that its other keys
 * start with. `<number>:p<key>`: a policy, its key before it.
 */
import { BecalmError } from "../../model/errors.ts";
import { compareCodePoints } from "../../model/utf8.ts";
import { NAMESPACE_FORMAT, type NamespaceInfo, type NamespaceMode, type PolicyRecord } from "../store.ts";
import { AFTER_ALL, part } from "./row-keys.ts";
import type { ReadRows, WriteRows } from "./rows.ts";

type Stored = NamespaceInfo & { readonly number: number };

export type Namespace = {
  readonly info: NamespaceInfo;
  /** What every other key of the namespace starts with. */
  readonly prefix: string;
};

const TABLE = "n";
/** The last number that was given. */
const COUNT_KEY = "!numbers";

export class NamespaceRows {
  readonly #name: string;
  readonly #key: string;

  constructor(name: string) {
    this.#name = name;
    this.#key = `${TABLE}${name}`;
  }

  read(rows: ReadRows): Namespace | null {
    const text = rows.get(this.#key);
    return text === undefined ? null : namespaceOf(JSON.parse(text) as Stored);
  }

  /** What is there stays as it is. */
  create(rows: WriteRows, { mode, partitions }: { mode: NamespaceMode; partitions: number }): Namespace {
    const found = this.read(rows);
    if (found !== null) return found;
    const stored: Stored = {
      number: nextNumber(rows),
      mode,
      partitions,
      highestTimeMs: null,
      format: NAMESPACE_FORMAT,
    };
    rows.put(this.#key, JSON.stringify(stored));
    return namespaceOf(stored);
  }

  raiseFormat(rows: WriteRows, to: number): number {
    const stored = this.#stored(rows);
    const format = Math.max(stored.format, to);
    rows.put(this.#key, JSON.stringify({ ...stored, format }));
    return format;
  }

  advanceTime(rows: WriteRows, toMs: number): number {
    const stored = this.#stored(rows);
    const highestTimeMs = Math.max(stored.highestTimeMs ?? toMs, toMs);
    rows.put(this.#key, JSON.stringify({ ...stored, highestTimeMs }));
    return highestTimeMs;
  }

  #stored(rows: ReadRows): Stored {
    const text = rows.get(this.#key);
    if (text !== undefined) return JSON.parse(text) as Stored;
    throw new BecalmError("BECALM_STORE_FAILED", `The namespace "${this.#name}" is gone: somebody removed it.`);
  }
}

/** All of a file. */
export function namespaceNames(rows: ReadRows): string[] {
  return Array.from(rows.ascending(TABLE, `${TABLE}${AFTER_ALL}`), ({ key }) => key.slice(TABLE.length));
}

/** A number that no namespace or stream of the file has. */
export function nextNumber(rows: WriteRows): number {
  const number = Number(rows.get(COUNT_KEY) ?? "0") + 1;
  rows.put(COUNT_KEY, `${number}`);
  return number;
}

function namespaceOf({ number, ...info }: Stored): Namespace {
  return { info, prefix: prefixOf(number) };
}

export function prefixOf(number: number): string {
  return `${number}:`;
}

export class PolicyRows {
  readonly #table: string;

  constructor(prefix: string) {
    this.#table = `${prefix}p`;
  }

  /** What is there stays as it is. */
  save(rows: WriteRows, entries: readonly PolicyRecord[]): void {
    for (const { key, value } of entries) {
      const rowKey = `${this.#table}${part(key)}`;
      if (rows.get(rowKey) === undefined) rows.put(rowKey, `${key.length} ${key}${value}`);
    }
  }

  all(rows: ReadRows): PolicyRecord[] {
    const found = [...rows.ascending(this.#table, `${this.#table}${AFTER_ALL}`)].map(({ value: text }) => {
      const space = text.indexOf(" ");
      const end = space + 1 + Number(text.slice(0, space));
      return { key: text.slice(space + 1, end), value: text.slice(end) };
    });
    return found.sort((left, right) => compareCodePoints(left.key, right.key));
  }
}

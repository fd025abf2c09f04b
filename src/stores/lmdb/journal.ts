/**
 * A journal of rows that lie scattered. Instances by id and records of episodes have hashes for keys, so each new one
 * is on another page, and a page of 8 KB was written for every row of 60 bytes: four fifths of all that a storm wrote
 * (docs/decisions/lmdb-journal.md).
 *
 * `!journal<number>`: such rows of one transaction, in the order of the transactions. They are in memory too, in front
 * of their tables, and go there later, the neighbours of thousands together; then the journal's row is dropped. The
 * newest row of a key counts.
 *
 * J1: a transaction writes its scattered rows to the journal only, so that it is durable with one row more.
 * J2: rows of the journal are dropped when every row that they hold has been put into its table, or is in a later row
 * of the journal. J3: memory follows what is committed: it changes when a transaction is durable, and is made anew from
 * the journal by whoever opens the file. J4: memory and tables are looked at as one and the same transaction left them.
 */
import { compareCodePoints } from "../../model/utf8.ts";
import { AFTER_ALL } from "./row-keys.ts";
import { type ReadRows, takeRows } from "./rows.ts";
import { type Change, rowsInFront } from "./rows-in-front.ts";

const TABLE = "!journal";
const TABLE_END = `${TABLE}${AFTER_ALL}`;
/**
 * Rows in memory from which on they are put into their tables: some 10 MB, and a fifth of a second to read again after
 * a kill.
 */
const COUNT_MAX = 32_768;
/** Rows of the journal that one transaction drops. */
const DROPPED_COUNT_MAX = 256;
/** A journal that is begun has numbers from the time of its beginning on. */
const NUMBERS_PER_MS = 1_000;
const NUMBER_DIGITS = 16;
/** What follows the number of a namespace and names its tables: `i` instances by id, `s` episodes. */
const [COLON, INSTANCES, EPISODES] = [":", "i".charCodeAt(0), "s".charCodeAt(0)] as const;

/** What a transaction writes, and what follows when that is durable. */
export type Plan = { readonly writes: readonly Change[]; readonly durable: () => void };

/** Rows of one partition of a table, which lie together. */
type Bucket = Map<string, string | null>;

export class Journal {
  readonly #countMax: number;
  readonly #buckets = new Map<string, Bucket>();
  #count = 0;
  /** Numbers of the journal's first row, and of the one that it does not have yet. */
  #first = 0;
  #next = 0;
  /** Buckets that are not in their tables yet, and up to which number the journal is not needed when they are. */
  #emptying: { readonly left: string[]; readonly before: number } | null = null;
  /** The last plan, while it is not known here to be durable, and the row that is there when it is. */
  #planned: { readonly key: string; readonly durable: () => void } | null = null;

  constructor({ countMax = COUNT_MAX }: { countMax?: number } = {}) {
    this.#countMax = countMax;
  }

  /** Reads what the journal has got since the last time. */
  load(rows: ReadRows): void {
    const [first] = takeRows(rows.ascending(TABLE, TABLE_END), 1);
    const [last] = takeRows(rows.descending(TABLE, TABLE_END), 1);
    if (first === undefined || last === undefined) {
      // Numbers never come again: by them a reader knows what it has read.
      this.#forget(Math.max(this.#next, Date.now() * NUMBERS_PER_MS));
      return;
    }
    if (numberIn(first.key) !== this.#first) this.#forget(numberIn(first.key));
    if (numberIn(last.key) < this.#next) return;
    for (const { value } of rows.ascending(rowKey(this.#next), TABLE_END)) this.#absorb(decode(value));
    this.#next = numberIn(last.key) + 1;
  }

  /** The rows as they are: what is in the journal, in front of `tables`. */
  over(tables: ReadRows): ReadRows {
    return rowsInFront(tables, {
      get: (key) => (isScattered(key) ? this.#buckets.get(bucketOf(key))?.get(key) : undefined),
      near: (from, to) => this.#near(from, to),
    });
  }

  /** For a transaction with these changes. One plan is made after the other was durable, or has failed. */
  plan(changes: Iterable<Change>): Plan {
    const writes: Change[] = [];
    const scattered: Change[] = [];
    for (const change of changes) (isScattered(change[0]) ? scattered : writes).push(change);
    if (scattered.length > 0) writes.push([rowKey(this.#next), encode(scattered)]);
    const emptied = this.#empty(writes);
    const planned = {
      key: rowKey(this.#next),
      durable: () => {
        if (this.#planned !== planned) return;
        this.#planned = null;
        emptied();
        if (scattered.length > 0) this.#next += 1;
        this.#absorb(scattered);
      },
    };
    this.#planned = planned;
    return { writes, durable: planned.durable };
  }

  /**
   * Before the writer's process reads: its tables may show the planned transaction already, whose end is reported a
   * moment later.
   */
  catchUp(tables: ReadRows): void {
    if (this.#planned !== null && tables.get(this.#planned.key) !== undefined) this.#planned.durable();
  }

  /** Puts all rows into their tables and drops the journal, so that the file is what it is without one. */
  planOfEnd(): Plan {
    const dropped = this.#dropped(this.#next, Number.POSITIVE_INFINITY);
    return { writes: [...this.#near("", AFTER_ALL), ...dropped], durable: () => this.#forget(this.#next) };
  }

  /** Adds to `writes` what empties the journal a little, if it is full. Gives what follows when that is durable. */
  #empty(writes: Change[]): () => void {
    if (this.#emptying === null && this.#count >= this.#countMax)
      this.#emptying = { left: [...this.#buckets.keys()], before: this.#next };
    const emptying = this.#emptying;
    if (emptying === null) return () => {};
    const name = emptying.left.at(-1);
    if (name !== undefined) {
      const rows = [...(this.#buckets.get(name) ?? [])].sort(([left], [right]) => (left < right ? -1 : 1));
      for (const row of rows) writes.push(row);
      return () => {
        emptying.left.pop();
        this.#count -= rows.length;
        this.#buckets.delete(name);
      };
    }
    const dropped = this.#dropped(emptying.before, DROPPED_COUNT_MAX);
    for (const row of dropped) writes.push(row);
    return () => {
      this.#first += dropped.length;
      if (this.#first === emptying.before) this.#emptying = null;
    };
  }

  /** What drops rows of the journal, from the first on. */
  #dropped(before: number, limit: number): Change[] {
    const count = Math.min(before - this.#first, limit);
    return Array.from({ length: count }, (_, at): Change => [rowKey(this.#first + at), null]);
  }

  #absorb(rows: Iterable<Change>): void {
    for (const [key, value] of rows) {
      const name = bucketOf(key);
      let bucket = this.#buckets.get(name);
      if (bucket === undefined) {
        bucket = new Map();
        this.#buckets.set(name, bucket);
      }
      const before = bucket.size;
      bucket.set(key, value);
      this.#count += bucket.size - before;
    }
  }

  #forget(first: number): void {
    this.#buckets.clear();
    this.#count = 0;
    this.#emptying = null;
    this.#first = first;
    this.#next = first;
  }

  /**
   * Rows of the buckets that the keys between the two may be in. Most ranges are of tables that no row here belongs to.
   */
  *#near(from: string, to: string): Generator<Change> {
    for (const [name, bucket] of this.#buckets)
      if (compareCodePoints(name, to) < 0 && (from.startsWith(name) || compareCodePoints(from, name) <= 0))
        yield* bucket;
  }
}

function isScattered(key: string): boolean {
  const at = key.indexOf(COLON) + 1;
  const table = key.charCodeAt(at);
  return at > 0 && (table === INSTANCES || table === EPISODES);
}

/** `<number>:<table><partition>`. */
function bucketOf(key: string): string {
  return key.slice(0, key.indexOf(COLON) + 4);
}

function rowKey(number: number): string {
  return `${TABLE}${String(number).padStart(NUMBER_DIGITS, "0")}`;
}

function numberIn(key: string): number {
  return Number(key.slice(TABLE.length));
}

/** `<length of the key> <length of the value> <key><value>` a row; a removed one has the length -1. */
function encode(rows: readonly Change[]): string {
  let text = "";
  for (const [key, value] of rows) text += `${key.length} ${value === null ? -1 : value.length} ${key}${value ?? ""}`;
  return text;
}

function* decode(text: string): Generator<Change> {
  for (let at = 0; at < text.length; ) {
    const keyLengthEnd = text.indexOf(" ", at);
    const valueLengthEnd = text.indexOf(" ", keyLengthEnd + 1);
    const keyEnd = valueLengthEnd + 1 + Number(text.slice(at, keyLengthEnd));
    const valueLength = Number(text.slice(keyLengthEnd + 1, valueLengthEnd));
    at = keyEnd + Math.max(valueLength, 0);
    yield [text.slice(valueLengthEnd + 1, keyEnd), valueLength === -1 ? null : text.slice(keyEnd, at)];
  }
}

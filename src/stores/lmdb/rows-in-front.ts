/** Rows in memory in front of others: whoever reads sees the newest of each. */
import { compareCodePoints } from "../../model/utf8.ts";
import type { ReadRows, Row } from "./rows.ts";

/** null: the row is removed. */
export type Change = readonly [key: string, value: string | null];

export type FrontRows = {
  /** undefined: what is behind counts. */
  get(key: string): string | null | undefined;
  /** Those with a key between the two, and perhaps others, in any order. */
  near(from: string, to: string): Iterable<Change>;
};

export function rowsInFront(behind: ReadRows, front: FrontRows): ReadRows {
  return {
    get: (key) => {
      const own = front.get(key);
      return own === undefined ? behind.get(key) : (own ?? undefined);
    },
    ascending: (from, to) => {
      const isIn = (key: string) => compareCodePoints(key, from) >= 0 && compareCodePoints(key, to) < 0;
      const own = where(front.near(from, to), { start: sharedStart(from, to), isIn });
      const stored = behind.ascending(from, to);
      return own.length === 0 ? stored : merged(stored, own, compareCodePoints);
    },
    descending: (from, to) => {
      const isIn = (key: string) => compareCodePoints(key, from) > 0 && compareCodePoints(key, to) < 0;
      const own = where(front.near(from, to), { start: sharedStart(from, to), isIn });
      const stored = behind.descending(from, to);
      return own.length === 0 ? stored : merged(stored, own, (left, right) => compareCodePoints(right, left));
    },
  };
}

type Range = { readonly start: string; readonly isIn: (key: string) => boolean };

/** Most changes are of other tables: how a key starts says so, and costs the least. */
function where(changes: Iterable<Change>, { start, isIn }: Range): Change[] {
  const found: Change[] = [];
  for (const change of changes) if (change[0].startsWith(start) && isIn(change[0])) found.push(change);
  return found;
}

/** What every key between the two starts with. */
function sharedStart(from: string, to: string): string {
  let length = 0;
  while (length < from.length && from.charCodeAt(length) === to.charCodeAt(length)) length += 1;
  return from.slice(0, length);
}

type Compare = (left: string, right: string) => number;

/** Both in the order of `compare`; of two with one key, the change. */
function* merged(stored: Iterable<Row>, own: Change[], compare: Compare): Generator<Row> {
  const changes = own.sort(([left], [right]) => compare(left, right));
  let at = 0;
  for (const row of stored) {
    let isChanged = false;
    for (; at < changes.length; at += 1) {
      const [key, value] = changes[at] as Change;
      const order = compare(key, row.key);
      if (order > 0) break;
      if (order === 0) isChanged = true;
      if (value !== null) yield { key, value };
    }
    if (!isChanged) yield row;
  }
  for (const [key, value] of changes.slice(at)) if (value !== null) yield { key, value };
}

/**
 * Groups with their ordered sets. `g<partition><group>`: `<version> <end> <value>`; the end is when it is to be
 * dropped. `e<end><partition><group>`: the key of a group that ends. `w` and `d` (waiters, held)
 * `<partition><group><order><id>`: the id; `W` and `D` `<partition><group><id>`: its order.
 */
import type { Commit, MemberSet } from "../store.ts";
import { NextEnd } from "./next-end.ts";
import { AFTER_ALL, numberOf, part, sortable, twoDigits } from "./row-keys.ts";
import { type ReadRows, type Row, removeRange, takeRows, type WriteRows } from "./rows.ts";

const ORDERED: Readonly<Record<MemberSet, string>> = { waiters: "w", held: "d" };
const BY_ID: Readonly<Record<MemberSet, string>> = { waiters: "W", held: "D" };
const SETS = Object.keys(ORDERED) as MemberSet[];
const NUMBER_DIGITS = 16;
const NEVER = sortable(Infinity);
/** Groups that one commit drops. */
const FORGOTTEN_COUNT_MAX = 64;

export type StoredGroup = { readonly version: number; readonly value: string };

export class GroupRows {
  readonly #prefix: string;
  readonly #nextEnd = new NextEnd();

  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  get(rows: ReadRows, { partition, id }: { partition: number; id: string }, nowMs: number): StoredGroup | null {
    const text = rows.get(`${this.#prefix}g${nameOf(partition, id)}`);
    if (text === undefined) return null;
    const space = text.indexOf(" ");
    const end = text.slice(space + 1, space + 1 + NUMBER_DIGITS);
    if (end !== NEVER && numberOf(end) <= nowMs) return null;
    return { version: Number(text.slice(0, space)), value: text.slice(space + 2 + NUMBER_DIGITS) };
  }

  /** Writes the group's part of a commit whose version was checked. */
  write(rows: WriteRows, commit: Commit, nowMs: number): void {
    const { group, partition } = commit;
    if (group?.kind !== "write") return;
    const name = nameOf(partition, group.id);
    const key = `${this.#prefix}g${name}`;
    const old = rows.get(key);
    const oldEnd = old === undefined ? NEVER : old.slice(old.indexOf(" ") + 1).slice(0, NUMBER_DIGITS);
    // The group that this one replaces has ended and was not dropped yet.
    if (old !== undefined && group.expectedVersion === 0) this.#drop(rows, name, oldEnd);
    const end = group.ttlMs === null ? NEVER : sortable(nowMs + group.ttlMs);
    rows.put(key, `${group.expectedVersion + 1} ${end} ${group.value}`);
    if (end !== oldEnd || group.expectedVersion === 0) {
      if (oldEnd !== NEVER) rows.remove(`${this.#prefix}e${oldEnd}${name}`);
      if (end !== NEVER) rows.put(`${this.#prefix}e${end}${name}`, "");
      if (group.ttlMs !== null) this.#nextEnd.added(nowMs + group.ttlMs);
    }
    for (const { set, instanceId, order } of commit.membersAdded) this.#add(rows, name, { set, instanceId, order });
    for (const { set, instanceId } of commit.membersRemoved) this.#remove(rows, name, { set, instanceId });
  }

  members(
    rows: ReadRows,
    {
      partition,
      groupId,
      set,
      limit,
      offset,
    }: {
      partition: number;
      groupId: string;
      set: MemberSet;
      limit: number;
      offset: number;
    },
  ): string[] {
    const from = `${this.#prefix}${ORDERED[set]}${nameOf(partition, groupId)}`;
    return takeRows(rows.ascending(from, `${from}${AFTER_ALL}`), limit, offset).map(({ value }) => value);
  }

  /** Drops some of the groups that have ended. */
  forget(rows: WriteRows, nowMs: number): void {
    if (!this.#nextEnd.mayBeOver(nowMs)) return;
    const from = `${this.#prefix}e`;
    const first = takeRows(rows.ascending(from, `${from}${AFTER_ALL}`), FORGOTTEN_COUNT_MAX);
    const endOf = ({ key }: Row) => key.slice(from.length, from.length + NUMBER_DIGITS);
    const living = first.find((row) => numberOf(endOf(row)) > nowMs);
    for (const row of first) {
      if (row === living) break;
      this.#drop(rows, row.key.slice(from.length + NUMBER_DIGITS), endOf(row));
    }
    if (living !== undefined) this.#nextEnd.found(numberOf(endOf(living)));
    else if (first.length < FORGOTTEN_COUNT_MAX) this.#nextEnd.found(null);
  }

  #drop(rows: WriteRows, name: string, end: string): void {
    rows.remove(`${this.#prefix}g${name}`);
    if (end !== NEVER) rows.remove(`${this.#prefix}e${end}${name}`);
    for (const set of SETS)
      for (const table of [ORDERED[set], BY_ID[set]]) {
        const from = `${this.#prefix}${table}${name}`;
        removeRange(rows, from, `${from}${AFTER_ALL}`);
      }
  }

  /** An id that is there already keeps its order. */
  #add(rows: WriteRows, name: string, member: { set: MemberSet; instanceId: string; order: number }): void {
    const { set, instanceId, order } = member;
    const byId = `${this.#prefix}${BY_ID[set]}${name}${part(instanceId)}`;
    if (rows.get(byId) !== undefined) return;
    const digits = sortable(order);
    rows.put(byId, digits);
    rows.put(`${this.#prefix}${ORDERED[set]}${name}${digits}${part(instanceId)}`, instanceId);
  }

  #remove(rows: WriteRows, name: string, { set, instanceId }: { set: MemberSet; instanceId: string }): void {
    const byId = `${this.#prefix}${BY_ID[set]}${name}${part(instanceId)}`;
    const digits = rows.get(byId);
    if (digits === undefined) return;
    rows.remove(byId);
    rows.remove(`${this.#prefix}${ORDERED[set]}${name}${digits}${part(instanceId)}`);
  }
}

function nameOf(partition: number, groupId: string): string {
  return `${twoDigits(partition)}${part(groupId)}`;
}

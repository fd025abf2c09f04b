/**
 * Groups with their ordered sets. `g<partition><group>`: `<version> <end> <value>`; the end is when it is to be
 * dropped. `e<end><partition><group>`: the key of a group that ends. `w` and `d` (waiters, held)
 * `<partition><group><order><id>`: the id; `W` and `D` `<partition><group><id>`: its order.
 */
import type { Commit, MemberSet } from "../store.ts";
import { EndedRows } from "./ended-rows.ts";
import { AFTER_ALL, numberOf, part, sortable, twoDigits } from "./row-keys.ts";
import { type ReadRows, removeRange, takeRows, type WriteRows } from "./rows.ts";

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
  readonly #ends: EndedRows;

  constructor(prefix: string) {
    this.#prefix = prefix;
    this.#ends = new EndedRows(`${prefix}e`, { countMax: FORGOTTEN_COUNT_MAX });
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
    if (old !== undefined && group.expectedVersion === 0) this.#drop(rows, name);
    const endMs = group.ttlMs === null ? Number.POSITIVE_INFINITY : nowMs + group.ttlMs;
    const end = sortable(endMs);
    rows.put(key, `${group.expectedVersion + 1} ${end} ${group.value}`);
    if (end !== oldEnd || group.expectedVersion === 0) {
      if (oldEnd !== NEVER) rows.remove(`${this.#prefix}e${oldEnd}${name}`);
      if (end !== NEVER) rows.put(this.#ends.keyOf(endMs, name), "");
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
    for (const row of this.#ends.take(rows, nowMs)) {
      this.#drop(rows, this.#ends.nameIn(row));
      rows.remove(row.key);
    }
  }

  #drop(rows: WriteRows, name: string): void {
    rows.remove(`${this.#prefix}g${name}`);
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

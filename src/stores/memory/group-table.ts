import { compareCodePoints } from "../../model/utf8.ts";
import type { Commit } from "../store.ts";
import { LateSortedList } from "./late-sorted-list.ts";
import { SortedList, take } from "./sorted-list.ts";

type Member = { readonly id: string; readonly order: number };

/** One ordered set of a group. */
class Members {
  readonly #orders = new Map<string, Member>();
  readonly #sorted = new SortedList<Member>(
    (left, right) => left.order - right.order || compareCodePoints(left.id, right.id),
  );

  /** An id that is there already keeps its order. */
  add(id: string, order: number): void {
    if (this.#orders.has(id)) return;
    const member = { id, order };
    this.#orders.set(id, member);
    this.#sorted.add(member);
  }

  remove(id: string): void {
    const member = this.#orders.get(id);
    if (member === undefined) return;
    this.#orders.delete(id);
    this.#sorted.remove(member);
  }

  ids(limit: number, offset: number): string[] {
    return take(this.#sorted.ascending(), offset + limit)
      .slice(offset)
      .map(({ id }) => id);
  }
}

/** Most groups never have a waiter, nor one that is held. */
type Group = { version: number; value: string; untilMs: number; waiters: Members | null; held: Members | null };

type GroupEnd = { readonly key: string; readonly untilMs: number };

/** The groups, and when those with a time-to-live end. A group goes with its ordered sets. */
export class GroupTable {
  readonly #groups = new Map<string, Group>();
  readonly #ends = new LateSortedList<GroupEnd>(
    (left, right) => left.untilMs - right.untilMs || compareCodePoints(left.key, right.key),
    ({ key }) => key,
  );
  /** No group ends before this. */
  #firstEndMs = Infinity;

  get(partition: number, groupId: string, nowMs: number): Group | undefined {
    const group = this.#groups.get(keyOf(partition, groupId));
    return group !== undefined && group.untilMs > nowMs ? group : undefined;
  }

  /** Writes the group's part of a commit whose version was checked. Groups that have ended were forgotten before. */
  write(commit: Commit, write: { id: string; value: string; ttlMs: number | null }, nowMs: number): void {
    const key = keyOf(commit.partition, write.id);
    const stored = this.#groups.get(key);
    const group = stored ?? { version: 0, value: "", untilMs: Infinity, waiters: null, held: null };
    group.version += 1;
    group.value = write.value;
    this.#setEnd(key, group, write.ttlMs === null ? Infinity : nowMs + write.ttlMs);
    if (stored === undefined) this.#groups.set(key, group);
    for (const { set, instanceId, order } of commit.membersAdded) {
      group[set] ??= new Members();
      group[set].add(instanceId, order);
    }
    for (const { set, instanceId } of commit.membersRemoved) group[set]?.remove(instanceId);
  }

  /** Drops the groups that have ended. */
  forget(nowMs: number): void {
    if (nowMs < this.#firstEndMs) return;
    for (const end of take(endsUntil(this.#ends, nowMs), Infinity)) {
      this.#ends.remove(end);
      this.#groups.delete(end.key);
    }
    const [first] = take(this.#ends.ascending(), 1);
    this.#firstEndMs = first?.untilMs ?? Infinity;
  }

  #setEnd(key: string, group: Group, untilMs: number): void {
    if (group.untilMs !== Infinity) this.#ends.remove({ key, untilMs: group.untilMs });
    if (untilMs !== Infinity) this.#ends.add({ key, untilMs });
    this.#firstEndMs = Math.min(this.#firstEndMs, untilMs);
    group.untilMs = untilMs;
  }
}

function* endsUntil(ends: LateSortedList<GroupEnd>, nowMs: number): Generator<GroupEnd> {
  for (const end of ends.ascending()) {
    if (end.untilMs > nowMs) return;
    yield end;
  }
}

function keyOf(partition: number, groupId: string): string {
  return `${partition} ${groupId}`;
}

/**
 * What a group counts of those that it only skipped: how many, and a sample. Its summary tells of them; no decision
 * looks at them. So a tally is stored beside the group, and added to without being compared: two processes that skip at
 * once do not collide.
 *
 * T1 a count is a change, not a new value: changes of several commits add up in any order.
 * T2 whoever sends the summary takes the tally, and its commit is refused if somebody has counted since it was read.
 */
import { SUMMARY_SAMPLE_COUNT_MAX } from "../model/limits.ts";
import type { Group, PendingSummary } from "./group.ts";

export type Tally = { readonly count: number; readonly sample: readonly string[] };

/** `expected`: the tally as it was read; null: nothing was counted. */
export type TallyWrite =
  | {
      readonly kind: "count";
      readonly key: string;
      readonly added: readonly string[];
      readonly removed: readonly string[];
    }
  | { readonly kind: "take"; readonly key: string; readonly expected: Tally | null };

/** Of one opening of a group. */
export function tallyKey({ id }: Group, { openedAtMs }: PendingSummary): string {
  return `${id} ${openedAtMs}`;
}

/**
 * A summary with all that was counted for it: in the group, where engines of the version before counted, and beside it.
 */
export function collectedBy(summary: PendingSummary, { count, sample }: Tally): PendingSummary {
  return {
    ...summary,
    skipped: summary.skipped + count,
    sample: [...summary.sample, ...sample].slice(0, SUMMARY_SAMPLE_COUNT_MAX),
  };
}

type Changes = { readonly added: string[]; readonly removed: string[] };

/** What a batch counts, on the tallies that were read with it: of those whose summary it sends. */
export class Tallies {
  readonly #read: ReadonlyMap<string, Tally>;
  readonly #changes = new Map<string, Changes>();
  readonly #taken: TallyWrite[] = [];

  constructor(read: ReadonlyMap<string, Tally> = new Map()) {
    this.#read = read;
  }

  add(key: string, id: string): void {
    this.#changesOf(key).added.push(id);
  }

  remove(key: string, id: string): void {
    const { added, removed } = this.#changesOf(key);
    const at = added.indexOf(id);
    if (at >= 0) added.splice(at, 1);
    else removed.push(id);
  }

  /** All that was counted, what this batch has counted included (T2). */
  take(key: string): Tally {
    const expected = this.#read.get(key) ?? null;
    const { added, removed } = this.#changesOf(key);
    this.#changes.delete(key);
    this.#taken.push({ kind: "take", key, expected });
    const stored = expected ?? { count: 0, sample: [] };
    return {
      count: stored.count - removed.length + added.length,
      sample: [...stored.sample.filter((id) => !removed.includes(id)), ...added],
    };
  }

  writes(): readonly TallyWrite[] {
    if (this.#changes.size === 0) return this.#taken;
    return [
      ...this.#taken,
      ...[...this.#changes].map(([key, changes]) => ({ kind: "count" as const, key, ...changes })),
    ];
  }

  #changesOf(key: string): Changes {
    const changes = this.#changes.get(key) ?? { added: [], removed: [] };
    this.#changes.set(key, changes);
    return changes;
  }
}

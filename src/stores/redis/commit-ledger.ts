import type { Commit, LostCommit } from "../store.ts";

/** What replicas lack when their master dies is younger than this, unless the replication had stood still before. */
const KEPT_MS = 60_000;
const KEPT_COUNT_MAX = 1_024;

/** Which of some commit ids of a partition are still there. */
export type CommitsThere = (partition: number, commitIds: readonly string[]) => Promise<readonly boolean[]>;

/**
 * The last commits that were answered, by partition: when another server has taken the place of the one that answered
 * them, whatever it does not have was lost. In memory, so it tells of the commits of this process only.
 */
export class CommitLedger {
  readonly #now: () => number;
  readonly #kept = new Map<number, LostCommit[]>();

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  remember({ commitId, partition, instances }: Commit): void {
    const kept = this.#kept.get(partition) ?? [];
    if (kept.length === 0) this.#kept.set(partition, kept);
    const atMs = this.#now();
    kept.push({ commitId, partition, atMs, instanceIds: instances.map(({ id }) => id) });
    // Half at once: a commit must not pay for moving all others.
    if (kept.length > KEPT_COUNT_MAX) kept.splice(0, KEPT_COUNT_MAX / 2);
  }

  /**
   * Finds out which are gone, and forgets those. Rejects when a partition cannot be asked: nothing is forgotten then.
   */
  async lost(areThere: CommitsThere): Promise<LostCommit[]> {
    const sinceMs = this.#now() - KEPT_MS;
    const looked = [...this.#kept].map(async ([partition, all]) => {
      const kept = all.filter(({ atMs }) => atMs >= sinceMs);
      const there =
        kept.length === 0
          ? []
          : await areThere(
              partition,
              kept.map(({ commitId }) => commitId),
            );
      return kept.filter((_, index) => there[index] !== true);
    });
    const lost = (await Promise.all(looked)).flat();
    const ids = new Set(lost.map(({ commitId }) => commitId));
    for (const [partition, kept] of this.#kept)
      this.#kept.set(
        partition,
        kept.filter(({ commitId }) => !ids.has(commitId)),
      );
    return lost;
  }
}

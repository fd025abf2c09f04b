import type { Group } from "../../convergence/group.ts";
import { decodeGroup } from "../../convergence/group-codec.ts";

/** As many groups as alerts may be under way, each a group of its own. */
const GROUP_COUNT_MAX = 10_000;
/** Length of all their texts, in UTF-16 units: a group that forms with a high count has a long one. */
const UNITS_MAX = 16 * 1_024 * 1_024;

/** A group as this process read or wrote it last. */
export type CachedGroup = {
  readonly version: number;
  /** As text. */
  readonly value: string;
  /** Never changed: a decision works on a copy. */
  readonly group: Group;
  /** The last commit of this process that wrote it or found it so, applied or under way; null: it was only read. */
  readonly commitId: string | null;
};

/** Groups as this process read or wrote them last: a text that is read again is not parsed again. */
export class GroupCache {
  readonly #groups = new Map<string, CachedGroup>();
  #units = 0;

  get(id: string): CachedGroup | undefined {
    return this.#groups.get(id);
  }

  /**
   * The group that was read.
   * @throws BECALM_GROUP_UNREADABLE
   */
  decode(id: string, { version, value }: { version: number; value: string }): Group {
    const cached = this.#groups.get(id);
    const group = cached?.value === value ? cached.group : decodeGroup(id, value);
    this.set({ version, value, group, commitId: null });
    return group;
  }

  set(cached: CachedGroup): void {
    this.forget(cached.group.id);
    if (this.#groups.size >= GROUP_COUNT_MAX || this.#units + cached.value.length > UNITS_MAX) {
      this.#groups.clear();
      this.#units = 0;
    }
    this.#groups.set(cached.group.id, cached);
    this.#units += cached.value.length;
  }

  /** A commit finds the group as it is cached, and leaves it so. */
  checkedBy(commitId: string, id: string, version: number): void {
    const cached = this.#groups.get(id);
    if (cached?.version === version) this.#groups.set(id, { ...cached, commitId });
  }

  forget(id: string): void {
    this.#units -= this.#groups.get(id)?.value.length ?? 0;
    this.#groups.delete(id);
  }
}

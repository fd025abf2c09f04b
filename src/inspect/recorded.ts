/** What replays have told, kept for viewers that come later: where each instance ended. */

import type { InspectedGroup } from "./group-snapshot.ts";
import { formingGroup } from "./group-snapshot.ts";
import type { InspectedCommit, InspectedInstance, InspectSource } from "./inspected.ts";

const KEPT_COUNT_MAX = 10_000;
const PAGE_COUNT = 100;

export class Recorded implements InspectSource {
  readonly #instances = new Map<string, InspectedInstance>();
  readonly #groups = new Map<string, InspectedGroup>();

  record({ group, changes }: InspectedCommit): void {
    if (group !== null) keep(this.#groups, group.id, group);
    for (const { instance } of changes) keep(this.#instances, instance.id, instance);
  }

  forget(): void {
    this.#instances.clear();
    this.#groups.clear();
  }

  async *pages(): AsyncGenerator<readonly InspectedInstance[]> {
    const all = [...this.#instances.values()].reverse();
    for (let from = 0; from < all.length; from += PAGE_COUNT) yield all.slice(from, from + PAGE_COUNT);
  }

  async group(id: string): Promise<InspectedGroup | null> {
    return this.#groups.get(id) ?? { id, policy: "", atMs: 0, snapshot: formingGroup(null) };
  }
}

function keep<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  const oldest = map.size > KEPT_COUNT_MAX ? map.keys().next() : null;
  if (oldest !== null && oldest.done !== true) map.delete(oldest.value);
}

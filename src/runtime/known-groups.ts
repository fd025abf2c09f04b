import type { Group } from "../core/group.ts";
import { decodeGroup } from "../core/group-codec.ts";

const GROUP_COUNT_MAX = 1_000;

/**
 * Groups as they were read last, by their text. A group that has not changed, as most of a storm that converges, is not parsed again; one that
 * has changed is another text. Nothing here is ever taken for what the store has.
 */
export class KnownGroups {
  private readonly known = new Map<string, { readonly value: string; readonly group: Group }>();

  /** @throws BECALM_GROUP_UNREADABLE */
  decode(id: string, value: string): Group {
    const known = this.known.get(id);
    if (known?.value === value) return known.group;
    const group = decodeGroup(id, value);
    if (this.known.size >= GROUP_COUNT_MAX) this.known.clear();
    this.known.set(id, { value, group });
    return group;
  }
}

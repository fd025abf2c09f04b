import type { Group } from "../core/group.ts";
import { decodeGroup } from "../core/group-codec.ts";

const GROUP_COUNT_MAX = 1_000;

/**
 * Groups as they were read or committed last, by their text: one that nobody else has changed since is not parsed again, and with a high count it
 * is long. One that has changed is another text. Nothing here is ever taken for what the store has.
 */
export class KnownGroups {
  private readonly known = new Map<string, { readonly value: string; readonly group: Group }>();

  /** @throws BECALM_GROUP_UNREADABLE */
  decode(id: string, value: string): Group {
    const known = this.known.get(id);
    if (known?.value === value) return known.group;
    const group = decodeGroup(id, value);
    this.learn(value, group);
    return group;
  }

  /** `value`: the group as text. It is never changed afterwards. */
  learn(value: string, group: Group): void {
    if (this.known.size >= GROUP_COUNT_MAX) this.known.clear();
    this.known.set(group.id, { value, group });
  }
}

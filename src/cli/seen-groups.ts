/** What `audit verify` keeps of the instances of groups: enough to say what their groups must be like. */
import { birthOf } from "../instance/audit.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { type GroupMember, groupMemberOf, isBystander } from "../instance/group-fault.ts";
import { BecalmError } from "../model/errors.ts";
import { partitionOf, partitionOfId } from "../model/ids.ts";
import { RULE_COUNT_MAX } from "../model/limits.ts";

/** `isCut`: more stood by than any group that is forming counts, so they were left out. */
export type SeenGroup = { readonly members: ReadonlyMap<string, GroupMember>; readonly isCut: boolean };

type Seen = { readonly members: Map<string, GroupMember>; epoch: number; bystanders: number; isCut: boolean };

export class SeenGroups {
  readonly #partitions: number;
  readonly #groups = new Map<string, Seen>();
  readonly #unclear = new Set<string>();
  readonly #unclearPartitions = new Set<number>();

  constructor(partitions: number) {
    this.#partitions = partitions;
  }

  add(instance: Instance): void {
    const { groupId } = instance;
    if (groupId === null) return;
    const seen = this.#groups.get(groupId) ?? { members: new Map(), epoch: -1, bystanders: 0, isCut: false };
    this.#groups.set(groupId, seen);
    addMember(seen, groupMemberOf(instance));
  }

  /** An instance is not as it was written: what its group should be like is not known. */
  doubt(id: string, instance: Instance | null, birth: string | undefined): void {
    const born = bornIn(id, birth);
    if (born === undefined && instance === null) this.#unclearPartitions.add(partitionOfId(id) ?? -1);
    for (const group of [born, instance?.groupId]) if (group != null) this.#unclear.add(group);
  }

  /** Groups of which all instances are as they were written. */
  clear(): string[] {
    return [...this.#groups.keys()].filter((id) => this.isClear(id));
  }

  isClear(id: string): boolean {
    return !this.#unclear.has(id) && !this.#unclearPartitions.has(partitionOf(id, this.#partitions));
  }

  of(id: string): SeenGroup {
    return this.#groups.get(id) ?? { members: new Map(), isCut: false };
  }
}

/** Only those of the latest formation count by being there, and no more than a rule may want. */
function addMember(seen: Seen, member: GroupMember): void {
  const epoch = member.epoch ?? -1;
  if (epoch > seen.epoch) {
    for (const one of seen.members.values()) if (isBystander(one)) seen.members.delete(one.id);
    Object.assign(seen, { epoch, bystanders: 0, isCut: false });
  }
  if (isBystander(member)) {
    if (epoch < seen.epoch) return;
    seen.bystanders += 1;
    seen.isCut ||= seen.bystanders > RULE_COUNT_MAX;
    if (seen.isCut) return;
  }
  seen.members.set(member.id, member);
}

/** undefined: its birth cannot be read. */
function bornIn(id: string, birth: string | undefined): string | null | undefined {
  try {
    return birth === undefined ? undefined : birthOf(id, [birth]).group;
  } catch (error) {
    if (error instanceof BecalmError || error instanceof TypeError) return undefined;
    throw error;
  }
}

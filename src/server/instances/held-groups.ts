/** What waits for a person, by group: as many as an answer decides, whatever fits on the page that was read. */
import type { Instance } from "../../instance/checkpoint.ts";
import { BecalmError } from "../../model/errors.ts";
import { partitionOf } from "../../model/ids.ts";
import type { InstanceReader, Listed } from "../../runtime/instance-reader.ts";
import { byGroup, groupRecord, type Members } from "./group-rows.ts";

/** `instances`: those of the page. `held`: all that the group holds. `oldest`: the one that has waited longest. */
export type HeldGroup = Members & { readonly held: number; readonly oldest: Instance };

/** `isWhole`: this is the only page, so nothing else has to be asked. */
export async function heldGroups(
  reader: InstanceReader,
  { instances }: Pick<Listed, "instances">,
  isWhole: boolean,
): Promise<HeldGroup[]> {
  const groups = byGroup(instances).map((group) => ({
    ...group,
    held: group.instances.length,
    oldest: group.instances.at(-1) as Instance,
  }));
  return isWhole ? groups : Promise.all(groups.map((group) => wholeGroup(reader, group)));
}

/** What a pause holds is not in the group's number: then the page knows more. */
async function wholeGroup(reader: InstanceReader, group: HeldGroup): Promise<HeldGroup> {
  if (group.id === null) return group;
  const held = (await groupRecord(reader, group.id))?.held ?? 0;
  if (held <= group.held) return group;
  return { ...group, held, oldest: (await firstHeld(reader, group.id)) ?? group.oldest };
}

/** null: it was answered meanwhile, or cannot be read. */
async function firstHeld(reader: InstanceReader, groupId: string): Promise<Instance | null> {
  const { store, partitions } = reader.runtime;
  const partition = partitionOf(groupId, partitions);
  const [id] = await store.members({ groupId, partition, set: "held", limit: 1, offset: 0 });
  if (id === undefined) return null;
  try {
    return await reader.instance(id);
  } catch (error) {
    if (error instanceof BecalmError) return null;
    throw error;
  }
}

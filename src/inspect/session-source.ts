/** Instances and groups of a namespace, as they are stored. */

import type { Group } from "../convergence/group.ts";
import { decodeGroup } from "../convergence/group-codec.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { BecalmError } from "../model/errors.ts";
import { partitionOf } from "../model/ids.ts";
import type { ListFilter, Session } from "../runtime/session.ts";
import type { World } from "../runtime/world.ts";
import type { InspectedGroup } from "./group-snapshot.ts";
import { inspectedGroup } from "./group-snapshot.ts";
import { type InspectedInstance, type InspectSource, inspectedInstance } from "./inspected.ts";

const PAGE_COUNT = 100;

/** `ids`: only these; missing ones are left out. `limit`: at most so many, newest first. */
export type Selection = Pick<ListFilter, "policy" | "group"> & {
  readonly ids?: readonly string[];
  readonly limit?: number;
};

export function sessionSource(session: Session, selection: Selection = {}): InspectSource {
  return {
    pages: () => selectedPages(session, selection),
    group: (id) => groupOf(session.world, id),
  };
}

export function groupReader(world: World): (group: Group) => InspectedGroup {
  return (group) => inspectedGroup(group, ruleOf(world, group));
}

async function* selectedPages(
  session: Session,
  { ids, limit = Number.POSITIVE_INFINITY, ...filter }: Selection,
): AsyncGenerator<readonly InspectedInstance[]> {
  if (ids !== undefined) {
    for (const id of ids) {
      const instance = await readable(session, id);
      if (instance !== null) yield [inspectedInstance(instance)];
    }
    return;
  }
  let cursor: string | null = null;
  for (let left = limit; left > 0; ) {
    const listed = await session.list({
      ...filter,
      limit: Math.min(PAGE_COUNT, left),
      ...(cursor === null ? {} : { cursor }),
    });
    yield listed.instances.map(inspectedInstance);
    left -= listed.instances.length;
    cursor = listed.next;
    if (cursor === null) return;
  }
}

/** null: it is gone, or its checkpoint cannot be read. */
async function readable(session: Session, id: string): Promise<Instance | null> {
  try {
    return await session.instance(id);
  } catch (error) {
    if (error instanceof BecalmError && error.code !== "BECALM_STORE_UNAVAILABLE") return null;
    throw error;
  }
}

async function groupOf(world: World, id: string): Promise<InspectedGroup | null> {
  const { group } = await world.store.load({
    partition: partitionOf(id, world.partitions),
    groupId: id,
    instanceIds: [],
  });
  return group === null ? null : groupReader(world)(decodeGroup(id, group.value));
}

/** The rule that a forming group would open by: the policy's present one, else any that the namespace knows. */
function ruleOf(world: World, { policy, open }: Group) {
  if (open !== null) return open.rule;
  const current = world.current.find((candidate) => candidate.policy.name === policy);
  const known = current ?? [...world.versions.values()].find((candidate) => candidate.policy.name === policy);
  return known?.policy.converge ?? null;
}

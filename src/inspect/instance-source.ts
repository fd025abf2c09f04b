/** Instances and groups of a namespace, as they are stored. */

import type { Group } from "../convergence/group.ts";
import { decodeGroup } from "../convergence/group-codec.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { BecalmError } from "../model/errors.ts";
import { partitionOf } from "../model/ids.ts";
import type { InstanceReader, ListFilter } from "../runtime/instance-reader.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { InspectedGroup } from "./group-snapshot.ts";
import { inspectedGroup } from "./group-snapshot.ts";
import { type InspectedInstance, type InspectSource, inspectedInstance } from "./inspected.ts";

const PAGE_COUNT = 100;

/** `ids`: only these; missing ones are left out. `limit`: at most so many, newest first. */
export type Selection = Pick<ListFilter, "policy" | "group"> & {
  readonly ids?: readonly string[];
  readonly limit?: number;
};

export function instanceSource(instances: InstanceReader, selection: Selection = {}): InspectSource {
  return {
    pages: () => selectedPages(instances, selection),
    group: (id) => groupOf(instances.runtime, id),
  };
}

export function groupReader(runtime: Runtime): (group: Group) => InspectedGroup {
  return (group) => inspectedGroup(group, ruleOf(runtime, group));
}

async function* selectedPages(
  instances: InstanceReader,
  { ids, limit = Number.POSITIVE_INFINITY, ...filter }: Selection,
): AsyncGenerator<readonly InspectedInstance[]> {
  if (ids !== undefined) {
    for (const id of ids) {
      const instance = await readable(instances, id);
      if (instance !== null) yield [inspectedInstance(instance)];
    }
    return;
  }
  let cursor: string | null = null;
  for (let left = limit; left > 0; ) {
    const listed = await instances.list({
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
async function readable(instances: InstanceReader, id: string): Promise<Instance | null> {
  try {
    return await instances.instance(id);
  } catch (error) {
    if (error instanceof BecalmError && error.code !== "BECALM_STORE_UNAVAILABLE") return null;
    throw error;
  }
}

async function groupOf(runtime: Runtime, id: string): Promise<InspectedGroup | null> {
  const { group } = await runtime.store.load({
    partition: partitionOf(id, runtime.partitions),
    groupId: id,
    instanceIds: [],
  });
  return group === null ? null : groupReader(runtime)(decodeGroup(id, group.value));
}

/** The rule that a forming group would open by: the policy's present one, else any that the namespace knows. */
function ruleOf(runtime: Runtime, { policy, open }: Group) {
  if (open !== null) return open.rule;
  const current = runtime.inForce.policies.find((candidate) => candidate.policy.name === policy);
  const known = current ?? [...runtime.versions.values()].find((candidate) => candidate.policy.name === policy);
  return known?.policy.converge ?? null;
}

/**
 * Stored instances, read with the policy versions that they were made under. Another engine may have brought a version since this one
 * opened the namespace: it is learned when an instance names it, so that such an instance is not taken for a broken one.
 */
import { decodeCheckpoint, type Instance, unknownPolicyOf } from "../../instance/checkpoint.ts";
import { BecalmError } from "../../model/errors.ts";
import type { Policy } from "../../policy/policy.ts";
import { compilePolicy } from "../../policy/policy-versions.ts";
import type { StoredInstance } from "../../stores/store.ts";
import type { World } from "../world.ts";

/** What a read gives: the instance, or why it is quarantined. */
export type ReadInstance = Instance | BecalmError;

/** @throws what `decodeCheckpoint` throws: the instance is quarantined. */
export async function readInstance(world: World, stored: StoredInstance): Promise<Instance> {
  const read = await tryInstance(world, stored);
  if (read instanceof BecalmError) throw read;
  return read;
}

export async function tryInstance(world: World, stored: StoredInstance): Promise<ReadInstance> {
  const read = decoded(world, stored);
  if (!(read instanceof BecalmError) || unknownPolicyOf(read) === null) return read;
  await learnVersions(world);
  return decoded(world, stored);
}

function decoded(world: World, stored: StoredInstance): ReadInstance {
  try {
    return decodeCheckpoint(stored, world.versions);
  } catch (error) {
    if (error instanceof BecalmError) return error;
    throw error;
  }
}

/** Reads all policy versions of the namespace and keeps those that are new. */
export async function learnVersions(world: Pick<World, "store" | "versions">): Promise<void> {
  for (const { key, value } of await world.store.policies()) {
    if (!world.versions.has(key)) world.versions.set(key, compilePolicy(JSON.parse(value) as Policy));
  }
}

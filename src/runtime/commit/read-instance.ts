/**
 * Stored instances, read with the policy versions that they were made under. Another engine may have brought a version
 * since this one opened the namespace: it is learned when an instance names it, so that such an instance is not taken
 * for a broken one.
 */
import { decodeCheckpoint, type Instance, unknownPolicyOf } from "../../instance/checkpoint.ts";
import { BecalmError } from "../../model/errors.ts";
import type { Policy } from "../../policy/policy.ts";
import { type CompiledPolicy, compilePolicy } from "../../policy/policy-versions.ts";
import type { StoredInstance } from "../../stores/store.ts";
import type { Runtime } from "../runtime.ts";

type ReadFrom = Pick<Runtime, "store" | "versions">;

/** What a read gives: the instance, or why it is quarantined. */
export type ReadInstance = Instance | BecalmError;

/** @throws what `decodeCheckpoint` throws: the instance is quarantined. */
export async function readInstance(from: ReadFrom, stored: StoredInstance): Promise<Instance> {
  const read = await tryInstance(from, stored);
  if (read instanceof BecalmError) throw read;
  return read;
}

export async function tryInstance(from: ReadFrom, stored: StoredInstance): Promise<ReadInstance> {
  const read = decoded(from, stored);
  if (!(read instanceof BecalmError) || unknownPolicyOf(read) === null) return read;
  await learnVersions(from);
  return decoded(from, stored);
}

function decoded(from: ReadFrom, stored: StoredInstance): ReadInstance {
  try {
    return decodeCheckpoint(stored, from.versions);
  } catch (error) {
    if (error instanceof BecalmError) return error;
    throw error;
  }
}

/** Reads all policy versions of the namespace and keeps those that are new. */
export async function learnVersions(from: ReadFrom): Promise<void> {
  for (const { key, value } of await from.store.policies()) {
    const compiled = from.versions.has(key) ? null : tryPolicy(value);
    if (compiled !== null) from.versions.set(key, compiled);
  }
}

/** null: no engine wrote this. Instances that name it are quarantined, and `audit verify` says why. */
function tryPolicy(value: string): CompiledPolicy | null {
  try {
    return compilePolicy(JSON.parse(value) as Policy);
  } catch {
    return null;
  }
}

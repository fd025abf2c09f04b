import { sha256 } from "./digest.ts";

/** Partition of a group or of a lone instance: FNV-1a 32 of its name, modulo the namespace's number of partitions. */
export function partitionOf(name: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index += 1) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 0) % partitions;
}

/** A group belongs to one policy: its id is the policy's name and the dimension key. */
export function groupIdOf(policyName: string, dimensionKey: string): string {
  return `${policyName}:${dimensionKey}`;
}

const DIMENSION_KEY = /^!sha1#[0-9a-f]{40}$/;
const DIGEST = /^[0-9a-f]{40}$/;

/** Instances of one decision are of one group. */
let lastStored = { groupId: "", policyName: "", text: "" };

/** A group's id as it is stored beside its policy's name: of a dimension key the digest only. */
export function storedGroup(groupId: string, policyName: string): string {
  if (lastStored.groupId !== groupId || lastStored.policyName !== policyName) {
    const key = groupId.slice(policyName.length + 1);
    lastStored = { groupId, policyName, text: DIMENSION_KEY.test(key) ? key.slice(-40) : key };
  }
  return lastStored.text;
}

export function groupIdFrom(stored: string, policyName: string): string {
  return groupIdOf(policyName, DIGEST.test(stored) ? `!sha1#${stored}` : stored);
}

/** What an episode's instance under one policy is hashed from. */
export type InstanceName = { readonly policy: string; readonly fingerprint: string; readonly startMs: number };

/** The name that the partition of an ungrouped alert is taken from: all its episodes live together. */
export function ungroupedName({ policy, fingerprint }: Pick<InstanceName, "policy" | "fingerprint">): string {
  return `${policy}\n${fingerprint}`;
}

export function instanceName({ policy, fingerprint, startMs }: InstanceName): string {
  return `${policy}\n${fingerprint}\n${startMs}`;
}

/** Two-digit partition, `-`, 24 hex digits of sha256 over (policy, fingerprint, start of the episode in ms). */
export function instanceIdOf(name: InstanceName, partition: number): string {
  return withPartition(partition, sha256(instanceName(name), "hex"));
}

/** What stands for a policy in the keys of its alerts' episodes: short, for there is one such key an alert. */
export function episodeTagOf(policyName: string): string {
  return sha256(policyName, "base64url").slice(0, 6);
}

/** Id of a summary or an approval request: it lives beside the instance or group that asked for it. */
export function noticeIdOf(parts: readonly (string | number)[], partition: number): string {
  return withPartition(partition, sha256(parts.join("\n"), "hex"));
}

/** Is an id made of these parts, whatever partition it lies in? */
export function idNames(id: string, parts: readonly (string | number)[]): boolean {
  return sha256(parts.join("\n"), "hex").startsWith(id.slice(3)) && id.length === ID_LENGTH;
}

/** What the id of an episode's instance is made of. */
export function instanceNameParts(name: { policy: string; fingerprint: string; startMs: number }): (string | number)[] {
  return [name.policy, name.fingerprint, name.startMs];
}

const ID_LENGTH = 27;

/**
 * Joined, not added up: that would be a tree that keeps all 64 digits, three times the size, and instances are known by
 * their ids.
 */
function withPartition(partition: number, hex: string): string {
  return [String(partition).padStart(2, "0"), hex.slice(0, 24)].join("-");
}

const INSTANCE_ID = /^(\d\d)-[0-9a-f]{24}$/;

/** The partition that an instance id names, or null when the text is not an instance id. */
export function partitionOfId(id: string): number | null {
  const match = INSTANCE_ID.exec(id);
  return match === null ? null : Number(match[1]);
}

/** Id of the effect number `index` of a commit: `_` because queues give other characters a meaning. */
export function effectIdOf(instanceId: string, version: number, index: number): string {
  return `${instanceId}_${version}_${index}`;
}

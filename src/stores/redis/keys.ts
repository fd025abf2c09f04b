/**
 * Every Redis key of Becalm is built here; docs/data-layout.md lists them with what they hold.
 *
 * All keys of a partition carry its hash tag, so a commit stays in one slot of a cluster. The tags are searched, not
 * numbered: partition p of P lies in the p-th of P equal ranges of slots, so the partitions spread evenly over masters
 * that divide the slots evenly, whatever P is. The search always finds the same tags: they are part of the stored
 * layout and must never change.
 */

import { partitionOf } from "../../model/ids.ts";
import type { MemberSet, TimerLane } from "../store.ts";
import { invalid } from "../store-rules.ts";

const SLOT_COUNT = 16_384;
const TAG_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz";

export type RedisKeys = {
  readonly partitions: number;
  instance(partition: number, id: string): string;
  history(partition: number, id: string): string;
  created(partition: number): string;
  open(partition: number): string;
  touched(partition: number): string;
  episodes(partition: number): string;
  tallies(partition: number): string;
  timers(partition: number, lane: TimerLane): string;
  effects(partition: number): string;
  claims(partition: number): string;
  commit(partition: number, commitId: string): string;
  group(partition: number, groupId: string): string;
  lease(partition: number, groupId: string): string;
  /** Written to see whether something can be written. */
  trial(partition: number): string;
  /** Processes that live. */
  readonly processes: string;
  /** What processes that have decided something were called. */
  readonly enrolled: string;
  /** Letters to a process. Inboxes spread over the partitions, so that no shard has them all. */
  inbox(processId: string): string;
  /** Of the virtual run that works on the namespace. No group has this name: those of groups hold a `:`. */
  readonly runLease: string;
  members(partition: number, groupId: string, set: MemberSet): string;
  lockSlot(partition: number, key: string, slot: number): string;
};

/** The keys of a namespace that belong to no partition: each is read and written alone. */
export type NamespaceKeys = {
  readonly meta: string;
  readonly policies: string;
};

/** The keys of a detection stream that are not of the table of checkpoint keys, and what those begin with. */
export type DetectionKeys = {
  readonly head: string;
  readonly stream: string;
  readonly pieces: string;
  readonly alerts: string;
  readonly auditEvents: string;
};

export type KeySpace = { readonly prefix: string; readonly namespace: string };

export function namespaceKeys({ prefix, namespace }: KeySpace): NamespaceKeys {
  return {
    meta: `${prefix}:${namespace}:meta`,
    policies: `${prefix}:${namespace}:policies`,
  };
}

/** All keys of a stream carry one tag; `/` is in no name, so no two streams share it. */
export function detectionKeys({ prefix, namespace }: KeySpace, stream: string): DetectionKeys {
  const head = `${prefix}:{${namespace}/${stream}}:detect:`;
  return {
    head,
    stream: `${head}stream`,
    pieces: `${head}pieces`,
    alerts: `${head}alerts`,
    auditEvents: `${head}audit`,
  };
}

export function redisKeys({ prefix, namespace }: KeySpace, partitions: number): RedisKeys {
  const heads = hashTags(partitions).map((tag) => `${prefix}:{${tag}}:${namespace}:`);
  const head = (partition: number) => heads[partition] as string;
  return {
    partitions,
    instance: (partition, id) => `${head(partition)}i:${id}`,
    history: (partition, id) => `${head(partition)}h:${id}`,
    created: (partition) => `${head(partition)}created`,
    open: (partition) => `${head(partition)}open`,
    touched: (partition) => `${head(partition)}touched`,
    episodes: (partition) => `${head(partition)}episodes`,
    tallies: (partition) => `${head(partition)}tallies`,
    timers: (partition, lane) => `${head(partition)}timers:${lane}`,
    effects: (partition) => `${head(partition)}effects`,
    claims: (partition) => `${head(partition)}claims`,
    commit: (partition, commitId) => `${head(partition)}c:${commitId}`,
    group: (partition, groupId) => `${head(partition)}g:${groupId}`,
    lease: (partition, groupId) => `${head(partition)}l:${groupId}`,
    trial: (partition) => `${head(partition)}trial`,
    processes: `${head(0)}processes`,
    enrolled: `${head(0)}enrolled`,
    inbox: (processId) => `${head(partitionOf(processId, partitions))}inbox:${processId}`,
    runLease: `${head(0)}l:virtual-run`,
    members: (partition, groupId, set) => `${head(partition)}${set}:${groupId}`,
    lockSlot: (partition, key, slot) => `${head(partition)}d:${slot}:${key}`,
  };
}

/** The hash tag of each partition: the first text, shortest first, whose slot lies in the partition's range. */
export function hashTags(partitions: number): string[] {
  const tags = new Array<string | undefined>(partitions);
  let missing = partitions;
  for (const tag of shortTexts()) {
    const partition = Math.floor((hashSlot(tag) * partitions) / SLOT_COUNT);
    if (tags[partition] !== undefined) continue;
    tags[partition] = tag;
    missing -= 1;
    if (missing === 0) break;
  }
  return tags as string[];
}

/** "0" to "z", then "00" to "zz", and so on. */
function* shortTexts(): Generator<string> {
  let shorter = [""];
  for (;;) {
    const texts = shorter.flatMap((text) => Array.from(TAG_LETTERS, (letter) => text + letter));
    yield* texts;
    shorter = texts;
  }
}

/** The slot of a tag of ASCII letters: CRC-16/XMODEM modulo 16,384, as the Redis Cluster specification has it. */
export function hashSlot(tag: string): number {
  let crc = 0;
  for (let at = 0; at < tag.length; at += 1) {
    crc ^= tag.charCodeAt(at) << 8;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021;
    crc &= 0xffff;
  }
  return crc % SLOT_COUNT;
}

/** Checks what a program chose for its keys. Throws BECALM_ARGUMENT_INVALID. */
export function requireKeySpace({
  namespace = "default",
  keyPrefix = "becalm",
}: {
  namespace?: string;
  keyPrefix?: string;
}): KeySpace {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(namespace)) {
    throw invalid(
      `The namespace ${JSON.stringify(namespace)} is not a valid name. Use 1 to 64 letters, digits, ".", "_" or "-".`,
    );
  }
  if (!/^[^{}\s]{1,64}$/.test(keyPrefix)) {
    throw invalid(
      `The key prefix ${JSON.stringify(keyPrefix)} cannot start a key. Use 1 to 64 characters, no brace and no space.`,
    );
  }
  return { prefix: keyPrefix, namespace };
}

/**
 * The rules of stores/store.ts that every store keeps in the same words: what a commit may hold, how rows are ordered,
 * what a cursor looks like, when a namespace is refused. Pure; a store calls these before it writes anything.
 */
import { BecalmError } from "../model/errors.ts";
import { PARTITION_COUNT_MAX } from "../model/limits.ts";
import { compareCodePoints } from "../model/utf8.ts";
import {
  type Commit,
  type EpisodeWrite,
  type InstanceWrite,
  NAMESPACE_FORMAT,
  type NamespaceInfo,
  type NamespaceMode,
  type NamespaceSpec,
  type TallyWrite,
  type TimerKey,
  type TimerRow,
} from "./store.ts";

/** A place in the order of creation. */
export type CreatedAt = { readonly id: string; readonly createdAtMs: number };

/** (dueAtMs, owner, name, arm); the partition comes last only so that no two timers are equal. */
export function compareTimers(left: TimerRow, right: TimerRow): number {
  return (
    left.dueAtMs - right.dueAtMs ||
    compareCodePoints(left.owner, right.owner) ||
    compareCodePoints(left.name, right.name) ||
    left.arm - right.arm ||
    left.partition - right.partition
  );
}

/** Oldest first. */
export function compareCreated(left: CreatedAt, right: CreatedAt): number {
  return left.createdAtMs - right.createdAtMs || compareCodePoints(left.id, right.id);
}

export function encodeCursor(place: CreatedAt): string {
  return `${place.createdAtMs}_${place.id}`;
}

export function decodeCursor(cursor: string): CreatedAt {
  const separator = cursor.indexOf("_");
  const createdAtMs = Number(cursor.slice(0, separator));
  const id = cursor.slice(separator + 1);
  if (separator < 1 || !Number.isFinite(createdAtMs) || partitionInId(id, PARTITION_COUNT_MAX) === null) {
    throw invalid(`The cursor "${cursor}" did not come from a page of a list. Start again without a cursor.`);
  }
  return { id, createdAtMs };
}

const DIGIT_ZERO = 48;

/** The partition in an instance id, or null when the id cannot be one of a namespace with so many partitions. */
export function partitionInId(instanceId: string, partitions: number): number | null {
  const [tens, ones] = [instanceId.charCodeAt(0) - DIGIT_ZERO, instanceId.charCodeAt(1) - DIGIT_ZERO];
  if (!(tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 && instanceId[2] === "-")) return null;
  const partition = tens * 10 + ones;
  return partition < partitions ? partition : null;
}

export function requireNamespaceSpec(spec: NamespaceSpec): void {
  const { partitions } = spec;
  if (partitions === undefined) return;
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > PARTITION_COUNT_MAX) {
    throw invalid(
      `A namespace cannot have ${partitions} partitions. Use a whole number from 1 to ${PARTITION_COUNT_MAX}.`,
    );
  }
}

const MADE_BY: Readonly<Record<NamespaceMode, string>> = {
  live: "an engine, which works by the clock",
  virtual: "`becalm run --execute`, which performs the actions",
  simulated: "`becalm run`, which only simulates",
};

/** Throws when the namespace is not what `spec` asks for. */
export function requireSameNamespace(name: string, info: NamespaceInfo, spec: NamespaceSpec): void {
  if (info.format > NAMESPACE_FORMAT) {
    throw new BecalmError(
      "BECALM_NAMESPACE_NEWER",
      `The namespace "${name}" has format ${info.format}, and this version knows formats up to ${NAMESPACE_FORMAT}: ` +
        "a newer version wrote it. Update this program.",
      { details: { namespace: name, stored: info.format, known: NAMESPACE_FORMAT } },
    );
  }
  if (spec.mode !== undefined && spec.mode !== info.mode) {
    throw new BecalmError(
      "BECALM_NAMESPACE_MODE",
      `The namespace "${name}" was made by ${MADE_BY[info.mode]}; ${MADE_BY[spec.mode]}, does not take it. ` +
        "Choose another namespace.",
      { details: { namespace: name, stored: info.mode, asked: spec.mode } },
    );
  }
  if (spec.partitions !== undefined && spec.partitions !== info.partitions) {
    throw new BecalmError(
      "BECALM_NAMESPACE_PARTITIONS",
      `The namespace "${name}" was made with ${info.partitions} partitions, not ${spec.partitions}; the number is fixed. ` +
        `Use ${info.partitions} partitions, or another namespace.`,
      { details: { namespace: name, stored: info.partitions, asked: spec.partitions } },
    );
  }
}

export function requirePartition(partition: number, partitions: number): void {
  if (Number.isInteger(partition) && partition >= 0 && partition < partitions) return;
  throw invalid(
    `There is no partition ${partition} in a namespace of ${partitions}. Take it from the id or compute it again.`,
  );
}

/** Throws when a commit breaks a rule of stores/store.ts. All of it is looked at before the first write. */
export function requireValidCommit(commit: Commit, partitions: number): void {
  requirePartition(commit.partition, partitions);
  if (commit.commitId === "") throw invalid("A commit needs an id. Give every commit one of its own.");
  if (commit.afterCommitId === "" || commit.afterCommitId === commit.commitId)
    throw invalid(
      `Commit ${commit.commitId} cannot follow ${commit.afterCommitId || "nothing"}. Give another commit's id, or null.`,
    );
  requireToken(commit.owner, "owner of a commit");
  requireValidGroup(commit);
  requireValidInstances(commit, partitions);
  requireValidEpisodes(commit.episodes);
  if (commit.tallies !== undefined && commit.tallies.length > 0) requireValidTallies(commit.tallies);
  requireValidEffects(commit);
  for (const timer of commit.timersArmed) {
    requireValidTimer(timer, commit.partition);
    requireNumber(timer.dueAtMs, "due time of the timer", `${timer.owner} ${timer.name}`);
  }
  for (const timer of commit.timersCancelled) requireValidTimer(timer, commit.partition);
}

function requireValidGroup(commit: Commit): void {
  const { group, membersAdded, membersRemoved } = commit;
  if (group === null) {
    if (membersAdded.length + membersRemoved.length === 0) return;
    throw invalid(`Commit ${commit.commitId} changes members without a group. Put the group into the commit.`);
  }
  requireVersion(group.expectedVersion, "group", group.id);
  if (group.kind === "check") {
    if (group.expectedVersion > 0 && membersAdded.length + membersRemoved.length === 0) return;
    throw invalid(`The group ${group.id} is only checked, but it is new or its members change. Write its value.`);
  }
  if (group.ttlMs !== null && (!Number.isSafeInteger(group.ttlMs) || group.ttlMs < 1)) {
    throw invalid(`The group ${group.id} cannot live ${group.ttlMs} ms. Use a whole number of at least 1, or null.`);
  }
  if (group.areSetsEmpty === true && membersAdded.length + membersRemoved.length > 0)
    throw invalid(`The members of group ${group.id} change, and its sets are said to be empty. Say only one of them.`);
  for (const member of membersAdded) requireNumber(member.order, "order of the member", member.instanceId);
}

function requireValidInstances(commit: Commit, partitions: number): void {
  const { instances } = commit;
  const seen = instances.length > 1 ? new Set<string>() : null;
  let before: InstanceWrite | null = null;
  for (const instance of instances) {
    if (partitionInId(instance.id, partitions) !== commit.partition) {
      throw invalid(
        `The instance ${instance.id} is not of partition ${commit.partition}. Commit it with its own partition.`,
      );
    }
    seen?.add(instance.id);
    requireVersion(instance.expectedVersion, "instance", instance.id);
    if (instance.expectedVersion === 0)
      requireNumber(instance.createdAtMs, "creation time of the instance", instance.id);
    requireValidOpenUnder(instance);
    requireToken(instance.head, "head of the checkpoint of", instance.id);
    // Neighbours in a storm have texts in common: those are looked at once.
    if (instance.body !== before?.body) requireOneLine(instance.body, "checkpoint of", instance.id);
    const { historyLines: lines } = instance;
    for (let at = 0; at < lines.length; at += 1) {
      if (lines[at] !== before?.historyLines[at]) requireOneLine(lines[at] as string, "history line of", instance.id);
    }
    before = instance;
  }
  if (seen === null || seen.size === instances.length) return;
  throw invalid(
    `Commit ${commit.commitId} writes an instance twice. Write its last checkpoint once, with all its history lines.`,
  );
}

export function requireValidEpisodes(writes: readonly EpisodeWrite[]): void {
  if (writes.length === 0) return;
  const seen = writes.length > 1 ? new Set<string>() : null;
  for (const { key, value, expected } of writes) {
    requireToken(key, "key of an episode");
    requireOneLine(value, "record of the episode", key);
    if (value === "" || expected === "") throw invalid(`The record of the episode ${key} is empty. Give its text.`);
    seen?.add(key);
  }
  if (seen === null || seen.size === writes.length) return;
  throw invalid("The record of an episode is written twice at once. Write its last value once.");
}

function requireValidTallies(writes: readonly TallyWrite[]): void {
  for (const write of writes) {
    if (write.key === "") throw invalid("What is counted needs a key. Give one.");
    requireOneLine(write.key, "key of a tally");
    if (write.kind === "take") continue;
    for (const id of write.added) requireToken(id, "counted id under", write.key);
    for (const id of write.removed) requireToken(id, "counted id under", write.key);
  }
  if (new Set(writes.map(({ key }) => key)).size === writes.length) return;
  throw invalid("A tally is written twice in one commit. Put its changes together.");
}

/** The store keeps them in an order that is made of the time's digits. */
export function requireValidOpenUnder(
  entry: Pick<InstanceWrite, "id" | "createdAtMs" | "openUnder" | "wasOpenUnder">,
): void {
  const { id, createdAtMs, openUnder = NOTHING, wasOpenUnder = NOTHING } = entry;
  if (openUnder.length + wasOpenUnder.length === 0) return;
  for (const under of openUnder) requireToken(under, "text under which is found", id);
  for (const under of wasOpenUnder) requireToken(under, "text under which was found", id);
  if (Number.isSafeInteger(createdAtMs) && createdAtMs >= 0) return;
  throw invalid(
    `The creation time of the instance ${id} is ${createdAtMs}. To be found, it needs a whole number of at least 0.`,
  );
}

const NOTHING: readonly string[] = [];

function requireValidEffects(commit: Commit): void {
  if (commit.effectClaimMs !== null) requireLease(commit.effectClaimMs, "claim on the effects of", commit.commitId);
  for (const effect of commit.effects) {
    if (effect.partition === commit.partition) continue;
    throw invalid(
      `The effect ${effect.id} is of partition ${effect.partition}, its commit of ${commit.partition}. Use one partition.`,
    );
  }
}

function requireValidTimer(timer: TimerKey, partition: number): void {
  requireToken(timer.owner, "owner of a timer");
  requireToken(timer.name, "name of a timer of", timer.owner);
  if (!Number.isSafeInteger(timer.arm) || timer.arm < 0) {
    throw invalid(
      `The timer ${timer.owner} ${timer.name} cannot have the arm number ${timer.arm}. Use a whole number of at least 0.`,
    );
  }
  if (timer.partition === partition) return;
  throw invalid(
    `The timer ${timer.owner} ${timer.name} is of partition ${timer.partition}, its commit of ${partition}. Use one partition.`,
  );
}

/**
 * Put together only when there is something to say: for each instance of a commit it would cost more than the checks.
 */
function named(what: string, whose: string): string {
  return whose === "" ? what : `${what} ${whose}`;
}

/** Stored texts join these with spaces. */
function requireToken(text: string, what: string, whose = ""): void {
  if (text !== "" && !SPACE_OR_CONTROL.test(text)) return;
  throw invalid(
    `The ${named(what, whose)} is ${JSON.stringify(text)}: it must not be empty or hold a space or control character. Encode it first.`,
  );
}

/** Stored texts are joined with line breaks. */
function requireOneLine(text: string, what: string, whose = ""): void {
  if (text.includes("\n")) throw invalid(`The ${named(what, whose)} contains a line break. Escape it first.`);
}

/** All that stands before "!". */
const SPACE_OR_CONTROL = /[^!-\uffff]/;

function requireVersion(version: number, what: string, whose = ""): void {
  if (Number.isSafeInteger(version) && version >= 0) return;
  throw invalid(
    `The expected version of ${named(what, whose)} is ${version}. Use 0 for a new one, else the version that was loaded.`,
  );
}

function requireNumber(value: number, what: string, whose = ""): void {
  if (Number.isFinite(value)) return;
  throw invalid(`The ${named(what, whose)} is ${value}. Use a finite number.`);
}

/** A claim or a lease of no time would be none. */
export function requireLease(ms: number, what: string, whose = ""): void {
  if (Number.isSafeInteger(ms) && ms > 0) return;
  throw invalid(`The ${named(what, whose)} cannot last ${ms} ms. Use a whole number of at least 1.`);
}

/** Every fact about an argument that is wrong in itself. */
export function invalid(message: string): BecalmError {
  return new BecalmError("BECALM_ARGUMENT_INVALID", message);
}

/** A method was called before `open`, or on a reading command's missing namespace. */
export function notOpen(name: string): BecalmError {
  return new BecalmError(
    "BECALM_STORE_FAILED",
    `The namespace "${name}" is not open in this process. Call open() first.`,
    {
      details: { namespace: name },
    },
  );
}

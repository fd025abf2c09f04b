import { COMMIT_ID_TTL_MS } from "../../core/limits.ts";
import type { Commit, MemberSet, TimerKey, TimerLane } from "../../ports/store.ts";
import type { RedisKeys } from "./keys.ts";

type ScriptArgument = string | number;

export type ScriptArguments = { keys: string[]; args: ScriptArgument[] };

/** In the order of commit.lua's keys and counts. */
const LANES: readonly TimerLane[] = ["work", "approval"];
const SETS: readonly MemberSet[] = ["waiters", "held"];

/** What a commit counts for beside its texts: its keys, its group, its numbers. */
const COMMIT_AROUND_UNITS = 2_000;

/**
 * Valid commits of one partition as KEYS and ARGV of commit.lua; its head has the layout. Flat texts with counts: a commit is the hot
 * path, and parsing JSON in Lua would double its cost.
 */
export function commitArguments(partition: number, commits: readonly Commit[], keysOf: RedisKeys): ScriptArguments {
  const keys = [keysOf.created(partition), keysOf.effects(partition), keysOf.claims(partition)];
  for (const lane of LANES) keys.push(keysOf.timers(partition, lane));
  const args: ScriptArgument[] = [COMMIT_ID_TTL_MS];
  for (const commit of commits) addCommit({ keys, args }, commit, keysOf);
  return { keys, args };
}

function addCommit({ keys, args }: ScriptArguments, commit: Commit, keysOf: RedisKeys): void {
  const { partition, group } = commit;
  const created = commit.instances.filter(({ expectedVersion }) => expectedVersion === 0);
  const changed = commit.instances.filter(({ expectedVersion }) => expectedVersion !== 0);
  const rows = [...effectRows(commit), ...timerRows(commit), ...memberRows(commit)];
  keys.push(keysOf.commit(partition, commit.commitId));
  if (group !== null) {
    for (const set of SETS) keys.push(keysOf.members(partition, group.id, set));
    keys.push(keysOf.group(partition, group.id), keysOf.lease(partition, group.id));
  }
  for (const { id } of created) keys.push(keysOf.instance(partition, id));
  for (const { id } of changed) keys.push(keysOf.instance(partition, id), keysOf.history(partition, id));
  args.push(commit.owner);
  if (group === null) args.push("", "", "");
  else args.push(group.expectedVersion, versioned(group.expectedVersion + 1, group.value), group.ttlMs ?? "");
  args.push(commit.effectLeaseMs, created.length, changed.length);
  for (const { count } of rows) args.push(count);
  for (const { value, historyLines } of created) args.push([versioned(1, value), ...historyLines].join("\n"));
  for (const { id, createdAtMs } of created) args.push(createdAtMs, id);
  for (const { expectedVersion, value, historyLines } of changed) {
    args.push(expectedVersion, versioned(expectedVersion + 1, value), historyText(historyLines));
  }
  for (const { texts } of rows) for (const text of texts) args.push(text);
}

/** How much a commit adds to a script: instances and bytes bound how long the server is busy with it. */
export function commitSize({ instances, effects }: Commit): number {
  let size = COMMIT_AROUND_UNITS;
  for (const { value, historyLines } of instances) {
    size += value.length;
    for (const line of historyLines) size += line.length;
  }
  for (const { value } of effects) size += value.length;
  return size;
}

/** Rows of one kind: how many, and their texts one after the other. */
type Rows = { count: number; texts: ScriptArgument[] };

function rowsOf<Item>(items: readonly Item[], textsOf: (item: Item) => ScriptArgument[]): Rows {
  return { count: items.length, texts: items.length === 0 ? [] : items.flatMap(textsOf) };
}

function effectRows({ effects, effectLeaseMs, owner, settledEffectIds }: Commit): Rows[] {
  const claimOwner = effectLeaseMs > 0 ? owner : "";
  return [rowsOf(effects, ({ id, value }) => [id, `${claimOwner} ${value}`]), rowsOf(settledEffectIds, (id) => [id])];
}

function timerRows({ timersArmed, timersCancelled }: Commit): Rows[] {
  const armed = LANES.map((lane) => timersArmed.filter((timer) => timer.lane === lane));
  const cancelled = LANES.map((lane) => timersCancelled.filter((timer) => timer.lane === lane));
  return [
    ...armed.map((timers) => rowsOf(timers, (timer) => [timer.dueAtMs, timerMember(timer)])),
    ...cancelled.map((timers) => rowsOf(timers, (timer) => [timerMember(timer)])),
  ];
}

function memberRows({ membersAdded, membersRemoved }: Commit): Rows[] {
  const added = SETS.map((set) => membersAdded.filter((member) => member.set === set));
  const removed = SETS.map((set) => membersRemoved.filter((member) => member.set === set));
  return [
    ...added.map((members) => rowsOf(members, ({ order, instanceId }) => [order, instanceId])),
    ...removed.map((members) => rowsOf(members, ({ instanceId }) => [instanceId])),
  ];
}

/**
 * A timer in a sorted set. Redis sorts members of equal due time by their bytes, and this text's bytes sort like (owner, name, arm):
 * a space is below every byte of an owner or a name, and the arm's digits follow a letter that tells how many they are.
 * So the first rows of a partition are the first in the port's order, however many timers are due at one millisecond.
 */
export function timerMember({ owner, name, arm }: TimerKey): string {
  const digits = String(arm);
  return `${owner} ${name} ${String.fromCharCode(0x60 + digits.length)}${digits}`;
}

export function parseTimerMember(member: string): { owner: string; name: string; arm: number } {
  const [owner = "", name = "", arm = ""] = member.split(" ");
  return { owner, name, arm: Number(arm.slice(1)) };
}

/** An instance's lines: those of its first commit stand behind its checkpoint, the others in its history. */
export function parseLines(instance: string, history: string | null): string[] {
  const end = instance.indexOf("\n");
  const first = end < 0 ? [] : instance.slice(end + 1).split("\n");
  return history === null ? first : first.concat(history.slice(0, -1).split("\n"));
}

/** Every line ends with a line break, so that lines can be appended without looking. */
function historyText(lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

export function versioned(version: number, value: string): string {
  return `${version} ${value}`;
}

export function parseVersioned(text: string): { version: number; value: string } {
  const space = text.indexOf(" ");
  return { version: Number(text.slice(0, space)), value: text.slice(space + 1) };
}

/** An instance's first line. */
export function parseCheckpoint(text: string): { version: number; value: string } {
  const end = text.indexOf("\n");
  return parseVersioned(end < 0 ? text : text.slice(0, end));
}

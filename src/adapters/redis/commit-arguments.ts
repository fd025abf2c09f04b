import { COMMIT_ID_TTL_MS } from "../../core/limits.ts";
import type { Commit, InstanceWrite, MemberSet, TimerKey, TimerLane } from "../../ports/store.ts";
import type { RedisKeys } from "./keys.ts";

type ScriptArgument = string | number;

export type ScriptArguments = { keys: string[]; args: ScriptArgument[] };

/** In the order of commit.lua's keys and counts. */
const LANES: readonly TimerLane[] = ["work", "approval"];
const SETS: readonly MemberSet[] = ["waiters", "held"];

/**
 * A valid commit as KEYS and ARGV of commit.lua; its head has the layout. Flat texts with counts: a commit is the hot path, and
 * parsing JSON in Lua would double its cost.
 */
export function commitArguments(commit: Commit, keysOf: RedisKeys): ScriptArguments {
  const { group } = commit;
  const created = commit.instances.filter(({ expectedVersion }) => expectedVersion === 0);
  const changed = commit.instances.filter(({ expectedVersion }) => expectedVersion !== 0);
  const rows = [...effectRows(commit), ...timerRows(commit), ...memberRows(commit)];
  const args: ScriptArgument[] = [commit.owner, COMMIT_ID_TTL_MS];
  if (group === null) args.push("", "", "");
  else args.push(group.expectedVersion, versioned(group.expectedVersion + 1, group.value), group.ttlMs ?? "");
  args.push(commit.effectLeaseMs, created.length, changed.length, ...rows.map(({ count }) => count));
  for (const { value, historyLines } of created) args.push(versioned(1, value), historyText(historyLines));
  for (const { id, createdAtMs } of created) args.push(createdAtMs, id);
  for (const { expectedVersion, value, historyLines } of changed) {
    args.push(expectedVersion, versioned(expectedVersion + 1, value), historyText(historyLines));
  }
  for (const { texts } of rows) args.push(...texts);
  return { keys: commitKeys(commit, { keysOf, created, changed }), args };
}

type KeyParts = { keysOf: RedisKeys; created: readonly InstanceWrite[]; changed: readonly InstanceWrite[] };

function commitKeys({ partition, commitId, group }: Commit, { keysOf, created, changed }: KeyParts): string[] {
  const keys = [
    keysOf.commit(partition, commitId),
    keysOf.created(partition),
    keysOf.effects(partition),
    keysOf.claims(partition),
  ];
  for (const lane of LANES) keys.push(keysOf.timers(partition, lane));
  if (group !== null) {
    for (const set of SETS) keys.push(keysOf.members(partition, group.id, set));
    keys.push(keysOf.group(partition, group.id), keysOf.lease(partition, group.id));
  }
  for (const { id } of created) keys.push(keysOf.instance(partition, id));
  for (const { id } of created) keys.push(keysOf.history(partition, id));
  for (const { id } of changed) keys.push(keysOf.instance(partition, id), keysOf.history(partition, id));
  return keys;
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

/** Every line ends with a line break, so that lines can be appended without looking. */
export function parseHistory(text: string | null): string[] {
  return text === null ? [] : text.slice(0, -1).split("\n");
}

function historyText(lines: readonly string[]): string {
  return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
}

export function versioned(version: number, value: string): string {
  return `${version} ${value}`;
}

export function parseVersioned(text: string): { version: number; value: string } {
  const end = text.indexOf(" ");
  return { version: Number(text.slice(0, end)), value: text.slice(end + 1) };
}

import { COMMIT_ID_TTL_MS } from "../../core/limits.ts";
import type { Commit, MemberSet, TimerKey, TimerLane } from "../../ports/store.ts";
import type { RedisKeys } from "./keys.ts";

/** Places in KEYS, as the head of commit.lua has them. */
const TIMER_KEY: Readonly<Record<TimerLane, number>> = { work: 3, approval: 4 };
const MEMBER_KEY: Readonly<Record<MemberSet, number>> = { waiters: 9, held: 10 };

export type ScriptArguments = { keys: string[]; args: (string | number)[] };

/** A valid commit as KEYS and ARGV of commit.lua. Flat texts: a commit is the hot path, and parsing JSON in Lua would double its cost. */
export function commitArguments(commit: Commit, keysOf: RedisKeys): ScriptArguments {
  const { partition, group, owner } = commit;
  const keys = [
    keysOf.commit(partition, commit.commitId),
    keysOf.created(partition),
    keysOf.timers(partition, "work"),
    keysOf.timers(partition, "approval"),
    keysOf.effects(partition),
    keysOf.claims(partition),
  ];
  if (group !== null) {
    keys.push(keysOf.group(partition, group.id), keysOf.lease(partition, group.id));
    keys.push(keysOf.members(partition, group.id, "waiters"), keysOf.members(partition, group.id, "held"));
  }
  const args: (string | number)[] = [
    owner,
    group === null ? "" : group.expectedVersion,
    group === null ? "" : versioned(group.expectedVersion + 1, group.value),
    group?.ttlMs ?? "",
    commit.instances.length,
    commit.effects.length,
    commit.effectLeaseMs,
    COMMIT_ID_TTL_MS,
    commit.settledEffectIds.length,
    commit.timersArmed.length,
    commit.timersCancelled.length,
    commit.membersAdded.length,
    commit.membersRemoved.length,
  ];
  for (const { id, expectedVersion, value, createdAtMs, historyLines } of commit.instances) {
    keys.push(keysOf.instance(partition, id), keysOf.history(partition, id));
    args.push(expectedVersion, versioned(expectedVersion + 1, value), historyText(historyLines));
    if (expectedVersion === 0) args.push(id, createdAtMs);
    else args.push("", "");
  }
  const claimOwner = commit.effectLeaseMs > 0 ? owner : "-";
  for (const { id, value } of commit.effects) args.push(id, `${claimOwner} ${value}`);
  args.push(...commit.settledEffectIds);
  for (const timer of commit.timersArmed) args.push(TIMER_KEY[timer.lane], timer.dueAtMs, timerMember(timer));
  for (const timer of commit.timersCancelled) args.push(TIMER_KEY[timer.lane], timerMember(timer));
  for (const { set, instanceId, order } of commit.membersAdded) args.push(MEMBER_KEY[set], order, instanceId);
  for (const { set, instanceId } of commit.membersRemoved) args.push(MEMBER_KEY[set], instanceId);
  return { keys, args };
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

import { COMMIT_ID_TTL_MS } from "../../model/limits.ts";
import type { Commit, EpisodeWrite, InstanceWrite, MemberSet, TimerKey, TimerLane } from "../store.ts";
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
  keys.push(keysOf.episodes(partition));
  const args: ScriptArgument[] = [COMMIT_ID_TTL_MS, Buffer.byteLength(keysOf.instance(partition, ""))];
  for (const commit of commits) addCommit({ keys, args }, commit, keysOf);
  return { keys, args };
}

function addCommit({ keys, args }: ScriptArguments, commit: Commit, keysOf: RedisKeys): void {
  const { partition, group } = commit;
  const created: InstanceWrite[] = [];
  const changed: InstanceWrite[] = [];
  for (const instance of commit.instances) (instance.expectedVersion === 0 ? created : changed).push(instance);
  keys.push(keysOf.commit(partition, commit.commitId));
  if (commit.follows !== null) keys.push(keysOf.commit(partition, commit.follows));
  if (group !== null) {
    keys.push(keysOf.group(partition, group.id), keysOf.lease(partition, group.id));
    if (group.kind === "write") for (const set of SETS) keys.push(keysOf.members(partition, group.id, set));
  }
  for (const { id } of created) keys.push(keysOf.instance(partition, id));
  for (const { id } of changed) keys.push(keysOf.instance(partition, id), keysOf.history(partition, id));
  // The head tells the numbers of rows, which are known when the rows stand behind it.
  const headAt = args.length;
  args.push("", group?.kind === "write" ? versioned(group.expectedVersion + 1, group.value) : "");
  const about = [
    commit.owner,
    commit.follows === null ? 0 : 1,
    group?.expectedVersion ?? "-",
    (group?.kind === "write" ? group.ttlMs : null) ?? "-",
    commit.effectClaimMs ?? 0,
  ];
  const counts = [created.length, addCreated(args, created), changed.length, ...addRows(args, commit, changed)];
  const rowCount = args.length - headAt - 2;
  args[headAt] = `${about.join(" ")} ${rowCount} ${counts.join(" ")}`;
}

/**
 * New instances as runs that have all but their heads and births in common, and answers how many there are: in a storm most instances of
 * a commit are the same decision, and half of their text is that.
 */
function addCreated(args: ScriptArgument[], created: readonly InstanceWrite[]): number {
  let runs = 0;
  for (let from = 0, to = 0; from < created.length; from = to) {
    const first = created[from] as InstanceWrite;
    while (to < created.length && isSameButBirth(first, created[to] as InstanceWrite)) to += 1;
    args.push(to - from, first.createdAtMs, first.body, linesAfterFirst(first.historyLines));
    for (let at = from; at < to; at += 1) {
      const { head, historyLines: lines } = created[at] as InstanceWrite;
      args.push(head, lines[0] ?? "");
    }
    runs += 1;
  }
  return runs;
}

/** Each behind a line break; "-": there is not even a first line. */
function linesAfterFirst(lines: readonly string[]): string {
  if (lines.length === 0) return "-";
  let text = "";
  for (let at = 1; at < lines.length; at += 1) text += `\n${lines[at]}`;
  return text;
}

function isSameButBirth(a: InstanceWrite, b: InstanceWrite): boolean {
  if (a.createdAtMs !== b.createdAtMs || a.body !== b.body || a.historyLines.length !== b.historyLines.length)
    return false;
  for (let at = 1; at < a.historyLines.length; at += 1) if (a.historyLines[at] !== b.historyLines[at]) return false;
  return true;
}

/** Adds the rows of every other kind, and answers the numbers of those that follow the changed instances. */
function addRows(args: ScriptArgument[], commit: Commit, changed: readonly InstanceWrite[]): number[] {
  const counts: number[] = [];
  const add = <Item>(items: readonly Item[], write: (item: Item) => void) => {
    counts.push(items.length);
    for (const item of items) write(item);
  };
  for (const { expectedVersion, expectedHead, head, body, historyLines } of changed) {
    const expected = expectedHead === null ? expectedVersion : versioned(expectedVersion, expectedHead);
    args.push(expected, versioned(expectedVersion + 1, `${head} ${body}`), historyText(historyLines));
  }
  addEpisodes(args, commit.episodes, counts);
  for (const set of SETS) {
    add(ofSet(commit.membersAdded, set), ({ order, instanceId }) => args.push(order, instanceId));
  }
  for (const set of SETS) add(ofSet(commit.membersRemoved, set), ({ instanceId }) => args.push(instanceId));
  const claimOwner = commit.effectClaimMs === null ? "" : commit.owner;
  add(commit.effects, ({ id, value }) => args.push(id, `${claimOwner} ${value}`));
  add(commit.settledEffectIds, (id) => args.push(id));
  for (const lane of LANES) {
    add(ofLane(commit.timersArmed, lane), (timer) => args.push(timer.dueAtMs, timerMember(timer)));
  }
  for (const lane of LANES) add(ofLane(commit.timersCancelled, lane), (timer) => args.push(timerMember(timer)));
  return counts;
}

/** New records, then changed ones. */
function addEpisodes(args: ScriptArgument[], episodes: readonly EpisodeWrite[], counts: number[]): void {
  let newCount = 0;
  for (const { key, expected, value } of episodes) {
    if (expected !== null) continue;
    newCount += 1;
    args.push(key, value);
  }
  if (newCount < episodes.length)
    for (const { key, expected, value } of episodes) if (expected !== null) args.push(key, expected, value);
  counts.push(newCount, episodes.length - newCount);
}

/** Most commits have no timers and no members: nothing is made for them. */
function ofLane<Item extends { readonly lane: TimerLane }>(timers: readonly Item[], lane: TimerLane): readonly Item[] {
  return timers.length === 0 ? timers : timers.filter((timer) => timer.lane === lane);
}

function ofSet<Item extends { readonly set: MemberSet }>(members: readonly Item[], set: MemberSet): readonly Item[] {
  return members.length === 0 ? members : members.filter((member) => member.set === set);
}

/** How much a commit adds to a script: instances and bytes bound how long the server is busy with it. */
export function commitSize({ instances, effects }: Commit): number {
  let size = COMMIT_AROUND_UNITS;
  for (const { head, body, historyLines } of instances) {
    size += head.length + body.length;
    for (const line of historyLines) size += line.length;
  }
  for (const { value } of effects) size += value.length;
  return size;
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

import { COMMIT_ID_TTL_MS } from "../../model/limits.ts";
import {
  type Commit,
  type EpisodeWrite,
  type InstanceWrite,
  type MemberSet,
  TALLY_SAMPLE_COUNT_MAX,
  type TallyWrite,
  type TimerKey,
  type TimerLane,
} from "../store.ts";
import { tallyText } from "../tally-text.ts";
import { addRow, emptyShape, headText, type Shape, shapeText } from "./commit-layout.ts";
import type { RedisKeys } from "./keys.ts";

type ScriptArgument = string | number;

export type ScriptArguments = { keys: string[]; args: ScriptArgument[] };

/** What a commit counts for beside its texts: its keys, its group, its numbers. */
const COMMIT_AROUND_UNITS = 2_000;

/** Valid commits of one partition as KEYS and ARGV of commit.lua. commit-layout.ts has the layout. */
export function commitArguments(partition: number, commits: readonly Commit[], keysOf: RedisKeys): ScriptArguments {
  const keys = [
    keysOf.created(partition),
    keysOf.effects(partition),
    keysOf.claims(partition),
    keysOf.timers(partition, "work"),
    keysOf.timers(partition, "approval"),
    keysOf.episodes(partition),
    keysOf.tallies(partition),
    keysOf.open(partition),
  ];
  const args: ScriptArgument[] = [
    COMMIT_ID_TTL_MS,
    Buffer.byteLength(keysOf.instance(partition, "")),
    TALLY_SAMPLE_COUNT_MAX,
  ];
  for (const commit of commits) addCommit({ keys, args }, commit, keysOf);
  return { keys, args };
}

function addCommit({ keys, args }: ScriptArguments, commit: Commit, keysOf: RedisKeys): void {
  const { group } = commit;
  const news = commit.instances.filter(isNew);
  const changed = news.length === commit.instances.length ? NO_INSTANCES : commit.instances.filter(isThere);
  addKeys(keys, { commit, news, changed }, keysOf);
  args.push(
    headText({
      owner: commit.owner,
      expectedVersion: group?.expectedVersion ?? "-",
      ttlMs: (group?.kind === "write" ? group.ttlMs : null) ?? "-",
      claimMs: commit.effectClaimMs ?? 0,
    }),
  );
  // The shape tells the numbers of rows, which are known when the rows stand behind it.
  const shapeAt = args.length;
  args.push("", group?.kind === "write" ? versioned(group.expectedVersion + 1, group.value) : "");
  const shape = emptyShape();
  shape.follows = commit.afterCommitId === null ? 0 : 1;
  shape.group = groupShape(group);
  shape.runs = addNews(args, news);
  shape.news = news.length;
  shape.changed = addChanged(args, changed);
  addRest(args, commit, shape);
  args[shapeAt] = shapeText(shape);
}

const isNew = ({ expectedVersion }: InstanceWrite): boolean => expectedVersion === 0;
const isThere = ({ expectedVersion }: InstanceWrite): boolean => expectedVersion > 0;

function groupShape(group: Commit["group"]): number {
  if (group === null) return 0;
  if (group.kind === "check") return 1;
  return group.areSetsEmpty === true ? 2 : 3;
}

type Sorted = { commit: Commit; news: readonly InstanceWrite[]; changed: readonly InstanceWrite[] };

function addKeys(keys: string[], { commit, news, changed }: Sorted, keysOf: RedisKeys): void {
  const { partition, group } = commit;
  keys.push(keysOf.commit(partition, commit.commitId));
  if (commit.afterCommitId !== null) keys.push(keysOf.commit(partition, commit.afterCommitId));
  if (group !== null) {
    keys.push(keysOf.group(partition, group.id), keysOf.lease(partition, group.id));
    if (group.kind === "write" && group.areSetsEmpty !== true)
      keys.push(keysOf.members(partition, group.id, "waiters"), keysOf.members(partition, group.id, "held"));
  }
  for (const { id } of news) keys.push(keysOf.instance(partition, id));
  for (const { id } of changed) keys.push(keysOf.instance(partition, id), keysOf.history(partition, id));
}

/**
 * New instances as runs that have all but their heads and births in common, and answers how many runs there are: in a
 * storm most instances of a commit are the same decision, and half of their text is that.
 */
function addNews(args: ScriptArgument[], news: readonly InstanceWrite[]): number {
  let runs = 0;
  for (let from = 0, to = 0; from < news.length; from = to) {
    const first = news[from] as InstanceWrite;
    while (to < news.length && isSameButBirth(first, news[to] as InstanceWrite)) to += 1;
    const { createdAtMs, body, historyLines } = first;
    addRow(args, "run", { count: to - from, createdAtMs, body, linesAfterFirst: linesAfterFirst(historyLines) });
    for (let at = from; at < to; at += 1) {
      const { head, historyLines: lines } = news[at] as InstanceWrite;
      addRow(args, "new", { head, firstLine: lines[0] ?? "" });
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

function addChanged(args: ScriptArgument[], changed: readonly InstanceWrite[]): number {
  for (const { expectedVersion, expectedHead, head, body, historyLines } of changed) {
    addRow(args, "changed", {
      expected: expectedHead === null ? expectedVersion : versioned(expectedVersion, expectedHead),
      checkpoint: versioned(expectedVersion + 1, `${head} ${body}`),
      lines: historyText(historyLines),
    });
  }
  return changed.length;
}

/** Adds the rows behind those of instances, in the order of the layout, and says in the shape how many there are. */
function addRest(args: ScriptArgument[], commit: Commit, shape: Shape): void {
  const { instances, tallies, membersAdded, membersRemoved, timersArmed, timersCancelled } = commit;
  for (const instance of instances) shape.openRemoved += addPlaces(args, instance, instance.wasOpenUnder);
  for (const instance of instances) shape.openAdded += addPlaces(args, instance, instance.openUnder);
  addEpisodes(args, commit.episodes, shape);
  if (tallies !== undefined && tallies.length > 0) addTallies(args, tallies, shape);
  // Most commits have no members and no timers.
  if (membersAdded.length + membersRemoved.length > 0) addMembers(args, commit, shape);
  addEffects(args, commit, shape);
  if (timersArmed.length + timersCancelled.length > 0) addTimers(args, commit, shape);
}

function addPlaces(args: ScriptArgument[], instance: InstanceWrite, places: readonly string[] = NOTHING): number {
  for (const under of places) addRow(args, "open", { member: openMember(under, instance) });
  return places.length;
}

/** New ones, then those that change, then those that are only compared. */
function addEpisodes(args: ScriptArgument[], episodes: readonly EpisodeWrite[], shape: Shape): void {
  for (const { key, expected, value: record } of episodes) {
    if (expected !== null) continue;
    addRow(args, "newEpisode", { key, record });
    shape.newEpisodes += 1;
  }
  for (const { key, expected, value: record } of episodes) {
    if (expected === null || expected === record) continue;
    addRow(args, "changedEpisode", { key, expected, record });
    shape.changedEpisodes += 1;
  }
  for (const { key, expected, value: record } of episodes) {
    if (expected !== record) continue;
    addRow(args, "sameEpisode", { key, expected });
    shape.sameEpisodes += 1;
  }
}

function addTallies(args: ScriptArgument[], tallies: readonly TallyWrite[], shape: Shape): void {
  for (const write of tallies) {
    if (write.kind !== "take") continue;
    const { key, expected } = write;
    addRow(args, "tallyTaken", { key, expected: expected === null ? "" : tallyText(expected) });
    shape.talliesTaken += 1;
  }
  for (const write of tallies) {
    if (write.kind !== "count") continue;
    const { key, added, removed } = write;
    addRow(args, "tallyCounted", {
      key,
      change: added.length - removed.length,
      removed: removed.join(" "),
      added: added.slice(0, TALLY_SAMPLE_COUNT_MAX).join(" "),
    });
    shape.talliesCounted += 1;
  }
}

function addMembers(args: ScriptArgument[], { membersAdded, membersRemoved }: Commit, shape: Shape): void {
  const added = (of: MemberSet): number => {
    const rows = membersAdded.filter(({ set }) => set === of);
    for (const { order, instanceId: id } of rows) addRow(args, "memberAdded", { order, id });
    return rows.length;
  };
  const removed = (of: MemberSet): number => {
    const rows = membersRemoved.filter(({ set }) => set === of);
    for (const { instanceId: id } of rows) addRow(args, "memberRemoved", { id });
    return rows.length;
  };
  shape.waitersAdded = added("waiters");
  shape.heldAdded = added("held");
  shape.waitersRemoved = removed("waiters");
  shape.heldRemoved = removed("held");
}

function addEffects(args: ScriptArgument[], commit: Commit, shape: Shape): void {
  const { effects, settledEffectIds, effectClaimMs, owner } = commit;
  const claimOwner = effectClaimMs === null ? "" : owner;
  for (const { id, value } of effects) addRow(args, "effect", { id, claimed: `${claimOwner} ${value}` });
  for (const id of settledEffectIds) addRow(args, "settled", { id });
  shape.effects = effects.length;
  shape.settled = settledEffectIds.length;
}

function addTimers(args: ScriptArgument[], { timersArmed, timersCancelled }: Commit, shape: Shape): void {
  const armed = (of: TimerLane): number => {
    const rows = timersArmed.filter(({ lane }) => lane === of);
    for (const timer of rows) addRow(args, "timerArmed", { dueAtMs: timer.dueAtMs, member: timerMember(timer) });
    return rows.length;
  };
  const cancelled = (of: TimerLane): number => {
    const rows = timersCancelled.filter(({ lane }) => lane === of);
    for (const timer of rows) addRow(args, "timerCancelled", { member: timerMember(timer) });
    return rows.length;
  };
  shape.workArmed = armed("work");
  shape.approvalArmed = armed("approval");
  shape.workCancelled = cancelled("work");
  shape.approvalCancelled = cancelled("approval");
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
 * A timer in a sorted set. Redis sorts members of equal due time by their bytes, and this text's bytes sort like
 * (owner, name, arm): a space is below every byte of an owner or a name, and the arm's digits follow a letter that
 * tells how many they are. So the first rows of a partition are the first in the port's order, however many timers are
 * due at one millisecond.
 */
export function timerMember({ owner, name, arm }: TimerKey): string {
  const digits = String(arm);
  return `${owner} ${name} ${String.fromCharCode(0x60 + digits.length)}${digits}`;
}

export function parseTimerMember(member: string): { owner: string; name: string; arm: number } {
  const [owner = "", name = "", arm = ""] = member.split(" ");
  return { owner, name, arm: Number(arm.slice(1)) };
}

const NOTHING: readonly string[] = [];
const NO_INSTANCES: readonly InstanceWrite[] = [];

const TIME_DIGIT_COUNT = 16;

/**
 * A place in the set of what is not at rest. All scores are equal, so members are sorted by their bytes: by what they
 * are found under, then by creation time and id, as lists are.
 */
export function openMember(under: string, { id, createdAtMs }: { id: string; createdAtMs: number }): string {
  return `${under} ${String(createdAtMs).padStart(TIME_DIGIT_COUNT, "0")}_${id}`;
}

export function parseOpenMember(member: string): { id: string; createdAtMs: number } {
  const from = member.indexOf(" ") + 1;
  return {
    id: member.slice(from + TIME_DIGIT_COUNT + 1),
    createdAtMs: Number(member.slice(from, from + TIME_DIGIT_COUNT)),
  };
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

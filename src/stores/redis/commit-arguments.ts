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
import { addRow, type HeadField, headText } from "./commit-layout.ts";
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
  const news: InstanceWrite[] = [];
  const changed: InstanceWrite[] = [];
  for (const instance of commit.instances) (instance.expectedVersion === 0 ? news : changed).push(instance);
  addKeys(keys, { commit, news, changed }, keysOf);
  // The head tells the numbers of rows, which are known when the rows stand behind it.
  const headAt = args.length;
  args.push("", group?.kind === "write" ? versioned(group.expectedVersion + 1, group.value) : "");
  const runs = addNews(args, news);
  addChanged(args, changed);
  const counts = addRest(args, commit);
  args[headAt] = headText({
    owner: commit.owner,
    follows: commit.afterCommitId === null ? 0 : 1,
    expectedVersion: group?.expectedVersion ?? "-",
    ttlMs: (group?.kind === "write" ? group.ttlMs : null) ?? "-",
    claimMs: commit.effectClaimMs ?? 0,
    argumentCount: args.length - headAt - 2,
    runs,
    news: news.length,
    changed: changed.length,
    ...counts,
  });
}

type Sorted = { commit: Commit; news: readonly InstanceWrite[]; changed: readonly InstanceWrite[] };

function addKeys(keys: string[], { commit, news, changed }: Sorted, keysOf: RedisKeys): void {
  const { partition, group } = commit;
  keys.push(keysOf.commit(partition, commit.commitId));
  if (commit.afterCommitId !== null) keys.push(keysOf.commit(partition, commit.afterCommitId));
  if (group !== null) {
    keys.push(keysOf.group(partition, group.id), keysOf.lease(partition, group.id));
    if (group.kind === "write")
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

function addChanged(args: ScriptArgument[], changed: readonly InstanceWrite[]): void {
  for (const { expectedVersion, expectedHead, head, body, historyLines } of changed) {
    addRow(args, "changed", {
      expected: expectedHead === null ? expectedVersion : versioned(expectedVersion, expectedHead),
      checkpoint: versioned(expectedVersion + 1, `${head} ${body}`),
      lines: historyText(historyLines),
    });
  }
}

type RestField = Exclude<HeadField, "owner" | "follows" | "expectedVersion" | "ttlMs" | "claimMs" | "argumentCount">;

/** Adds the rows behind those of instances, in the order of the layout, and answers how many of each there are. */
function addRest(
  args: ScriptArgument[],
  commit: Commit,
): Record<Exclude<RestField, "runs" | "news" | "changed">, number> {
  const { membersAdded, membersRemoved, timersArmed, timersCancelled } = commit;
  const added = (set: MemberSet) =>
    count(ofSet(membersAdded, set), ({ order, instanceId: id }) => addRow(args, "memberAdded", { order, id }));
  const removed = (set: MemberSet) =>
    count(ofSet(membersRemoved, set), ({ instanceId: id }) => addRow(args, "memberRemoved", { id }));
  const armed = (lane: TimerLane) =>
    count(ofLane(timersArmed, lane), (timer) =>
      addRow(args, "timerArmed", { dueAtMs: timer.dueAtMs, member: timerMember(timer) }),
    );
  const cancelled = (lane: TimerLane) =>
    count(ofLane(timersCancelled, lane), (timer) => addRow(args, "timerCancelled", { member: timerMember(timer) }));
  const { episodes } = commit;
  const places = (which: "openUnder" | "wasOpenUnder") => {
    let total = 0;
    for (const instance of commit.instances)
      total += count(instance[which] ?? NOTHING, (under) =>
        addRow(args, "open", { member: openMember(under, instance) }),
      );
    return total;
  };
  const claimOwner = commit.effectClaimMs === null ? "" : commit.owner;
  // Each adds its rows as it is counted.
  return {
    openRemoved: places("wasOpenUnder"),
    openAdded: places("openUnder"),
    newEpisodes: count(withExpected(episodes, false), ({ key, value: record }) =>
      addRow(args, "newEpisode", { key, record }),
    ),
    changedEpisodes: count(withExpected(episodes, true), ({ key, expected, value: record }) =>
      addRow(args, "changedEpisode", { key, expected: expected as string, record }),
    ),
    ...addTallies(args, commit.tallies),
    waitersAdded: added("waiters"),
    heldAdded: added("held"),
    waitersRemoved: removed("waiters"),
    heldRemoved: removed("held"),
    effects: count(commit.effects, ({ id, value }) =>
      addRow(args, "effect", { id, claimed: `${claimOwner} ${value}` }),
    ),
    settled: count(commit.settledEffectIds, (id) => addRow(args, "settled", { id })),
    workArmed: armed("work"),
    approvalArmed: armed("approval"),
    workCancelled: cancelled("work"),
    approvalCancelled: cancelled("approval"),
  };
}

function addTallies(
  args: ScriptArgument[],
  tallies: readonly TallyWrite[] = [],
): Record<"talliesTaken" | "talliesCounted", number> {
  let talliesTaken = 0;
  for (const write of tallies) {
    if (write.kind !== "take") continue;
    const { key, expected } = write;
    addRow(args, "tallyTaken", { key, expected: expected === null ? "" : tallyText(expected) });
    talliesTaken += 1;
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
  }
  return { talliesTaken, talliesCounted: tallies.length - talliesTaken };
}

function count<Item>(items: readonly Item[], add: (item: Item) => void): number {
  for (const item of items) add(item);
  return items.length;
}

/** Those of a record that was there, or those of a new one. */
function withExpected(episodes: readonly EpisodeWrite[], isThere: boolean): readonly EpisodeWrite[] {
  return episodes.length === 0 ? episodes : episodes.filter(({ expected }) => (expected !== null) === isThere);
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

/** Both sides of the protocol of commits, TypeScript's and Lua's, read one table. */
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { withLayout } from "../../scripts/commit-layout.ts";
import { commitArguments, timerMember } from "../../src/stores/redis/commit-arguments.ts";
import { redisKeys } from "../../src/stores/redis/keys.ts";
import type { Commit, InstanceWrite, MemberSet, TimerLane } from "../../src/stores/store.ts";
import { checkedGroup, commitOf, groupOf } from "../contract/store-fixtures.ts";
import { useRedis } from "../support/redis-server.ts";

const lua = readFileSync(new URL("../../src/stores/redis/scripts/commit.lua", import.meta.url), "utf8");
const keysOf = redisKeys({ prefix: "becalm", namespace: "default" }, 4);

test("commit.lua names what the table names: run `npm run generate` after changing it", () => {
  expect(withLayout(lua)).toBe(lua);
});

/** The script as far as it reads a commit's head, and then every row by its name instead of what it does with them. */
const reading = `${lua.slice(0, lua.indexOf("-- Why a commit is not applied"))}
local function rows_of(kind, count)
  local rows = {}
  for index = 1, tonumber(count) do
    rows[index] = {}
    for name, at in pairs(kind) do
      if name ~= 'width' then rows[index][name] = ARGV[row + at] end
    end
    row = row + kind.width
  end
  return rows
end
local told = {}
local next_key, next_first = FIRST_KEY, FIRST_ARGUMENT
while next_key <= #KEYS do
  local commit = commit_at(next_key, next_first)
  row = commit.first_row
  local shape = commit.shape
  local news, key = {}, commit.new_at
  for _ = 1, shape.runs do
    local run = rows_of(RUN, 1)[1]
    for _, new in ipairs(rows_of(NEW, run.count)) do
      for name, value in pairs(run) do new[name] = value end
      new.key, key = KEYS[key], key + 1
      news[#news + 1] = new
    end
  end
  commit.news = news
  commit.is_changed_where_said = row == commit.first_changed_row
  commit.changed = rows_of(CHANGED, shape.changed)
  for index, changed in ipairs(commit.changed) do
    changed.key = KEYS[commit.changed_at + index * 2 - 2]
    changed.history = KEYS[commit.changed_at + index * 2 - 1]
  end
  commit.open_removed, commit.open_added = rows_of(ROW.open, shape.open_removed), rows_of(ROW.open, shape.open_added)
  commit.are_episodes_where_said = row == commit.first_episode_row
  commit.new_episodes = rows_of(ROW.new_episode, shape.new_episodes)
  commit.changed_episodes = rows_of(ROW.changed_episode, shape.changed_episodes)
  commit.same_episodes = rows_of(ROW.same_episode, shape.same_episodes)
  commit.are_tallies_where_said = row == commit.first_tally_row
  commit.tallies_taken = rows_of(ROW.tally_taken, shape.tallies_taken)
  commit.tallies_counted = rows_of(ROW.tally_counted, shape.tallies_counted)
  for _, under in ipairs({ 'waiters_added', 'held_added' }) do commit[under] = rows_of(ROW.member_added, shape[under]) end
  for _, under in ipairs({ 'waiters_removed', 'held_removed' }) do commit[under] = rows_of(ROW.member_removed, shape[under]) end
  commit.effects, commit.settled = rows_of(ROW.effect, shape.effects), rows_of(ROW.settled, shape.settled)
  for _, under in ipairs({ 'work_armed', 'approval_armed' }) do commit[under] = rows_of(ROW.timer_armed, shape[under]) end
  for _, under in ipairs({ 'work_cancelled', 'approval_cancelled' }) do commit[under] = rows_of(ROW.timer_cancelled, shape[under]) end
  next_key, next_first = commit.next_key, commit.next_first
  commit.is_whole = row == commit.next_first
  commit.follows, commit.group_shape = shape.follows, shape.group
  for _, name in ipairs({ 'shape', 'new_at', 'changed_at', 'first_row', 'first_changed_row', 'first_episode_row', 'first_tally_row', 'next_key', 'next_first' }) do
    commit[name] = nil
  end
  told[#told + 1] = commit
end
return cjson.encode(told)`;

const text = fc
  .string({ unit: "binary" })
  .map((drawn) => drawn.replaceAll("\n", "").replaceAll(/[\ud800-\udfff]/g, ""));
const token = fc.string({ unit: fc.constantFrom("a", "é", "7", ":", "-"), minLength: 1, maxLength: 6 });
const wholeNumber = fc.integer({ min: 0, max: 9_999 });
const lane = fc.constantFrom<TimerLane>("work", "approval");
const set = fc.constantFrom<MemberSet>("waiters", "held");
const timer = fc.record({ lane, owner: token, name: token, arm: wholeNumber, partition: fc.constant(1) });
const instances = fc.uniqueArray(
  fc.record({
    id: token.map((name) => `01-${name}`),
    expectedVersion: fc.constantFrom(0, 0, 0, 1, 12),
    expectedHead: fc.option(token),
    head: token,
    body: fc.constantFrom("same", "other body"),
    createdAtMs: fc.constantFrom(5, 7),
    historyLines: fc.array(fc.constantFrom("", "birth", "a line"), { maxLength: 3 }),
    openUnder: fc.array(token, { maxLength: 2 }),
    wasOpenUnder: fc.array(token, { maxLength: 2 }),
  }),
  { selector: ({ id }) => id, maxLength: 8 },
);

const commit: fc.Arbitrary<Commit> = fc
  .record({
    owner: token,
    afterCommitId: fc.option(token.map((id) => `before ${id}`)),
    group: fc.option(
      fc.record({
        id: text,
        version: wholeNumber,
        value: text,
        isWritten: fc.boolean(),
        areSetsEmpty: fc.boolean(),
        ttlMs: fc.option(fc.integer({ min: 1 })),
      }),
    ),
    instances,
    effects: fc.array(fc.record({ id: token, partition: fc.constant(1), value: text }), { maxLength: 3 }),
    effectClaimMs: fc.option(fc.integer({ min: 1 })),
    episodes: fc.array(
      fc.oneof(
        fc.record({ key: token, expected: fc.option(text), value: text }),
        fc.tuple(token, text).map(([key, record]) => ({ key, expected: record, value: record })),
      ),
      { maxLength: 3 },
    ),
    tallies: fc.uniqueArray(
      fc.oneof(
        fc.record({
          kind: fc.constant("take" as const),
          key: token,
          expected: fc.option(fc.record({ count: wholeNumber, sample: fc.array(token, { maxLength: 2 }) })),
        }),
        fc.record({
          kind: fc.constant("count" as const),
          key: token,
          added: fc.array(token, { maxLength: 24 }),
          removed: fc.array(token, { maxLength: 2 }),
        }),
      ),
      { selector: ({ key }) => key, maxLength: 3 },
    ),
    settledEffectIds: fc.array(token, { maxLength: 3 }),
    timersArmed: fc.array(
      fc.record({ dueAtMs: wholeNumber }).chain((due) => timer.map((key) => ({ ...key, ...due }))),
      { maxLength: 3 },
    ),
    timersCancelled: fc.array(timer, { maxLength: 3 }),
    added: fc.array(fc.record({ set, instanceId: token, order: wholeNumber }), { maxLength: 3 }),
    removed: fc.array(fc.record({ set, instanceId: token }), { maxLength: 3 }),
  })
  .map(({ group, added, removed, ...rest }) => {
    const isWritten = group?.isWritten === true;
    const written = group === null ? null : { ...groupOf(group.version, group), value: group.value };
    return commitOf({
      ...rest,
      partition: 1,
      group: group === null || written === null ? null : isWritten ? written : checkedGroup(group.version, group.id),
      membersAdded: isWritten && !group.areSetsEmpty ? added : [],
      membersRemoved: isWritten && !group.areSetsEmpty ? removed : [],
    });
  });

/** What the script must read, written out by name once more. */
function expected(of: Commit): Record<string, unknown> {
  const { group } = of;
  const isWritten = group?.kind === "write";
  const members = (rows: Commit["membersAdded"], in_: MemberSet) =>
    rows.filter((row) => row.set === in_).map(({ order, instanceId: id }) => ({ order: String(order), id }));
  const gone = (in_: MemberSet) =>
    of.membersRemoved.filter((row) => row.set === in_).map(({ instanceId: id }) => ({ id }));
  const armed = (in_: TimerLane) =>
    of.timersArmed
      .filter((row) => row.lane === in_)
      .map((row) => ({ due_at_ms: String(row.dueAtMs), member: timerMember(row) }));
  const cancelled = (in_: TimerLane) =>
    of.timersCancelled.filter((row) => row.lane === in_).map((row) => ({ member: timerMember(row) }));
  return {
    owner: of.owner,
    follows: of.afterCommitId === null ? 0 : 1,
    group_shape: group === null ? 0 : isWritten ? (group.areSetsEmpty === true ? 2 : 3) : 1,
    expected_version: String(group?.expectedVersion ?? "-"),
    ttl_ms: String((isWritten ? group.ttlMs : null) ?? "-"),
    claim_ms: String(of.effectClaimMs ?? 0),
    group_value: isWritten ? `${group.expectedVersion + 1} ${group.value}` : "",
    is_changed_where_said: true,
    are_episodes_where_said: true,
    are_tallies_where_said: true,
    is_whole: true,
    own_key: keysOf.commit(1, of.commitId),
    ...(of.afterCommitId === null ? {} : { before_key: keysOf.commit(1, of.afterCommitId) }),
    ...(group === null ? {} : { group_key: keysOf.group(1, group.id), lease_key: keysOf.lease(1, group.id) }),
    ...(isWritten && group.areSetsEmpty !== true
      ? { waiters_key: keysOf.members(1, group.id, "waiters"), held_key: keysOf.members(1, group.id, "held") }
      : {}),
    news: of.instances.filter(({ expectedVersion }) => expectedVersion === 0).map(newRow),
    changed: of.instances.filter(({ expectedVersion }) => expectedVersion > 0).map(changedRow),
    open_removed: of.instances.flatMap((instance) => places(instance, instance.wasOpenUnder)),
    open_added: of.instances.flatMap((instance) => places(instance, instance.openUnder)),
    new_episodes: of.episodes
      .filter(({ expected: before }) => before === null)
      .map(({ key, value: record }) => ({ key, record })),
    changed_episodes: of.episodes
      .filter(({ expected: before, value }) => before !== null && before !== value)
      .map(({ key, expected: before, value: record }) => ({ key, expected: before, record })),
    same_episodes: of.episodes
      .filter(({ expected: before, value }) => before === value)
      .map(({ key, expected: before }) => ({ key, expected: before })),
    tallies_taken: (of.tallies ?? []).flatMap((write) =>
      write.kind === "take"
        ? [
            {
              key: write.key,
              expected: [write.expected?.count ?? [], ...(write.expected?.sample ?? [])].flat().join(" "),
            },
          ]
        : [],
    ),
    tallies_counted: (of.tallies ?? []).flatMap((write) => {
      if (write.kind === "take") return [];
      const { key, added, removed } = write;
      const change = String(added.length - removed.length);
      return [{ key, change, removed: removed.join(" "), added: added.slice(0, 20).join(" ") }];
    }),
    waiters_added: members(of.membersAdded, "waiters"),
    held_added: members(of.membersAdded, "held"),
    waiters_removed: gone("waiters"),
    held_removed: gone("held"),
    effects: of.effects.map(({ id, value }) => ({
      id,
      claimed: `${of.effectClaimMs === null ? "" : of.owner} ${value}`,
    })),
    settled: of.settledEffectIds.map((id) => ({ id })),
    work_armed: armed("work"),
    approval_armed: armed("approval"),
    work_cancelled: cancelled("work"),
    approval_cancelled: cancelled("approval"),
  };
}

function places({ id, createdAtMs }: InstanceWrite, under: readonly string[] = []) {
  return under.map((name) => ({ member: `${name} ${String(createdAtMs).padStart(16, "0")}_${id}` }));
}

function newRow({ id, head, body, createdAtMs, historyLines: [first, ...others] }: InstanceWrite) {
  const lines_after_first = first === undefined ? "-" : others.map((line) => `\n${line}`).join("");
  const own = { key: keysOf.instance(1, id), head, first_line: first ?? "" };
  return { ...own, count: expect.any(String), created_at_ms: String(createdAtMs), body, lines_after_first };
}

function changedRow({ id, expectedVersion, expectedHead, head, body, historyLines }: InstanceWrite) {
  return {
    key: keysOf.instance(1, id),
    history: keysOf.history(1, id),
    expected: expectedHead === null ? String(expectedVersion) : `${expectedVersion} ${expectedHead}`,
    checkpoint: `${expectedVersion + 1} ${head} ${body}`,
    lines: historyLines.map((line) => `${line}\n`).join(""),
  };
}

describe("a commit that TypeScript writes", () => {
  const server = useRedis();
  let client: Redis;
  beforeAll(() => {
    client = new Redis(server.url);
  });
  afterAll(() => client.quit());

  test("is what Lua reads, whatever commits lie beside it", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(commit, { minLength: 1, maxLength: 4 }), async (commits) => {
        const { keys, args } = commitArguments(1, commits, keysOf);
        const told = JSON.parse((await client.eval(reading, keys.length, ...keys, ...args)) as string) as unknown;
        // An empty table is an object to cjson.
        const read = JSON.parse(JSON.stringify(told).replaceAll("{}", "[]")) as unknown;
        expect(read).toEqual(commits.map(expected));
      }),
      { numRuns: 200 },
    );
  });
});

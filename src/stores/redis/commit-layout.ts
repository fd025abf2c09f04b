/**
 * How a commit lies in KEYS and ARGV of commit.lua: the one table that both sides read. commit-arguments.ts writes by
 * these names; scripts/commit-layout.ts makes the names of the script and the comment at its head from them (`npm run
 * generate`), and a test says when that was forgotten.
 *
 * Flat texts with counts: a commit is the hot path, and parsing JSON in Lua would double its cost.
 */

/** What a name holds, in the order in which the values lie. */
type Names = Readonly<Record<string, string>>;

/** Keys that all commits of a call share. */
export const SHARED_KEYS = {
  created: "zset: instance id by creation time (ms)",
  effects: 'hash: effect id -> "<owner of the claim> <value>", the owner empty while nobody claimed it',
  claims: "zset: effect id by when its claim runs out (ms, server time); never claimed: when it was committed",
  workTimers: "zset: timer of the lane work by due time (ms)",
  approvalTimers: "zset: timer of the lane approval by due time (ms)",
  episodes: "hash: policy and alert -> record of its episodes",
  tallies: 'hash: group and opening -> "<how many>", then behind each space the id of one of the first',
  open: 'zset, all scores 0: "<what it is found under> <creation time, 16 digits>_<instance id>"',
} as const satisfies Names;

/** Arguments that all commits of a call share. */
export const SHARED_ARGUMENTS = {
  commitIdTtlMs: "how long commit ids are remembered, in ms",
  instanceKeyHeadBytes: "how many bytes of an instance's key stand before its id",
  tallySampleCountMax: "of how many a tally keeps the ids",
} as const satisfies Names;

/** The first argument of a commit: words with a space between them. */
export const HEAD = {
  owner: "who commits",
  expectedVersion: 'of the group: "-" no group, "0" must not exist',
  ttlMs: 'of the group, "-" keep it',
  claimMs: "how long its effects are claimed, 0 by nobody",
} as const satisfies Names;

/**
 * The second argument: numbers with a space between them, which say how the keys and rows of the commit lie. Commits of
 * one kind have one shape, so the script reads it once for all of them. Each number of rows has the name of its rows.
 */
export const SHAPE = {
  follows: "1 when it follows a commit, 0 when not",
  group: "0 none, 1 only compared, 2 written and nobody is in its sets, 3 written",
  runs: "number of runs of new instances",
  news: "number of new instances in all runs",
  changed: "number of changed instances",
  openRemoved: "number of places",
  openAdded: "number of places",
  newEpisodes: "number of records",
  changedEpisodes: "number of records",
  sameEpisodes: "number of records",
  talliesTaken: "number of tallies",
  talliesCounted: "number of tallies",
  waitersAdded: "number of members",
  heldAdded: "number of members",
  waitersRemoved: "number of members",
  heldRemoved: "number of members",
  effects: "number of effects",
  settled: "number of settled effects",
  workArmed: "number of timers",
  approvalArmed: "number of timers",
  workCancelled: "number of timers",
  approvalCancelled: "number of timers",
} as const satisfies Names;

/** The third argument of a commit. */
export const GROUP_VALUE = 'the group\'s new "<version> <value>", "" without a group or when it is only compared';

/** One row of each kind. Where a row has a score, it stands first, as in the server's own commands. */
export const ROWS = {
  run: {
    count: "how many new instances, which differ in their heads and first lines only",
    createdAtMs: "creation time in ms",
    body: "of the checkpoint",
    linesAfterFirst: 'each behind a "\\n" ("-": there is no line at all)',
  },
  new: { head: "of the checkpoint", firstLine: "" },
  changed: {
    expected: 'version, or "<version> <head>"',
    checkpoint: 'new "<version> <checkpoint>"',
    lines: "to append, each ended by a line break",
  },
  open: { member: "" },
  newEpisode: { key: "", record: "" },
  changedEpisode: { key: "", expected: "the record that was read", record: "" },
  sameEpisode: { key: "", expected: "the record that was read, and stays" },
  tallyTaken: { key: "", expected: 'the text that was read, "" when there was none' },
  tallyCounted: {
    key: "",
    change: "how many more",
    removed: "ids, a space between them",
    added: "the same: as many as may be kept",
  },
  memberAdded: { order: "", id: "" },
  memberRemoved: { id: "" },
  effect: { id: "", claimed: '"<owner of the claim> <value>"' },
  settled: { id: "" },
  timerArmed: { dueAtMs: "", member: "" },
  timerCancelled: { member: "" },
} as const satisfies Readonly<Record<string, Names>>;

/**
 * The rows of a commit, all of one kind before the next. `under`: the number in its shape that says how many there are.
 */
export const ROW_ORDER = [
  { under: "runs", kind: "run", each: "new" },
  { under: "changed", kind: "changed" },
  { under: "openRemoved", kind: "open" },
  { under: "openAdded", kind: "open" },
  { under: "newEpisodes", kind: "newEpisode" },
  { under: "changedEpisodes", kind: "changedEpisode" },
  { under: "sameEpisodes", kind: "sameEpisode" },
  { under: "talliesTaken", kind: "tallyTaken" },
  { under: "talliesCounted", kind: "tallyCounted" },
  { under: "waitersAdded", kind: "memberAdded" },
  { under: "heldAdded", kind: "memberAdded" },
  { under: "waitersRemoved", kind: "memberRemoved" },
  { under: "heldRemoved", kind: "memberRemoved" },
  { under: "effects", kind: "effect" },
  { under: "settled", kind: "settled" },
  { under: "workArmed", kind: "timerArmed" },
  { under: "approvalArmed", kind: "timerArmed" },
  { under: "workCancelled", kind: "timerCancelled" },
  { under: "approvalCancelled", kind: "timerCancelled" },
] as const satisfies readonly { under: keyof typeof SHAPE; kind: RowKind; each?: RowKind }[];

/** Keys of a commit, in this order; those of a group only with one, its sets only when somebody may be in them. */
export const COMMIT_KEYS = {
  own: "its id: empty string, lives as long as commit ids are remembered",
  before: "id of the commit that it follows, refused unless that one was applied (only when it follows one)",
  group: 'string "<version> <value>" (only with a group)',
  lease: "string: owner (only with a group)",
  waiters: "zset: instance id by order (only when the group is written and somebody may be in them)",
  held: "zset: instance id by order (only when the group is written and somebody may be in them)",
  news: 'of each new instance: string: a line "<version> <checkpoint>", then the lines of its first commit',
  changed: "of each changed instance: the same, and its history: string: the lines since its first commit",
} as const satisfies Names;

export type HeadField = keyof typeof HEAD;
export type Shape = Record<keyof typeof SHAPE, number>;
export type RowKind = keyof typeof ROWS;
export type Row<Kind extends RowKind> = Readonly<Record<keyof (typeof ROWS)[Kind], string | number>>;

const HEAD_FIELDS = Object.keys(HEAD) as HeadField[];
const SHAPE_FIELDS = Object.keys(SHAPE) as (keyof Shape)[];
const ROW_FIELDS = Object.fromEntries(
  Object.entries(ROWS).map(([kind, fields]) => [kind, Object.keys(fields)]),
) as unknown as { readonly [Kind in RowKind]: readonly (keyof Row<Kind>)[] };

/** The words of a head in their order. */
export function headText(head: Readonly<Record<HeadField, string | number>>): string {
  return HEAD_FIELDS.map((field) => head[field]).join(" ");
}

/** The numbers of a shape in their order. */
export function shapeText(shape: Readonly<Shape>): string {
  return SHAPE_FIELDS.map((field) => shape[field]).join(" ");
}

/** Of a commit that has nothing. */
export function emptyShape(): Shape {
  return { ...EMPTY_SHAPE };
}

const EMPTY_SHAPE = Object.fromEntries(SHAPE_FIELDS.map((field) => [field, 0])) as Shape;

/** Adds one row in the order of its fields. */
export function addRow<Kind extends RowKind>(args: (string | number)[], kind: Kind, row: Row<Kind>): void {
  for (const field of ROW_FIELDS[kind]) args.push(row[field]);
}

/** The fields of a kind of rows, in their order. */
export function rowFields<Kind extends RowKind>(kind: Kind): readonly (keyof Row<Kind>)[] {
  return ROW_FIELDS[kind];
}

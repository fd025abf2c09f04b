/**
 * `becalm fork`: the other future of an instance, or of a group. Its group is played in memory; the store is only read.
 */
import { acceptedText } from "../instance/accepted-events.ts";
import { type EventInput, readEvent } from "../instance/event-input.ts";
import { parseDuration } from "../model/duration.ts";
import { BecalmError } from "../model/errors.ts";
import { count } from "../present/text-table.ts";
import { isoTime } from "../present/time-text.ts";
import { type Change, Comparison, isSameOutcome, type OutcomeRow } from "../simulate/diff.ts";
import { forkedGroup, forkedInstance, type TriedEvent } from "../simulate/fork.ts";
import { TotalsByPolicy } from "../simulate/policy-totals.ts";
import { nameOfId } from "../simulate/recorded-history.ts";
import { Recording } from "../simulate/recording.ts";
import { instanceAfter } from "../simulate/replay.ts";
import { recordStored } from "../simulate/stored-recording.ts";
import type { Timeline } from "../simulate/timeline.ts";
import { playTimeline } from "../what-if.ts";
import { readAssumptions } from "./assumptions.ts";
import { diffText } from "./diff-text.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { placeInHistory } from "./past.ts";
import { nowOf } from "./since-option.ts";
import type { Terminal } from "./terminal.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type ForkOptions = StoreOptions & {
  readonly id?: string | undefined;
  readonly group?: string;
  readonly at?: string;
  readonly event?: readonly string[];
  readonly assume?: readonly string[];
  readonly json: boolean;
};

type Read = {
  readonly recording: Recording;
  readonly partitions: number;
  readonly timeline: Timeline;
  readonly forked: Timeline;
};

export async function fork(terminal: Terminal, options: ForkOptions): Promise<number> {
  const { id, group, event = [] } = options;
  if ((id === undefined) === (group === undefined)) throw usedWrongly("Give an id, or --group.");
  if (event.length === 0) throw usedWrongly(`Say what happens instead: --event '{"type":"approval.granted"}'.`);
  if (id !== undefined && options.at === undefined) throw usedWrongly("Say from when on: --at VERSION or --at TIME.");
  const read = await withReading(options, "fork", (reader, named) =>
    named.id === undefined
      ? readGroup(terminal, reader, named)
      : readInstance(terminal, reader, { ...named, id: named.id }),
  );
  const names = [...read.recording.versions.values()].map(({ name }) => name);
  const assumptions = readAssumptions(options.assume ?? [], names);
  const play = async (timeline: Timeline) => {
    const rows: OutcomeRow[] = [];
    const rules = { asRecorded: read.recording.versions.values() };
    const { partitions } = read;
    const onRow = (row: OutcomeRow) => void rows.push(row);
    return { rows, summary: await playTimeline({ timeline, rules, partitions, assumptions, runsOn: true, onRow }) };
  };
  return report(terminal, options, { read, was: await play(read.timeline), now: await play(read.forked) });
}

type Reader = Parameters<Parameters<typeof withReading>[2]>[0];

/** The instance with all of its group: a change of one may change how any of the others is decided. */
async function readInstance(terminal: Terminal, reader: Reader, options: ForkOptions & { id: string }): Promise<Read> {
  const { id, at = "" } = options;
  const history = await reader.history(id);
  const { group } = history.birth;
  if (history.birth.kind !== "action")
    throw usedWrongly(
      `${id} is not an action but the engine's own ${history.birth.kind}: fork the instance that it is about.`,
    );
  const { index, entry } = placeInHistory(history, at);
  const { snapshot } = instanceAfter(history, index + 1);
  const isRunning = snapshot.state === "Processing.running";
  const tried = (options.event ?? []).map((text) => triedEvent(text, entry.atMs));
  requireLater(tried, entry.atMs, `version ${entry.version} of ${id}`);
  if (!isRunning && tried.some(({ kind }) => kind === "result"))
    throw new BecalmError(
      "BECALM_EVENT_REFUSED",
      `At version ${entry.version} ${id} has no attempt under way that could end: it is ${snapshot.state}. It accepts ${acceptedText(snapshot, entry.atMs)}.`,
      { details: { id, version: entry.version } },
    );
  const read = await record(terminal, reader, (one) => one.id === id || (group !== null && one.groupId === group));
  const attempt = isRunning ? { number: snapshot.context.attempt, beganAtMs: entry.atMs } : null;
  const change = { name: nameOfId(id), version: entry.version, attempt, tried };
  return { ...read, forked: forkedInstance(read.timeline, change) };
}

async function readGroup(
  terminal: Terminal,
  reader: Reader,
  { group = "", at, event = [] }: ForkOptions,
): Promise<Read> {
  const read = await record(terminal, reader, ({ groupId }) => groupId === group);
  const [first] = read.timeline.inputs;
  if (first === undefined)
    throw new BecalmError(
      "BECALM_NOT_FOUND",
      `There is no group ${group}. \`becalm ls\` shows the groups of instances.`,
    );
  const fromMs = at === undefined ? first.atMs : timeOf(at);
  const answers = event.map((text) => {
    const tried = triedEvent(text, fromMs);
    if (tried.kind !== "event" || (tried.event.type !== "approval.granted" && tried.event.type !== "approval.denied"))
      throw usedWrongly("A group takes approval.granted and approval.denied: for all that it holds then.");
    return { atMs: tried.atMs, event: tried.event };
  });
  requireLater(answers, first.atMs, "the group's first alert");
  return { ...read, forked: forkedGroup(read.timeline, { group, answers }) };
}

async function record(
  terminal: Terminal,
  reader: Reader,
  isWanted: (instance: { id: string; groupId: string | null }) => boolean,
): Promise<Omit<Read, "forked">> {
  const recording = new Recording();
  const { partitions } = reader.runtime;
  const nowMs = nowOf(reader.runtime);
  const onUnreadable = (id: string, error: BecalmError) =>
    terminal.note(
      terminal.noteColors.yellow(
        terminal.say(
          `${id} is left out: ${error.code}: ${error.message}`,
          `略去 ${id}：${error.code}: ${error.message}`,
        ),
      ),
    );
  await recordStored(reader, recording, { fromMs: 0, nowMs, isWanted, onUnreadable });
  return { recording, partitions, timeline: recording.timeline(nowMs) };
}

/**
 * `{"type":"approval.granted"}`, with `by`, `why`, and `at` (a time) or `after` (a duration from the moment of the fork
 * on).
 */
function triedEvent(text: string, fromMs: number): TriedEvent {
  const given = parsed(text);
  const { type, at, after, error = "as tried" } = given;
  const atMs = typeof at === "string" ? timeOf(at) : fromMs + (after === undefined ? 0 : durationOf(after));
  if (type === "effect.done" || type === "effect.failed")
    return { kind: "result", atMs, end: type === "effect.done" ? "done" : "failed", error: String(error) };
  const { by = "fork", why = "what if" } = given;
  const approved = type === "start" ? { approved: true } : {};
  const event = { type, by, why, ...approved };
  readEvent(event, atMs);
  return { kind: "event", atMs, event: event as EventInput };
}

/** The past stays as it was. */
function requireLater(tried: readonly { readonly atMs: number }[], fromMs: number, what: string): void {
  const early = tried.find(({ atMs }) => atMs < fromMs);
  if (early === undefined) return;
  throw usedWrongly(
    `An --event at ${isoTime(early.atMs)} is before ${what}, which is of ${isoTime(fromMs)}: fork at an earlier moment, or give a later time.`,
  );
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw usedWrongly(`--event ${text} is not a JSON object. Write it as '{"type":"approval.granted","after":"12m"}'.`);
}

function durationOf(after: unknown): number {
  if (typeof after === "string") return parseDuration(after);
  throw usedWrongly(`"after" ${JSON.stringify(after)} is not a duration. Write it as "12m".`);
}

function timeOf(text: string): number {
  const atMs = Date.parse(text);
  if (Number.isFinite(atMs)) return atMs;
  throw usedWrongly(`${text} is not a time. Write it as 2026-11-23T06:00:00Z.`);
}

type Side = { readonly rows: readonly OutcomeRow[]; readonly summary: Awaited<ReturnType<typeof playTimeline>> };

async function report(
  terminal: Terminal,
  { json }: ForkOptions,
  { read, was, now }: { read: Read; was: Side; now: Side },
): Promise<number> {
  const different = differences(read.recording.rows, was.rows);
  if (different > 0)
    terminal.note(
      terminal.noteColors.yellow(
        terminal.say(
          `Played without the change, ${count(different, "instance comes", "instances come")} out in another way than recorded: work that was pending is run on, and what the histories do not tell is assumed.`,
          `不作改动重放时，${different} 个实例的结果与记录不同：待处理的工作继续执行，历史未记录的部分为假定。`,
        ),
      ),
    );
  const comparison = new Comparison();
  const byPolicy = new TotalsByPolicy();
  for (const row of was.rows) {
    comparison.addWas(row);
    byPolicy.addWas(row.policy, row.attempts > 0);
  }
  const changes: Change[] = [];
  for (const row of now.rows) {
    byPolicy.addNow(row.policy, row.attempts > 0);
    const change = comparison.compare(row);
    if (change !== null) changes.push(change);
  }
  changes.push(...comparison.gone());
  for (const change of changes) byPolicy.addChange(change);
  const totals = ({ executed, skipped, waiting, groups, summaries }: Side["summary"]) => ({
    executed,
    skipped,
    waiting,
    groups,
    summaries,
  });
  const { instances, changed } = comparison;
  const sides = { was: totals(was.summary), now: totals(now.summary) };
  const summary = { alerts: read.timeline.alerts, instances, changed, ...sides };
  if (json) {
    for (const change of changes) await terminal.json(change);
    await terminal.json({ summary });
    return EXIT.done;
  }
  const shown = {
    policies: byPolicy.list(),
    summary,
    shown: changes.slice(0, SHOWN_COUNT_MAX),
    failures: [],
    hasGates: false,
  };
  for (const line of diffText(shown, { colors: terminal.outColors, reader: terminal.reader })) await terminal.out(line);
  return EXIT.done;
}

const SHOWN_COUNT_MAX = 20;

function differences(recorded: readonly OutcomeRow[], played: readonly OutcomeRow[]): number {
  const rows = new Map(played.map((row) => [nameOfId(row.id), row]));
  return recorded.filter((row) => {
    const other = rows.get(nameOfId(row.id));
    return other === undefined || !isSameOutcome(row, other);
  }).length;
}

/** `becalm show`: all about one instance, also about one whose checkpoint cannot be read. */
import { acceptedEvents } from "../instance/accepted-events.ts";
import type { History } from "../instance/audit-types.ts";
import { decodeCheckpoint, type Instance } from "../instance/checkpoint.ts";
import { timersOf } from "../instance/draft.ts";
import type { TrailFault } from "../instance/trail.ts";
import { BecalmError } from "../model/errors.ts";
import { decidedByJson } from "../present/decided-by.ts";
import { dueAtJson } from "../present/due-time.ts";
import { entryJson } from "../present/instance-json.ts";
import { ruleText } from "../present/rule-text.ts";
import { count } from "../present/text-table.ts";
import { padColumns, printable } from "../present/text-width.ts";
import { isoTime } from "../present/time-text.ts";
import { wrapped } from "../present/wrapped-text.ts";
import type { ProcessNames } from "../runtime/deciding-process.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { instanceLine } from "../simulate/instance-rows.ts";
import { instanceAfter } from "../simulate/replay.ts";
import { BUNDLE } from "./bundles-at.ts";
import { EXIT } from "./exit-codes.ts";
import { explainText } from "./explain-text.ts";
import { placeInHistory } from "./past.ts";
import { storeArguments } from "./store-arguments.ts";
import type { Terminal } from "./terminal.ts";
import { checkTrail, faultText } from "./trail.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type ShowOptions = StoreOptions & {
  readonly id: string;
  /** As it was at this version or time. */
  readonly at?: string;
  readonly json: boolean;
};

type Shown = {
  readonly id: string;
  readonly raw: string;
  /** null: its checkpoint cannot be read. */
  readonly instance: Instance | null;
  /** null: its history cannot be read. */
  readonly history: History | null;
  readonly names: ProcessNames;
  /** When the bundle was exported that it is read from; absent: it is read from a store. */
  readonly exportedAtMs?: number;
  /** Of a namespace that a simulation made. */
  readonly isSimulated: boolean;
  readonly errors: readonly BecalmError[];
  /** What is wrong with its trail; null: it holds. */
  readonly fault: TrailFault | null;
  /** It is shown as it was at this version, and has gone on to `last`; absent: as it is. */
  readonly past?: { readonly version: number; readonly last: number };
};

export async function show(terminal: Terminal, options: ShowOptions): Promise<number> {
  return withReading(options, "show", async (instances, { id }) => {
    const exported = options.store?.startsWith(BUNDLE) === true && options.server === undefined;
    const looked = await look(instances, id);
    const now = exported ? { ...looked, exportedAtMs: instances.runtime.clock.now() } : looked;
    const shown = options.at === undefined ? now : past(now, options.at);
    if (options.json) await terminal.json(showLine(shown));
    else for (const line of showText(terminal, shown, storeArguments(options))) await terminal.out(line);
    // One that is quarantined is shown for what it is: its errors say more than that it was changed.
    return shown.fault === null || shown.errors.length > 0 ? EXIT.done : EXIT.failed;
  });
}

async function look(instances: InstanceReader, id: string): Promise<Shown> {
  const stored = await instances.stored(id);
  const errors: BecalmError[] = [];
  const told = (error: unknown): null => {
    if (!(error instanceof BecalmError)) throw error;
    errors.push(error);
    return null;
  };
  let instance: Instance | null = null;
  try {
    instance = decodeCheckpoint(stored, instances.runtime.versions);
  } catch (error) {
    told(error);
  }
  const history = await instances.history(id).catch(told);
  const names = await instances.processNames(history?.entries ?? []);
  const { fault } = await checkTrail(instances, id);
  const isSimulated = instances.runtime.mode === "simulated";
  return { id, raw: stored.value, instance, history, names, isSimulated, errors, fault };
}

/** As it was then: what its history up to there makes of it. */
function past(shown: Shown, at: string): Shown {
  const { history, errors } = shown;
  if (history === null) throw errors[0] ?? new Error("a history that cannot be read has an error");
  const { index, entry } = placeInHistory(history, at);
  const entries = history.entries.slice(0, index + 1);
  const last = history.entries.at(-1)?.version ?? entry.version;
  const instance = { ...instanceAfter(history, entries.length), version: entry.version };
  return { ...shown, history: { ...history, entries }, instance, past: { version: entry.version, last } };
}

function showText(terminal: Terminal, shown: Shown, where: string): string[] {
  const { id, raw, instance, history, names, isSimulated, errors } = shown;
  const { bold, red, dim } = terminal.outColors;
  const lines = [
    bold(id),
    ...exportedText(terminal, shown),
    ...pastText(terminal, shown),
    ...verifiedText(terminal, shown),
  ];
  if (history !== null)
    lines.push(
      ...explainText(instance, history, {
        colors: terminal.outColors,
        reader: terminal.reader,
        names,
        where,
        isSimulated,
      }),
    );
  if (errors.length === 0) return lines;
  lines.push("");
  for (const error of errors)
    lines.push(...wrapped(printable(`${error.code}: ${error.message}`), 78).map((line) => `  ${red(line)}`));
  lines.push(
    dim(terminal.say("  stored checkpoint, as it is:", "  存储的检查点原文：")),
    ...wrapped(printable(raw), 78).map((line) => `  ${line}`),
  );
  return lines;
}

/** What is open in a bundle was open when it was exported. */
function exportedText({ outColors, say, reader }: Terminal, { exportedAtMs }: Shown): string[] {
  if (exportedAtMs === undefined) return [];
  const at = reader.times.dateTime(exportedAtMs);
  const when = say(`as it was when it was exported, ${at}`, `导出时的状态，${at}`);
  return [`  ${outColors.dim(padColumns(say("bundle", "导出包"), 10))}${when}`];
}

function pastText(terminal: Terminal, { past, instance }: Shown): string[] {
  if (past === undefined || instance === null) return [];
  const { outColors, say, reader } = terminal;
  const at = reader.times.dateTime(instance.atMs);
  const when = say(
    `as it was at version ${past.version} of ${past.last}, ${at}`,
    `第 ${past.version} 版（共 ${past.last} 版）时的状态，${at}`,
  );
  return [`  ${outColors.dim(padColumns(say("past", "过去"), 10))}${outColors.yellow(when)}`];
}

/** Whatever is shown was verified first: what somebody changed must not look like what the engine wrote. */
function verifiedText(terminal: Terminal, { history, fault, past }: Shown): string[] {
  const { green, red } = terminal.outColors;
  const { say } = terminal;
  const name = padColumns(say("verified", "校验"), 10);
  if (fault === null) {
    const number = history?.entries.length ?? 0;
    const entries = count(number, "entry leads", "entries lead");
    const text =
      past === undefined
        ? say(`${entries} to this checkpoint`, `${number} 条审计记录与此检查点一致`)
        : say(
            `${entries} to what it was then, and the trail on to its checkpoint`,
            `${number} 条审计记录与当时一致，之后的记录与检查点一致`,
          );
    return wrapped(text, 66).map((line, index) => {
      const head = index === 0 ? `${terminal.outColors.dim(name)}${green("✓")}` : " ".repeat(11);
      return `  ${head} ${line}`;
    });
  }
  const text = say(
    `✗ DOES NOT HOLD: ${faultText(fault)}. Keep the store as it is until you know who wrote to it.`,
    `✗ 校验不通过：${faultText(fault)}。查明是谁写入之前，请保持存储原样。`,
  );
  return wrapped(text, 68).map(
    (line, index) => `  ${terminal.outColors.dim(index === 0 ? name : " ".repeat(10))}${red(line)}`,
  );
}

function showLine({ id, raw, instance, history, names, errors, fault, past }: Shown): object {
  const about =
    history === null
      ? { id }
      : { ...instanceLine(instance, history), kind: history.birth.kind, createdAt: isoTime(history.birth.createdAtMs) };
  const quarantine =
    errors.length === 0
      ? {}
      : { quarantined: true, errors: errors.map(({ code, message }) => ({ code, message })), checkpoint: raw };
  return {
    ...about,
    ...birthLine(history),
    verified: fault === null ? { ok: true } : { ok: false, line: fault.line, what: fault.what },
    ...(past === undefined ? {} : { past }),
    version: instance?.version ?? null,
    at: instance === null ? null : isoTime(instance.atMs),
    timers: [...timersOf(instance)].map(([name, { dueAtMs }]) => ({ name, dueAt: dueAtJson(dueAtMs) })),
    accepts: instance === null ? [] : acceptedEvents(instance.snapshot, instance.atMs),
    auditHead: instance?.head ?? null,
    decidedBy: decidedByJson(history?.entries.at(-1), names),
    entries: history?.entries.map((entry) => entryJson(entry, history, names)) ?? [],
    ...quarantine,
  };
}

function birthLine(history: History | null): object {
  if (history === null) return { annotations: {}, rule: null };
  const { birth, policy } = history;
  const labels = birth.alert?.labels ?? null;
  return {
    annotations: birth.alert?.annotations ?? {},
    notice: birth.notice ?? undefined,
    policyVersion: birth.policyVersion,
    rule: policy.converge === null ? null : ruleText(policy.converge, labels),
  };
}

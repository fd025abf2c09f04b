/** `becalm show`: all about one instance, also about one whose checkpoint cannot be read. */
import { acceptedEvents } from "../instance/accepted-events.ts";
import type { AuditEntry, History } from "../instance/audit-types.ts";
import { decodeCheckpoint, type Instance } from "../instance/checkpoint.ts";
import { timersOf } from "../instance/draft.ts";
import type { TrailFault } from "../instance/trail.ts";
import { BecalmError } from "../model/errors.ts";
import { ruleText } from "../present/rule-text.ts";
import { counterfactualText, type Language, sentenceOf } from "../present/sentences.ts";
import { count } from "../present/text-table.ts";
import { printable } from "../present/text-width.ts";
import { isoTime } from "../present/time-text.ts";
import { wrapped } from "../present/wrapped-text.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { instanceLine } from "../simulate/instance-rows.ts";
import { instanceAfter } from "../simulate/replay.ts";
import { EXIT } from "./exit-codes.ts";
import { explainText } from "./explain-text.ts";
import { placeInHistory } from "./past.ts";
import type { Terminal } from "./terminal.ts";
import { checkTrail, faultText } from "./trail.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type ShowOptions = StoreOptions & {
  readonly id: string;
  /** As it was at this version or time. */
  readonly at?: string;
  readonly lang: Language;
  readonly json: boolean;
};

type Shown = {
  readonly id: string;
  readonly raw: string;
  /** null: its checkpoint cannot be read. */
  readonly instance: Instance | null;
  /** null: its history cannot be read. */
  readonly history: History | null;
  readonly errors: readonly BecalmError[];
  /** What is wrong with its trail; null: it holds. */
  readonly fault: TrailFault | null;
  /** It is shown as it was at this version, and has gone on to `last`; absent: as it is. */
  readonly past?: { readonly version: number; readonly last: number };
};

export async function show(terminal: Terminal, options: ShowOptions): Promise<number> {
  return withReading(options, "show", async (instances) => {
    const now = await look(instances, options.id);
    const shown = options.at === undefined ? now : past(now, options.at);
    if (options.json) await terminal.json(showLine(shown));
    else for (const line of showText(terminal, shown, options.lang)) await terminal.out(line);
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
  const { fault } = await checkTrail(instances, id);
  return { id, raw: stored.value, instance, history, errors, fault };
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

function showText(terminal: Terminal, shown: Shown, language: Language): string[] {
  const { id, raw, instance, history, errors } = shown;
  const { bold, red, dim } = terminal.outColors;
  const lines = [bold(id), ...pastText(terminal, shown), ...verifiedText(terminal, shown)];
  if (history !== null) lines.push(...explainText(instance, history, { colors: terminal.outColors, language }));
  if (errors.length === 0) return lines;
  lines.push("");
  for (const error of errors)
    lines.push(...wrapped(printable(`${error.code}: ${error.message}`), 96).map((line) => `  ${red(line)}`));
  lines.push(dim("  stored checkpoint, as it is:"), ...wrapped(printable(raw), 96).map((line) => `  ${line}`));
  return lines;
}

function pastText(terminal: Terminal, { past, instance }: Shown): string[] {
  if (past === undefined || instance === null) return [];
  const { yellow, dim } = terminal.outColors;
  const when = `as it was at version ${past.version} of ${past.last}, ${isoTime(instance.atMs)}`;
  return [`  ${dim("past".padEnd(10))}${yellow(when)}`];
}

/** Whatever is shown was verified first: what somebody changed must not look like what the engine wrote. */
function verifiedText(terminal: Terminal, { history, fault, past }: Shown): string[] {
  const { green, red } = terminal.outColors;
  const name = "verified".padEnd(10);
  if (fault === null) {
    const entries = count(history?.entries.length ?? 0, "entry leads", "entries lead");
    const where = past === undefined ? "to this checkpoint" : "to what it was then, and the trail on to its checkpoint";
    return [`  ${terminal.outColors.dim(name)}${green("✓")} ${entries} ${where}`];
  }
  return wrapped(
    `✗ DOES NOT HOLD: ${faultText(fault)}. Keep the store as it is until you know who wrote to it.`,
    86,
  ).map((line, index) => `  ${terminal.outColors.dim(index === 0 ? name : " ".repeat(10))}${red(line)}`);
}

function showLine({ id, raw, instance, history, errors, fault, past }: Shown): object {
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
    timers: [...timersOf(instance)].map(([name, { dueAtMs }]) => ({ name, dueAt: isoTime(dueAtMs) })),
    accepts: instance === null ? [] : acceptedEvents(instance.snapshot, instance.atMs),
    auditHead: instance?.head ?? null,
    entries: history?.entries.map((entry) => entryLine(entry, history)) ?? [],
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

function entryLine(entry: AuditEntry, history: History): object {
  const otherwise = counterfactualText(entry);
  return {
    version: entry.version,
    at: isoTime(entry.atMs),
    event: entry.event,
    path: entry.path,
    verdict: entry.verdict,
    reason: entry.reason,
    sentence: sentenceOf(entry, history),
    observation: entry.observation,
    count: entry.count,
    peers: entry.peers,
    ruleVersion: entry.ruleVersion,
    counterfactual: otherwise === null ? null : { ...entry.counterfactual, sentence: otherwise },
    actor: entry.actor,
    checkpoint: entry.checkpoint,
    previousHash: entry.previousHash,
    hash: entry.hash,
  };
}

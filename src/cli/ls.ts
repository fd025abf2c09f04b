/** `becalm ls`: instances, newest first, a page at a time. */

import { nearestName } from "../formats/nearest-name.ts";
import { birthOf, lastProcess } from "../instance/audit.ts";
import type { Birth } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { topLevel } from "../instance/step.ts";
import { errorCode } from "../model/errors.ts";
import { INSTANCE_STATES, type InstanceState } from "../model/instance-types.ts";
import { REASONS, type ReasonCode } from "../model/reasons.ts";
import { decidedByJson } from "../present/decided-by.ts";
import { printable } from "../present/text-width.ts";
import { isoTime } from "../present/time-text.ts";
import type { ProcessNames } from "../runtime/deciding-process.ts";
import type { InstanceReader, ListFilter, Quarantined } from "../runtime/instance-reader.ts";
import { subjectIdOf } from "../runtime/workers/notice-subject.ts";
import { unknownPolicy } from "./assumptions.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { type ListedRow, listText } from "./list-text.ts";
import { nowOf, sinceMsOf } from "./since-option.ts";
import type { Terminal } from "./terminal.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type LsOptions = StoreOptions & {
  readonly state?: string;
  readonly policy?: string;
  readonly group?: string;
  readonly reason?: string;
  readonly label?: readonly string[];
  readonly since?: string;
  readonly quarantined: boolean;
  readonly limit: number;
  readonly cursor?: string;
  readonly json: boolean;
};

export async function ls(terminal: Terminal, options: LsOptions): Promise<number> {
  const filter = filterOf(options);
  return withReading(options, "ls", async (instances) => {
    const { since } = options;
    const sinceMs = since === undefined ? {} : { since: sinceMsOf(since, nowOf(instances.runtime)) };
    const page = await instances.list({ ...filter, ...sinceMs });
    noteUnknownPolicy(terminal, options.policy, instances);
    if (options.quarantined) await tellQuarantined(terminal, page.quarantined, options.json);
    else await tellInstances(terminal, await rowsOf(instances, page.instances), options.json);
    if (page.next !== null && options.json) await terminal.json({ next: page.next });
    else if (page.next !== null)
      terminal.note(terminal.say(`There are more: --cursor ${page.next}`, `还有更多：--cursor ${page.next}`));
    return noteUnreached(terminal, page.unreached ?? []);
  });
}

/** A list that is not whole says so, and ends as a failure. */
function noteUnreached(terminal: Terminal, partitions: readonly number[]): number {
  if (partitions.length === 0) return EXIT.done;
  const named = partitions.join(", ");
  const what = terminal.say(
    `Partitions ${named} could not be reached: their instances are missing here.`,
    `分区 ${named} 无法访问：此处缺少其中的实例。`,
  );
  terminal.note(terminal.noteColors.yellow(what));
  return EXIT.failed;
}

/** An empty list may mean that there are none, or a slip of the hand. */
function noteUnknownPolicy(terminal: Terminal, name: string | undefined, { runtime }: InstanceReader): void {
  const known = [...new Set([...runtime.versions.values()].map(({ policy }) => policy.name))];
  if (name === undefined || known.includes(name)) return;
  const listed = known.join(", ") || terminal.say("none", "无");
  const what = terminal.say(
    `--policy: ${unknownPolicy(name, known)}`,
    `此命名空间没有策略 ${JSON.stringify(name)}，现有：${listed}。`,
  );
  terminal.note(terminal.noteColors.yellow(what));
}

function filterOf({ state, policy, group, reason, label, ...rest }: LsOptions): ListFilter {
  const { quarantined, limit, cursor } = rest;
  const given = {
    state: state === undefined ? undefined : stateNamed(state),
    policy,
    group,
    reason: reason === undefined ? undefined : reasonNamed(reason),
    labels: label?.join(","),
    quarantined,
    limit,
    cursor,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function stateNamed(name: string): InstanceState {
  const state = INSTANCE_STATES.find((candidate) => candidate.toLowerCase() === name.toLowerCase());
  if (state !== undefined) return state;
  const nearest = nearestName(name, INSTANCE_STATES);
  throw usedWrongly(
    `Unknown state "${name}".${nearest === null ? "" : ` Did you mean ${nearest}?`} The states are ${INSTANCE_STATES.join(", ")}.`,
  );
}

function reasonNamed(code: string): ReasonCode {
  if (code in REASONS) return code as ReasonCode;
  const nearest = nearestName(code, Object.keys(REASONS));
  throw usedWrongly(
    `Unknown reason "${code}".${nearest === null ? "" : ` Did you mean ${nearest}?`} docs/reasons.md lists them.`,
  );
}

type Rows = { readonly rows: readonly ListedRow[]; readonly names: ProcessNames };

async function rowsOf(instances: InstanceReader, listed: readonly Instance[]): Promise<Rows> {
  const rows = await Promise.all(listed.map((instance) => rowOf(instances, instance)));
  return { rows, names: await instances.processNames(rows) };
}

/**
 * Only the history has the alert. One that cannot be read leaves its columns empty: `becalm show` says what is wrong
 * with it.
 */
async function rowOf(instances: InstanceReader, instance: Instance): Promise<ListedRow> {
  const { id } = instance;
  try {
    const lines = await instances.lines(id);
    const birth = birthOf(id, lines);
    return { instance, birth, about: await aboutOf(instances, birth), process: lastProcess(id, lines) };
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return { instance, birth: null };
  }
}

/** Labels of the alert that a request or a summary is about: by itself it has none. */
async function aboutOf(instances: InstanceReader, { notice }: Birth): Promise<ListedRow["about"]> {
  if (notice === null) return undefined;
  const subject = subjectIdOf(notice);
  try {
    return birthOf(subject, await instances.lines(subject)).alert?.labels;
  } catch (error) {
    if (errorCode(error) === undefined) throw error;
    return undefined;
  }
}

async function tellInstances(terminal: Terminal, { rows, names }: Rows, isJson: boolean): Promise<void> {
  if (isJson) {
    for (const row of rows) await terminal.json(rowLine(row, names));
    return;
  }
  if (rows.length === 0) return terminal.note(terminal.say("No instance matches.", "没有符合条件的实例。"));
  const { outColors } = terminal;
  const columns = process.stdout.isTTY ? process.stdout.columns : Number.POSITIVE_INFINITY;
  const { reader } = terminal;
  for (const line of listText(rows, { colors: outColors, columns, reader, names })) await terminal.out(line);
}

function rowLine({ instance, birth, ...last }: ListedRow, names: ProcessNames): object {
  const alert = birth?.alert ?? null;
  return {
    id: instance.id,
    kind: instance.kind,
    policy: instance.policy,
    state: topLevel(instance.snapshot.state),
    verdict: instance.verdict,
    reason: instance.reason,
    group: instance.groupId,
    attempts: instance.snapshot.context.attempt,
    createdAt: isoTime(instance.createdAtMs),
    at: isoTime(instance.atMs),
    alert:
      alert === null
        ? null
        : { fingerprint: alert.fingerprint, startsAt: isoTime(alert.startsAtMs), labels: alert.labels },
    decidedBy: decidedByJson(last, names),
  };
}

async function tellQuarantined(
  terminal: Terminal,
  quarantined: readonly Quarantined[],
  isJson: boolean,
): Promise<void> {
  for (const { id, version, error } of quarantined) {
    if (isJson) await terminal.json({ id, version, quarantined: true, code: error.code, error: error.message });
    else await terminal.out(`${id}  ${terminal.outColors.red(error.code)}  ${printable(error.message)}`);
  }
  if (quarantined.length === 0 && !isJson)
    terminal.note(terminal.say("No instance is quarantined.", "没有被隔离的实例。"));
}

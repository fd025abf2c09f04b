/**
 * `becalm diff --shadow`: what a running server's shadow would have done another way. The server works it out; nothing
 * is changed.
 */
import type { ShadowReport } from "../engine.ts";
import { count } from "../present/text-table.ts";
import { isoTime } from "../present/time-text.ts";
import type { Gates } from "../simulate/diff-gates.ts";
import { askServer } from "../stores/server/server-store.ts";
import { type Compared, FirstChanges } from "./compared-sides.ts";
import { usedWrongly } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";
import { type StoreOptions, serverOf } from "./with-namespace.ts";

export type ShadowDiffOptions = StoreOptions & {
  readonly since?: string;
  readonly limit: number;
  readonly json: boolean;
  /** All others are for differences of other kinds. */
  readonly policies?: string;
  readonly against?: string;
  readonly alerts?: readonly string[];
  readonly from?: string;
  readonly fromStore: boolean;
  readonly assume?: readonly string[];
};

/** Where `becalm serve` listens unless it is told otherwise. */
const SERVER_DEFAULT = "http://127.0.0.1:9095";
/** The server gives at most so many: all that it compares. */
const CHANGES_MAX = 20_000;

export async function shadowCompared(terminal: Terminal, options: ShadowDiffOptions, gates: Gates): Promise<Compared> {
  requireNothingElse(options);
  const { since } = options;
  const address = serverOf({ ...options, server: options.server ?? SERVER_DEFAULT });
  if (address === null) throw new Error("there is a default");
  const query = new URLSearchParams({ limit: String(CHANGES_MAX), ...(since === undefined ? {} : { since }) });
  const report = (await askServer(address, `/v1/shadow?${query.toString()}`, { method: "GET" })) as ShadowReport;
  noteReport(terminal, report);
  const shown = new FirstChanges(options.limit);
  for (const change of report.changes) {
    gates.look(change);
    if (options.json) await terminal.json(change);
    else shown.add(change);
  }
  return { policies: report.policies, summary: report.summary, shown: shown.list() };
}

function requireNothingElse({ policies, against, alerts, fromStore, from, assume = [] }: ShadowDiffOptions): void {
  const others = [policies, against, alerts, from].filter((given) => given !== undefined);
  if (others.length > 0 || fromStore || assume.length > 0)
    throw usedWrongly(
      "--shadow asks a server for its own candidate, on what it decided: leave --policies, --against, --alerts, --from-store, --from and --assume out.",
    );
}

/** What the figures are of, and what they are not of. */
function noteReport(terminal: Terminal, report: ShadowReport): void {
  const { say, noteColors } = terminal;
  const { since, leftOut, unreadable, refused, more, shadow } = report;
  terminal.note(
    say(
      `The shadow since ${isoTime(Date.parse(since))}; it has been the shadow since ${isoTime(Date.parse(shadow.since))}.`,
      `影子策略，统计自 ${isoTime(Date.parse(since))}；自 ${isoTime(Date.parse(shadow.since))} 起作为影子运行。`,
    ),
  );
  const warn = (amount: number, english: string, chinese: string) => {
    if (amount > 0) terminal.note(noteColors.yellow(say(english, chinese)));
  };
  warn(
    leftOut,
    `${count(leftOut, "older instance is", "older instances are")} left out: give a later --since.`,
    `略去 ${leftOut} 个较早的实例：请给出更晚的 --since。`,
  );
  warn(
    unreadable,
    `${count(unreadable, "instance", "instances")} could not be read.`,
    `${unreadable} 个实例无法读取。`,
  );
  warn(
    shadow.forgotten,
    `${count(shadow.forgotten, "alert", "alerts")} that only the shadow matches were forgotten: there were too many.`,
    `${shadow.forgotten} 条仅影子策略匹配的告警因数量过多被遗忘。`,
  );
  warn(
    refused,
    `${count(refused, "answer", "answers")} of people met no instance that takes it under these rules.`,
    `${refused} 次人工答复在这些规则下没有可接受的实例。`,
  );
  warn(more, `${count(more, "change", "changes")} are not listed.`, `${more} 个变化未列出。`);
}

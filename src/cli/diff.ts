/** `becalm diff`: what would go another way under other policies. Simulates both sides; nothing outside is touched and nothing is written. */
import { loadPolicySet } from "../formats/policy-file.ts";
import type { PolicySet } from "../policy/policy.ts";
import {
  type Change,
  Comparison,
  compareChanges,
  type DiffSummary,
  type OutcomeRow,
  type ReportSide,
  type SideTotals,
} from "../simulate/diff.ts";
import { Gates } from "../simulate/diff-gates.ts";
import { type PolicyTotals, TotalsByPolicy } from "../simulate/policy-totals.ts";
import { readAssumptions } from "./assumptions.ts";
import { diffMarkdown, diffText } from "./diff-text.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { Progress } from "./progress.ts";
import { readText } from "./read-text.ts";
import { type RecordedOptions, recordedSides } from "./recorded-sides.ts";
import { RowSpool } from "./row-spool.ts";
import { type AlertSource, alertsOfFiles, simulate } from "./simulated-alerts.ts";
import type { Terminal } from "./terminal.ts";
import type { RunEffects } from "./with-namespace.ts";

export type DiffOptions = RecordedOptions & {
  readonly policies?: string;
  readonly against?: string;
  readonly alerts?: readonly string[];
  /** A server's candidate on what it decided, instead of policies of one's own. */
  readonly shadow: boolean;
  /** The history of the store, or of the bundle `from`, instead of files of alerts. */
  readonly fromStore: boolean;
  readonly assume?: readonly string[];
  readonly failIf?: readonly string[];
  readonly newlySkipped?: readonly string[];
  readonly newlyExecuted?: readonly string[];
  readonly limit: number;
  readonly sort: boolean;
  readonly markdown: boolean;
  readonly json: boolean;
};

export async function diff(terminal: Terminal, options: DiffOptions): Promise<number> {
  const { failIf = [], newlySkipped = [], newlyExecuted = [] } = options;
  if (options.json && options.markdown) throw usedWrongly("Give --json or --markdown, not both.");
  const gates = new Gates({ failIf, noNewlySkipped: newlySkipped, noNewlyExecuted: newlyExecuted });
  const compared = options.shadow
    ? await (await import("./shadow-diff.ts")).shadowCompared(terminal, options, gates)
    : await comparedPolicies(terminal, options, gates);
  const failures = gates.failures(compared.summary);
  const hasGates = failIf.length + newlySkipped.length + newlyExecuted.length > 0;
  const report = { ...compared, failures, hasGates };
  if (options.json) {
    await terminal.json({ summary: compared.summary });
    for (const failure of failures) terminal.note(terminal.noteColors.red(`✗ ${failure}`));
  } else if (options.markdown) for (const line of diffMarkdown(report, terminal.reader)) await terminal.out(line);
  else
    for (const line of diffText(report, { colors: terminal.outColors, reader: terminal.reader }))
      await terminal.out(line);
  return failures.length > 0 ? EXIT.failed : EXIT.done;
}

async function comparedPolicies(terminal: Terminal, options: DiffOptions, gates: Gates): Promise<Compared> {
  const { policies } = options;
  if (policies === undefined)
    throw usedWrongly("Say which policies are new: --policies FILE; or --shadow for those beside a server's own.");
  requireOneSource(options);
  const sides = await sidesOf(terminal, { ...options, policies });
  return compareSides(terminal, options, { ...sides, gates });
}

function requireOneSource({ alerts = [], fromStore, from, against, since }: DiffOptions): void {
  const sources = [alerts.length > 0, fromStore, from !== undefined].filter(Boolean).length;
  if (sources === 0) throw usedWrongly("Say what to try them on: --alerts FILE..., --from-store, or --from BUNDLE.");
  if (sources > 1) throw usedWrongly("Give one of --alerts, --from-store and --from.");
  if (alerts.length === 0) return;
  if (against === undefined) throw usedWrongly("Say what the new policies are compared with: --against FILE.");
  if (since !== undefined)
    throw usedWrongly("--since is for --from-store and --from: a file of alerts is taken whole.");
}

async function sidesOf(
  terminal: Terminal,
  options: DiffOptions & { readonly policies: string },
): Promise<{ was: ReportSide; now: ReportSide }> {
  const { policies, against, alerts = [] } = options;
  const now = loadPolicySet(await readText(policies), { file: policies });
  const was = against === undefined ? null : loadPolicySet(await readText(against), { file: against });
  const names = [...(was?.policies ?? []), ...now.policies].map(({ name }) => name);
  const effects: RunEffects = { kind: "simulated", assumptions: readAssumptions(options.assume ?? [], names) };
  if (was === null || alerts.length === 0) return recordedSides(terminal, options, { was, now, effects });
  const source = alertsOfFiles(alerts, options.sort);
  const files = { was: { set: was, label: against as string }, now: { set: now, label: policies } };
  return fileSides(terminal, { ...files, effects, source });
}

/** `label`: what progress calls the side. */
type LabelledSet = { readonly set: PolicySet; readonly label: string };

export type FileSides = {
  readonly was: LabelledSet;
  readonly now: LabelledSet;
  readonly effects: RunEffects;
  readonly source: AlertSource;
};

/** Both sides read the same alerts: what is wrong with them is reported once. */
export function fileSides(
  terminal: Terminal,
  { was, now, effects, source }: FileSides,
): { was: ReportSide; now: ReportSide } {
  const { yellow } = terminal.noteColors;
  const side = ({ set, label }: LabelledSet, isQuiet: boolean): ReportSide => {
    const note = (what: string) => (isQuiet ? undefined : terminal.note(yellow(what)));
    return async (onRow) => {
      const progress = new Progress(terminal);
      const onTaken = ({ alerts }: { alerts: number }) =>
        progress.update(() => `${label}: ${alerts.toLocaleString("en")} alerts`);
      const report = { onRejected: note, onTaken };
      const { summary, warnings } = await simulate({ policies: set, alerts: source, effects, report, onRow });
      progress.end();
      for (const warning of warnings) note(warning);
      return summary;
    };
  };
  return { was: side(was, false), now: side(now, true) };
}

export type Compared = {
  readonly policies: readonly PolicyTotals[];
  readonly summary: DiffSummary;
  readonly shown: readonly Change[];
};

type CompareOptions = Pick<DiffOptions, "limit" | "json">;
type Sides = { readonly was: ReportSide; readonly now: ReportSide; readonly gates: Gates };

/** With `json` each change is written as it is found. */
export async function compareSides(terminal: Terminal, options: CompareOptions, sides: Sides): Promise<Compared> {
  const rows = new RowSpool<OutcomeRow>();
  try {
    return await compareWith(terminal, options, { ...sides, comparison: new Comparison(rows) });
  } finally {
    rows.close();
  }
}

async function compareWith(
  terminal: Terminal,
  options: CompareOptions,
  { was, now, gates, comparison }: Sides & { readonly comparison: Comparison },
): Promise<Compared> {
  const totals = new TotalsByPolicy();
  const shown = new FirstChanges(options.limit);
  const first = await was(async (row) => {
    comparison.addWas(row);
    totals.addWas(row.policy, row.attempts > 0);
  });
  const changed = async (change: Change) => {
    gates.look(change);
    totals.addChange(change);
    if (options.json) await terminal.json(change);
    else shown.add(change);
  };
  const second = await now(async (row) => {
    totals.addNow(row.policy, row.attempts > 0);
    const change = comparison.compare(row);
    if (change !== null) await changed(change);
  });
  for (const change of comparison.gone()) await changed(change);
  return {
    policies: totals.list(),
    shown: shown.list(),
    summary: {
      alerts: first.alerts,
      instances: comparison.instances,
      changed: comparison.changed,
      was: totalsOf(first),
      now: totalsOf(second),
    },
  };
}

function totalsOf({ executed, skipped, waiting, groups, summaries }: SideTotals): SideTotals {
  return { executed, skipped, waiting, groups, summaries };
}

/** Keeps the first ones in order of what matters; a file may have a hundred thousand changes. */
export class FirstChanges {
  readonly #limit: number;
  #changes: Change[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(change: Change): void {
    this.#changes.push(change);
    if (this.#changes.length >= 2 * this.#limit + 64) this.#changes = this.list();
  }

  list(): Change[] {
    return this.#changes.toSorted(compareChanges).slice(0, this.#limit);
  }
}

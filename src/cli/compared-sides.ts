/** Two sides of a difference over the same alerts, run one after the other and compared. */
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
import type { Gates } from "../simulate/diff-gates.ts";
import { type PolicyTotals, TotalsByPolicy } from "../simulate/policy-totals.ts";
import { Progress } from "./progress.ts";
import { RowSpool } from "./row-spool.ts";
import { type AlertSource, simulate } from "./simulated-alerts.ts";
import type { Terminal } from "./terminal.ts";
import type { RunEffects } from "./with-namespace.ts";

/** `label`: what progress calls the side. */
export type LabelledSet = { readonly set: PolicySet; readonly label: string };

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

type CompareOptions = { readonly limit: number; readonly json: boolean };
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

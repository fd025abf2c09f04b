/** `becalm diff`: what would go another way under other policies. Simulates both sides; nothing outside is touched and nothing is written. */
import { loadPolicySet } from "../formats/policy-file.ts";
import type { PolicySet } from "../policy/policy.ts";
import {
  type Change,
  Comparison,
  compareChanges,
  type DiffSummary,
  type OutcomeRow,
  type SideTotals,
} from "../simulate/diff.ts";
import { Gates } from "../simulate/diff-gates.ts";
import type { FileSummary, InstanceLine } from "../simulate/instance-rows.ts";
import { readAssumptions } from "./assumptions.ts";
import { DiffTable, diffMarkdown, diffText } from "./diff-text.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { Progress } from "./progress.ts";
import { readText } from "./read-text.ts";
import { RowSpool } from "./row-spool.ts";
import { type AlertSource, alertsOfFiles, simulate } from "./simulated-alerts.ts";
import type { Terminal } from "./terminal.ts";
import type { RunEffects } from "./with-namespace.ts";

export type DiffOptions = {
  readonly policies: string;
  readonly against: string;
  readonly alerts?: readonly string[];
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
  const { alerts = [], failIf = [], newlySkipped = [], newlyExecuted = [] } = options;
  if (options.json && options.markdown) throw usedWrongly("Give --json or --markdown, not both.");
  if (alerts.length === 0) throw usedWrongly("Say which alerts to try: --alerts FILE...");
  const gates = new Gates({ failIf, noNewlySkipped: newlySkipped, noNewlyExecuted: newlyExecuted });
  const now = loadPolicySet(await readText(options.policies), { file: options.policies });
  const was = loadPolicySet(await readText(options.against), { file: options.against });
  const names = [...was.policies, ...now.policies].map(({ name }) => name);
  const effects: RunEffects = { kind: "simulated", assumptions: readAssumptions(options.assume ?? [], names) };
  const compared = await compareSides(terminal, options, {
    was,
    now,
    effects,
    source: alertsOfFiles(alerts, options.sort),
    gates,
  });
  const failures = gates.failures(compared.summary);
  const hasGates = failIf.length + newlySkipped.length + newlyExecuted.length > 0;
  const report = { ...compared, failures, hasGates };
  if (options.json) {
    await terminal.json({ summary: compared.summary });
    for (const failure of failures) terminal.note(terminal.noteColors.red(`✗ ${failure}`));
  } else if (options.markdown) for (const line of diffMarkdown(report)) await terminal.out(line);
  else for (const line of diffText(report, terminal.outColors)) await terminal.out(line);
  return failures.length > 0 ? EXIT.failed : EXIT.done;
}

export type Sides = {
  readonly was: PolicySet;
  readonly now: PolicySet;
  readonly effects: RunEffects;
  readonly source: AlertSource;
  readonly gates: Gates;
};

export type Compared = { readonly table: DiffTable; readonly summary: DiffSummary; readonly shown: readonly Change[] };

/** `policies`, `against`: what progress calls the two sides. With `json` each change is written as it is found. */
export type CompareOptions = Pick<DiffOptions, "policies" | "against" | "limit" | "json">;

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
  { was, now, effects, source, gates, comparison }: Sides & { readonly comparison: Comparison },
): Promise<Compared> {
  const table = new DiffTable();
  const shown = new FirstChanges(options.limit);
  const progress = new Progress(terminal);
  const report = (side: string, isQuiet: boolean) => ({
    // Both sides read the same alerts: what is wrong with them is reported once.
    onRejected: (what: string) => {
      if (!isQuiet) terminal.note(terminal.noteColors.yellow(what));
    },
    onTaken: ({ alerts }: { alerts: number }) =>
      progress.update(() => `${side}: ${alerts.toLocaleString("en")} alerts`),
  });
  const first = await simulate({
    policies: was,
    alerts: source,
    effects,
    report: report(options.against, false),
    onRow: (row) => {
      comparison.addWas(row);
      table.addWas(row.policy, row.attempts > 0);
    },
  });
  const changed = async (change: Change) => {
    gates.look(change);
    table.addChange(change);
    if (options.json) await terminal.json(change);
    else shown.add(change);
  };
  const second = await simulate({
    policies: now,
    alerts: source,
    effects,
    report: report(options.policies, true),
    onRow: async (row: InstanceLine) => {
      table.addNow(row.policy, row.attempts > 0);
      const change = comparison.compare(row);
      if (change !== null) await changed(change);
    },
  });
  for (const change of comparison.gone()) await changed(change);
  progress.end();
  for (const warning of first.warnings) terminal.note(terminal.noteColors.yellow(warning));
  return {
    table,
    shown: shown.list(),
    summary: {
      alerts: first.summary.alerts,
      instances: comparison.instances,
      changed: comparison.changed,
      was: totalsOf(first.summary),
      now: totalsOf(second.summary),
    },
  };
}

function totalsOf({ executed, skipped, waiting, groups, summaries }: FileSummary): SideTotals {
  return { executed, skipped, waiting, groups, summaries };
}

/** Keeps the first ones in order of what matters; a file may have a hundred thousand changes. */
class FirstChanges {
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

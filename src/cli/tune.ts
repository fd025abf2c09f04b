/**
 * `becalm tune`: a rule with other settings, each combination of them tried on the same alerts. Simulates; nothing
 * outside is touched.
 */

import { writeFile } from "node:fs/promises";
import type { PolicySet } from "../policy/policy.ts";
import { count } from "../present/text-table.ts";
import { Comparison, isNewlyExecuted, isNewlySkipped, type OutcomeRow } from "../simulate/diff.ts";
import { Gates, parseCondition } from "../simulate/diff-gates.ts";
import {
  axisOf,
  paretoOf,
  settingsChanged,
  smallestOf,
  type Tried,
  TUNE_FIELDS,
  type TuneField,
  type TuneFigures,
} from "../simulate/tune.ts";
import {
  type Combination,
  combinationsOf,
  combinationText,
  isSameCombination,
  parseGrid,
} from "../simulate/tune-grid.ts";
import { readAssumptions } from "./assumptions.ts";
import { compareSides, fileSides } from "./compared-sides.ts";
import type { DiffOptions } from "./diff.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { catchInterrupts, type Interrupts } from "./interrupts.ts";
import { Progress } from "./progress.ts";
import { readText } from "./read-text.ts";
import { type AlertSource, alertsOfFiles, simulate } from "./simulated-alerts.ts";
import type { Terminal } from "./terminal.ts";
import { type TuneLook, type TuneReport, tuneLines, tunePlot, tuneText } from "./tune-text.ts";
import { unwritable } from "./unwritable-file.ts";
import { PolicyFile } from "./varied-policy.ts";
import type { RunEffects } from "./with-namespace.ts";

export type TuneOptions = Pick<DiffOptions, "alerts" | "assume" | "sort" | "json" | "limit"> & {
  readonly policies: string;
  readonly policy: string;
  readonly vary?: readonly string[];
  readonly target?: readonly string[];
  readonly svg?: string;
  readonly out?: string;
};

export async function tune(terminal: Terminal, options: TuneOptions): Promise<number> {
  const { alerts = [], vary = [], policy } = options;
  if (alerts.length === 0) throw usedWrongly("Say which alerts to try: --alerts FILE...");
  const targets = (options.target ?? []).map((text) =>
    parseCondition(text, { names: TUNE_FIELDS, example: "executed <= 20" }),
  );
  if (options.out !== undefined && targets.length === 0)
    throw usedWrongly("--out writes the smallest change that reaches a target: give --target 'executed <= 20' or so.");
  if (targets.length > 0) terminal.outlivesReader();
  const grid = parseGrid(vary);
  const file = new PolicyFile(await readText(options.policies), { file: options.policies, policy });
  const settings = grid.map(({ setting }) => setting);
  const inForce = file.inForce(settings);
  const others = combinationsOf(grid).filter((combination) => !isSameCombination(combination, inForce));
  const names = file.policies.policies.map(({ name }) => name);
  const effects: RunEffects = { kind: "simulated", assumptions: readAssumptions(options.assume ?? [], names) };
  const interrupts = catchInterrupts((signal) =>
    terminal.note(terminal.say(`${signal}: what has been tried follows`, `${signal}：以下为已尝试的结果`)),
  );
  const [number, varied] = [others.length, settings.join(", ")];
  terminal.note(
    terminal.say(
      `${policy}: the rule in force and ${count(number, "other combination", "other combinations")} of ${varied}`,
      `${policy}：现行规则与 ${varied} 的另外 ${number} 种组合`,
    ),
  );
  try {
    const trials = new Trials(terminal, {
      file,
      policy,
      effects,
      source: alertsOfFiles(alerts, options.sort),
      interrupts,
    });
    const tried = await trials.all(inForce, others);
    const report: TuneReport = { ...tried, policy, settings, targets, axis: axisOf(targets), total: others.length + 1 };
    return await tell(terminal, options, { report, trials, stoppedBy: interrupts.exitCode() });
  } finally {
    interrupts.end();
  }
}

type Telling = { readonly report: TuneReport; readonly trials: Trials; readonly stoppedBy: number | null };

async function tell(terminal: Terminal, options: TuneOptions, { report, trials, stoppedBy }: Telling): Promise<number> {
  const { tried, targets, axis } = report;
  const pareto = paretoOf(tried, axis);
  const smallest = targets.length === 0 || stoppedBy !== null ? null : smallestOf(tried, targets);
  const proof = smallest === null || smallest.isInForce ? null : await trials.prove(smallest.combination, options);
  const found = { ...report, pareto, smallest, proof };
  if (options.svg !== undefined) await write(options.svg, "--svg", tunePlot(found));
  if (options.out !== undefined && smallest !== null)
    await write(options.out, "--out", trials.file.textWith(smallest.combination));
  else if (options.out !== undefined)
    terminal.note(
      terminal.say(`${options.out} was not written: no change was found.`, `未写入 ${options.out}：没有找到修改方案。`),
    );
  if (options.json) for (const line of tuneLines(found)) await terminal.json(line);
  else for (const line of tuneText(found, lookOf(terminal))) await terminal.out(line);
  if (stoppedBy !== null) {
    const { length } = tried;
    terminal.note(
      terminal.say(
        `Stopped: ${length} of ${report.total} were tried.`,
        `已停止：共 ${report.total} 种，尝试了 ${length} 种。`,
      ),
    );
    return stoppedBy;
  }
  return targets.length > 0 && smallest === null ? EXIT.failed : EXIT.done;
}

function lookOf({ outColors, reader, columns }: Terminal): TuneLook {
  return { colors: outColors, reader, columns };
}

function write(path: string, option: string, text: string): Promise<void> {
  return writeFile(path, text).catch((cause: unknown) => {
    throw unwritable(path, option, cause);
  });
}

type TrialOptions = {
  readonly file: PolicyFile;
  readonly policy: string;
  readonly effects: RunEffects;
  readonly source: AlertSource;
  readonly interrupts: Interrupts;
};

/** Tries combinations, one after the other. */
class Trials {
  readonly file: PolicyFile;
  readonly #terminal: Terminal;
  readonly #options: TrialOptions;
  readonly #progress: Progress;

  constructor(terminal: Terminal, options: TrialOptions) {
    this.file = options.file;
    this.#terminal = terminal;
    this.#options = options;
    this.#progress = new Progress(terminal);
  }

  /** The rule in force first: the others are compared with it. */
  async all(
    inForce: Combination,
    others: readonly Combination[],
  ): Promise<Pick<TuneReport, "tried" | "invalid" | "alerts">> {
    const tried: Tried[] = [];
    const invalid: { combination: Combination; why: string }[] = [];
    const was: OutcomeRow[] = [];
    let alerts = 0;
    for (const combination of [inForce, ...others]) {
      const varied = this.file.with(combination);
      if ("invalid" in varied) {
        invalid.push({ combination, why: varied.invalid });
        continue;
      }
      const isInForce = combination === inForce;
      const what = `${tried.length + 1} of ${others.length + 1}, ${combinationText(combination)}`;
      const rows: OutcomeRow[] = [];
      const summary = await this.#simulate(varied.policies, { what, isQuiet: !isInForce, rows });
      if (this.#options.interrupts.exitCode() !== null) break;
      if (isInForce) was.push(...rows);
      alerts = summary.alerts;
      const figures = figuresOf(was, rows);
      tried.push({ combination, isInForce, settingsChanged: settingsChanged(combination, inForce), figures });
    }
    this.#progress.end();
    return { tried, invalid, alerts };
  }

  /** The difference between the whole policy files, as `becalm diff` finds it. */
  async prove(combination: Combination, { policies: against, limit }: TuneOptions) {
    const { effects, source } = this.#options;
    const now = this.file.with(combination);
    if ("invalid" in now) throw new Error("a combination that was tried is valid");
    const gates = new Gates({ failIf: [], noNewlySkipped: [], noNewlyExecuted: [] });
    const was = { set: this.file.policies, label: against };
    const then = { set: now.policies, label: combinationText(combination) };
    const sides = fileSides(this.#terminal, { was, now: then, effects, source });
    return compareSides(this.#terminal, { limit, json: false }, { ...sides, gates });
  }

  /** The other policies decide for themselves, unless the namespace has a brake that counts all. */
  async #simulate(
    policies: PolicySet,
    { what, isQuiet, rows }: { what: string; isQuiet: boolean; rows: OutcomeRow[] },
  ): Promise<{ alerts: number }> {
    const { policy, effects, source, interrupts } = this.#options;
    const own = { ...policies, policies: policies.policies.filter(({ name }) => name === policy) };
    const { noteColors } = this.#terminal;
    const { summary, warnings } = await simulate({
      policies: policies.limits === undefined ? own : policies,
      alerts: source,
      effects,
      report: {
        onRejected: (text) => {
          if (!isQuiet) this.#terminal.note(noteColors.yellow(text));
        },
        onTaken: ({ alerts }) =>
          this.#progress.update(() => {
            const number = alerts.toLocaleString("en");
            return this.#terminal.say(`${what}: ${number} alerts`, `${what}：${number} 条告警`);
          }),
        isStopped: () => interrupts.exitCode() !== null,
      },
      onRow: (row) => {
        if (row.policy === policy) rows.push(row);
      },
    });
    if (!isQuiet) for (const warning of warnings) this.#terminal.note(noteColors.yellow(warning));
    return summary;
  }
}

function figuresOf(was: readonly OutcomeRow[], now: readonly OutcomeRow[]): TuneFigures {
  const comparison = new Comparison();
  for (const row of was) comparison.addWas(row);
  const changes = [...now.flatMap((row) => comparison.compare(row) ?? []), ...comparison.gone()];
  const numberOf = (is: (row: OutcomeRow) => boolean) => now.filter(is).length;
  const figures: Record<TuneField, number> = {
    executed: numberOf(({ attempts }) => attempts > 0),
    skipped: numberOf(({ state }) => state === "Skipped"),
    waiting: numberOf(({ state }) => state === "Waiting" || state === "Defense" || state === "Proceeding"),
    asked: numberOf(({ path }) => path.includes("Waiting")),
    changed: changes.length,
    newlyExecuted: changes.filter(isNewlyExecuted).length,
    newlySkipped: changes.filter(isNewlySkipped).length,
  };
  return figures;
}

/** What `becalm tune` shows: a table for people, JSON lines, a plot. */
import { drawScatter, type ScatterPoint } from "../drawing/scatter.ts";
import { count, textTable } from "../present/text-table.ts";
import type { Condition } from "../simulate/diff-gates.ts";
import { type Axis, reaches, type Tried, TUNE_FIELDS, type TuneField } from "../simulate/tune.ts";
import { type Combination, combinationText, isSameValue, type Varied, valueText } from "../simulate/tune-grid.ts";
import type { Compared } from "./diff.ts";
import { diffText } from "./diff-text.ts";
import type { Colors } from "./terminal.ts";

export type TuneReport = {
  readonly policy: string;
  readonly settings: readonly Varied[];
  readonly targets: readonly Condition[];
  readonly axis: Axis;
  /** How many combinations there are, the one in force included. */
  readonly total: number;
  readonly alerts: number;
  /** The rule in force stands first. */
  readonly tried: readonly Tried[];
  /** Combinations that no policy file may hold. */
  readonly invalid: readonly { readonly combination: Combination; readonly why: string }[];
};

export type TuneFound = TuneReport & {
  readonly pareto: readonly Tried[];
  readonly smallest: Tried | null;
  /** null: there is no change to prove. */
  readonly proof: Compared | null;
};

const TITLES: Readonly<Record<TuneField, string>> = {
  executed: "executed",
  skipped: "skipped",
  waiting: "waiting",
  asked: "asked",
  changed: "changed",
  newlyExecuted: "newly executed",
  newlySkipped: "newly skipped",
};

export function tuneText(found: TuneFound, colors: Colors): string[] {
  const { policy, settings, tried, invalid, alerts, pareto } = found;
  const { bold, dim, green, yellow } = colors;
  const head = [...settings, ...TUNE_FIELDS.map((field) => TITLES[field]), ""];
  const rows = tried.map((one) => [
    ...settings.map((setting) => valueText(one.combination.get(setting) ?? "")),
    ...TUNE_FIELDS.map((field) => String(one.figures[field])),
    marksOf(one, found).join(", "),
  ]);
  const paint = (cell: string, column: number, row: number) => {
    if (row === 0) return dim(cell);
    const one = tried[row - 1];
    if (one === undefined || !pareto.includes(one)) return cell;
    return column === head.length - 1 ? green(cell) : bold(cell);
  };
  const figures = TUNE_FIELDS.map((_, index) => settings.length + index);
  return [
    `${bold(policy)}: ${count(tried.length, "combination", "combinations")} of ${settings.join(", ")}, each over ${count(alerts, "alert", "alerts")}`,
    "",
    ...textTable([head, ...rows], { right: figures, paint }),
    ...invalid.map(({ combination, why }) => yellow(`not valid: ${combinationText(combination)}: ${why}`)),
    ...targetText(found, colors),
  ];
}

function marksOf(one: Tried, { pareto, smallest, targets }: TuneFound): string[] {
  return [
    one.isInForce ? "in force" : "",
    pareto.includes(one) ? "pareto" : "",
    targets.length > 0 && reaches(one, targets) ? "reaches the target" : "",
    one === smallest ? "smallest" : "",
  ].filter(Boolean);
}

function targetText({ targets, smallest, proof, policy, tried }: TuneFound, colors: Colors): string[] {
  if (targets.length === 0) return [];
  const { bold, red, green } = colors;
  const wanted = targets.map(({ text }) => text).join(" and ");
  if (smallest === null)
    return ["", red(`✗ No combination that was tried reaches ${wanted}. Vary more, or other settings.`)];
  if (smallest.isInForce) return ["", green(`✓ The rule in force reaches ${wanted}: nothing has to change.`)];
  const inForce = tried.find(({ isInForce }) => isInForce)?.combination;
  const changes = [...smallest.combination]
    .filter(([setting, value]) => !isSameValue(value, inForce?.get(setting)))
    .map(([setting, value]) => `${setting} ${valueText(inForce?.get(setting) ?? "")} → ${bold(valueText(value))}`);
  return [
    "",
    green(`✓ The smallest change of ${policy} that reaches ${wanted}: ${changes.join(", ")}`),
    "",
    ...(proof === null ? [] : diffText({ ...proof, failures: [], hasGates: false }, colors)),
  ];
}

export function tuneLines(found: TuneFound): object[] {
  const { policy, targets, tried, invalid, pareto, smallest, proof, alerts, total } = found;
  const rows = tried.map((one) => ({
    policy,
    ...plain(one.combination),
    inForce: one.isInForce,
    ...one.figures,
    pareto: pareto.includes(one),
    ...(targets.length === 0 ? {} : { reached: reaches(one, targets) }),
  }));
  const refused = invalid.map(({ combination, why }) => ({ policy, ...plain(combination), invalid: why }));
  const summary = {
    alerts,
    combinations: total,
    tried: tried.length,
    invalid: invalid.length,
    targets: targets.map(({ text }) => text),
    smallest: smallest === null ? null : plain(smallest.combination),
    diff: proof?.summary ?? null,
  };
  return [...rows, ...refused, { summary }];
}

function plain(combination: Combination): object {
  return Object.fromEntries(combination);
}

/** Each combination by what it changes and what it achieves. */
export function tunePlot(found: TuneFound): string {
  const { policy, axis, tried, pareto, smallest, targets, alerts } = found;
  const title = TITLES[axis.field];
  const points = tried.map(
    (one): ScatterPoint => ({
      x: one.figures.changed,
      y: one.figures[axis.field],
      name: combinationText(one.combination),
      rank: pareto.includes(one) ? pareto.indexOf(one) + 1 : null,
      isOrigin: one.isInForce,
      isChosen: one === smallest,
      note: `${one.figures[axis.field]} ${title}, ${one.figures.changed} changed${one.isInForce ? ", in force" : ""}`,
    }),
  );
  const target = targets.find(({ field }) => field === axis.field);
  return drawScatter({
    title: `${policy} over ${count(alerts, "alert", "alerts")}`,
    x: "instances that go another way than under the rule in force",
    y: title,
    points,
    line: target === undefined ? null : { y: target.value, name: target.text },
  });
}

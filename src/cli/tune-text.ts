/** What `becalm tune` shows: a table for people, JSON lines, a plot. */
import { drawScatter, type ScatterPoint } from "../drawing/scatter.ts";
import { fittingTable } from "../present/fitting-table.ts";
import type { Reader } from "../present/reader.ts";
import type { Sentence } from "../present/sentences.ts";
import { count } from "../present/text-table.ts";
import { wrappedIn } from "../present/wrapped-text.ts";
import type { Condition } from "../simulate/diff-gates.ts";
import { type Axis, reaches, type Tried, TUNE_FIELDS, type TuneField } from "../simulate/tune.ts";
import { type Combination, combinationText, isSameValue, type Varied, valueText } from "../simulate/tune-grid.ts";
import type { Compared } from "./compared-sides.ts";
import { type DiffLook, diffText } from "./diff-text.ts";

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

const TITLES: Readonly<Record<TuneField, Sentence>> = {
  executed: { en: "executed", zh: "已执行" },
  skipped: { en: "skipped", zh: "已跳过" },
  waiting: { en: "waiting", zh: "等待中" },
  asked: { en: "asked", zh: "审批" },
  changed: { en: "changed", zh: "变化" },
  newlyExecuted: { en: "newly executed", zh: "新执行" },
  newlySkipped: { en: "newly skipped", zh: "新跳过" },
};

/** `columns`: of the screen. */
export type TuneLook = DiffLook & { readonly columns: number };

export function tuneText(found: TuneFound, look: TuneLook): string[] {
  const { colors, reader, columns } = look;
  const { say, language } = reader;
  const { policy, settings, tried, invalid, alerts, pareto } = found;
  const { bold, dim, green, yellow } = colors;
  const head = [...settings, ...TUNE_FIELDS.map((field) => TITLES[field][language]), ""];
  const rows = tried.map((one) => [
    ...settings.map((setting) => valueText(one.combination.get(setting) ?? "")),
    ...TUNE_FIELDS.map((field) => String(one.figures[field])),
    marksOf(one, found, reader).join(", "),
  ]);
  const paint = (cell: string, column: number, row: number) => {
    if (row === 0) return dim(cell);
    const one = tried[row - 1];
    if (one === undefined || !pareto.includes(one)) return cell;
    return column === head.length - 1 ? green(cell) : bold(cell);
  };
  const figures = TUNE_FIELDS.map((_, index) => settings.length + index);
  return [
    ...wrappedIn(
      say(
        `${policy}: ${count(tried.length, "combination", "combinations")} of ${settings.join(", ")}, each over ${count(alerts, "alert", "alerts")}`,
        `${policy}：${settings.join(", ")} 的 ${tried.length} 种组合，各用 ${alerts} 条告警`,
      ),
      columns,
    ).map((line) => (line.startsWith(policy) ? bold(policy) + line.slice(policy.length) : line)),
    "",
    ...fittingTable([head, ...rows], { columns, keys: settings.length, right: figures, paint }),
    ...invalid.flatMap(({ combination, why }) =>
      wrappedIn(`${say("not valid", "无效")}: ${combinationText(combination)}: ${why}`, columns).map(yellow),
    ),
    ...targetText(found, look),
  ];
}

function marksOf(one: Tried, { pareto, smallest, targets }: TuneFound, { say }: Reader): string[] {
  return [
    one.isInForce ? say("in force", "现行") : "",
    pareto.includes(one) ? say("pareto", "帕累托") : "",
    targets.length > 0 && reaches(one, targets) ? say("reaches the target", "达到目标") : "",
    one === smallest ? say("smallest", "最小修改") : "",
  ].filter(Boolean);
}

function targetText({ targets, smallest, proof, policy, tried }: TuneFound, look: TuneLook): string[] {
  if (targets.length === 0) return [];
  const { columns } = look;
  const { say } = look.reader;
  const { red, green } = look.colors;
  const wanted = targets.map(({ text }) => text).join(say(" and ", " 且 "));
  if (smallest === null) {
    const text = say(
      `✗ No combination that was tried reaches ${wanted}. Vary more, or other settings.`,
      `✗ 尝试过的组合都达不到 ${wanted}。请扩大范围，或改变其他设置。`,
    );
    return ["", ...wrappedIn(text, columns).map(red)];
  }
  if (smallest.isInForce) {
    const text = say(
      `✓ The rule in force reaches ${wanted}: nothing has to change.`,
      `✓ 现行规则已达到 ${wanted}：无需修改。`,
    );
    return ["", ...wrappedIn(text, columns).map(green)];
  }
  const inForce = tried.find(({ isInForce }) => isInForce)?.combination;
  const changes = [...smallest.combination]
    .filter(([setting, value]) => !isSameValue(value, inForce?.get(setting)))
    .map(([setting, value]) => `${setting} ${valueText(inForce?.get(setting) ?? "")} → ${valueText(value)}`);
  const text = say(
    `✓ The smallest change of ${policy} that reaches ${wanted}: ${changes.join(", ")}`,
    `✓ ${policy} 达到 ${wanted} 的最小修改：${changes.join(", ")}`,
  );
  return [
    "",
    ...wrappedIn(text, columns).map(green),
    "",
    ...(proof === null ? [] : diffText({ ...proof, failures: [], hasGates: false }, look)),
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
  const title = TITLES[axis.field].en;
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

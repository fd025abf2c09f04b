/**
 * What `becalm diff` shows people: a table by policy, and the changes that matter first; as text or as a comment for a
 * merge request.
 */
import type { Reader } from "../present/reader.ts";
import { count, textTable } from "../present/text-table.ts";
import { wrapped } from "../present/wrapped-text.ts";
import { type Change, type DiffSummary, isNewlyExecuted, isNewlySkipped, type Side } from "../simulate/diff.ts";
import type { PolicyTotals } from "../simulate/policy-totals.ts";
import type { Colors } from "./terminal.ts";

const COLUMNS = 80;

/** The first row is the head. */
function policyRows(totals: readonly PolicyTotals[], { say }: Reader): string[][] {
  const rows = totals.map((one) => [
    one.policy,
    ...[one.wasExecuted, one.nowExecuted, one.newlyExecuted, one.newlySkipped, one.changed].map(String),
  ]);
  const head = [
    say("policy", "策略"),
    say("executed before", "此前执行"),
    say("now", "现在"),
    say("newly executed", "新执行"),
    say("newly skipped", "新跳过"),
    say("changed", "变化"),
  ];
  return [head, ...rows];
}

export type DiffReport = {
  readonly policies: readonly PolicyTotals[];
  readonly summary: DiffSummary;
  /** The first ones, in order of what matters. */
  readonly shown: readonly Change[];
  readonly failures: readonly string[];
  readonly hasGates: boolean;
};

export type DiffLook = { readonly colors: Colors; readonly reader: Reader };

export function diffText(
  { policies, summary, shown, failures, hasGates }: DiffReport,
  { colors, reader }: DiffLook,
): string[] {
  const { say } = reader;
  const { bold, dim, green, red } = colors;
  const { alerts, instances, changed, was, now } = summary;
  const lines = [
    say(
      `${bold(String(changed))} of ${count(instances, "instance", "instances")} would go another way (${count(alerts, "alert", "alerts")}).`,
      `${instances} 个实例中有 ${bold(String(changed))} 个结果不同（${alerts} 条告警）。`,
    ),
    say(
      `executed ${was.executed} → ${bold(String(now.executed))}, skipped ${was.skipped} → ${now.skipped}, waiting ${was.waiting} → ${now.waiting}, groups ${was.groups} → ${now.groups}`,
      `已执行 ${was.executed} → ${bold(String(now.executed))}，已跳过 ${was.skipped} → ${now.skipped}，等待中 ${was.waiting} → ${now.waiting}，收敛组 ${was.groups} → ${now.groups}`,
    ),
    "",
    ...textTable(policyRows(policies, reader), {
      right: [1, 2, 3, 4, 5],
      paint: (cell, _column, row) => (row === 0 ? dim(cell) : cell),
    }),
  ];
  if (shown.length > 0) lines.push("", ...shown.flatMap((change) => changeLines(change, { colors, reader })));
  const left = changed - shown.length;
  if (left > 0)
    lines.push(
      dim(
        say(
          `... and ${left} more; --limit shows more, --json all`,
          `…… 还有 ${left} 个；--limit 显示更多，--json 显示全部`,
        ),
      ),
    );
  if (failures.length > 0) lines.push("", ...failures.map((failure) => red(`✗ ${failure}`)));
  else if (hasGates) lines.push("", green(say("✓ no gate fails", "✓ 所有门禁通过")));
  return lines;
}

function changeLines(change: Change, { colors: { bold, dim }, reader }: DiffLook): string[] {
  return [
    `${bold(kindOf(change, reader))}  ${change.policy}  ${dim(change.id)}`,
    ...wrapped(labelsText(change), COLUMNS - 2).map((line) => `  ${line}`),
    `  ${sideText(change.was, reader)} → ${sideText(change.now, reader)}`,
  ];
}

function kindOf(change: Change, { say }: Reader): string {
  if (isNewlyExecuted(change)) return say("newly executed", "新执行");
  return isNewlySkipped(change) ? say("newly skipped", "新跳过") : say("changed", "变化");
}

function labelsText({ alert }: Change): string {
  const labels = Object.entries(alert?.labels ?? {});
  const ranked = labels.toSorted(([a], [b]) => rankOf(a) - rankOf(b));
  return ranked.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(" ");
}

function rankOf(name: string): number {
  const place = ["severity", "alertname"].indexOf(name);
  return place === -1 ? 2 : place;
}

function sideText(side: Side | null, { say }: Reader): string {
  if (side === null) return say("no instance", "无实例");
  const attempts = side.attempts > 1 ? say(`, ${side.attempts} attempts`, `，执行 ${side.attempts} 次`) : "";
  return `${side.state ?? say("unreadable", "无法读取")} (${side.reason ?? "-"}${attempts})`;
}

/** A comment for a merge request, in GitHub's and GitLab's Markdown. */
export function diffMarkdown({ policies, summary, shown, failures, hasGates }: DiffReport, reader: Reader): string[] {
  const { say } = reader;
  const { alerts, instances, changed, was, now } = summary;
  const [head = [], ...rows] = policyRows(policies, reader);
  const lines = [
    say(
      `### Becalm: ${changed} of ${instances} possible actions would go another way`,
      `### Becalm：${instances} 个可能的动作中有 ${changed} 个结果不同`,
    ),
    "",
    say(
      `${alerts} alerts. Executed ${was.executed} → **${now.executed}**, skipped ${was.skipped} → ${now.skipped}, waiting ${was.waiting} → ${now.waiting}.`,
      `${alerts} 条告警。已执行 ${was.executed} → **${now.executed}**，已跳过 ${was.skipped} → ${now.skipped}，等待中 ${was.waiting} → ${now.waiting}。`,
    ),
    "",
    `| ${head.join(" | ")} |`,
    `|---|${"---:|".repeat(head.length - 1)}`,
    ...rows.map((row) => `| ${row.map(cellText).join(" | ")} |`),
  ];
  if (shown.length > 0) {
    const first = say(` (the first ${shown.length} of ${changed})`, `（${changed} 个中的前 ${shown.length} 个）`);
    const title = `${say("What changes", "变化")}${changed > shown.length ? first : ""}`;
    lines.push("", "<details>", `<summary>${title}</summary>`, "");
    lines.push(say("| | policy | alert | was | now |", "| | 策略 | 告警 | 此前 | 现在 |"), "|---|---|---|---|---|");
    for (const change of shown) {
      const sides = [sideText(change.was, reader), sideText(change.now, reader)];
      const cells = [kindOf(change, reader), change.policy, labelsText(change), ...sides];
      lines.push(`| ${cells.map(cellText).join(" | ")} |`);
    }
    lines.push("", "</details>");
  }
  if (failures.length > 0) lines.push("", ...failures.map((failure) => `- ❌ ${cellText(failure)}`));
  else if (hasGates) lines.push("", say("✅ No gate fails.", "✅ 所有门禁通过。"));
  return lines;
}

/** Labels come from outside: nothing in them may end a cell or begin markup. */
function cellText(text: string): string {
  return text.replace(/[\\|`*_<>[\]&#@!]/g, (character) => `&#${character.charCodeAt(0)};`).replace(/\s+/g, " ");
}

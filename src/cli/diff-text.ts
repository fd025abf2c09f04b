/** What `becalm diff` shows people: a table by policy, and the changes that matter first; as text or as a comment for a merge request. */
import { count, textTable } from "../present/text-table.ts";
import { type Change, type DiffSummary, isNewlyExecuted, isNewlySkipped, type Side } from "../simulate/diff.ts";
import type { Colors } from "./terminal.ts";

type PolicyTotals = {
  readonly policy: string;
  wasExecuted: number;
  nowExecuted: number;
  newlyExecuted: number;
  newlySkipped: number;
  changed: number;
};

/** Totals by policy, in the order in which policies come up. */
export class DiffTable {
  readonly #policies = new Map<string, PolicyTotals>();

  addWas(policy: string, isExecuted: boolean): void {
    if (isExecuted) this.#of(policy).wasExecuted += 1;
    else this.#of(policy);
  }

  addNow(policy: string, isExecuted: boolean): void {
    if (isExecuted) this.#of(policy).nowExecuted += 1;
    else this.#of(policy);
  }

  addChange(change: Change): void {
    const totals = this.#of(change.policy);
    totals.changed += 1;
    if (isNewlyExecuted(change)) totals.newlyExecuted += 1;
    if (isNewlySkipped(change)) totals.newlySkipped += 1;
  }

  rows(): string[][] {
    const rows = [...this.#policies.values()].map((one) => [
      one.policy,
      ...[one.wasExecuted, one.nowExecuted, one.newlyExecuted, one.newlySkipped, one.changed].map(String),
    ]);
    return [["policy", "executed before", "now", "newly executed", "newly skipped", "changed"], ...rows];
  }

  #of(policy: string): PolicyTotals {
    const known = this.#policies.get(policy);
    if (known !== undefined) return known;
    const fresh = { policy, wasExecuted: 0, nowExecuted: 0, newlyExecuted: 0, newlySkipped: 0, changed: 0 };
    this.#policies.set(policy, fresh);
    return fresh;
  }
}

export type DiffReport = {
  readonly table: DiffTable;
  readonly summary: DiffSummary;
  /** The first ones, in order of what matters. */
  readonly shown: readonly Change[];
  readonly failures: readonly string[];
  readonly hasGates: boolean;
};

export function diffText({ table, summary, shown, failures, hasGates }: DiffReport, colors: Colors): string[] {
  const { bold, dim, green, red } = colors;
  const { alerts, instances, changed, was, now } = summary;
  const lines = [
    `${bold(String(changed))} of ${count(instances, "instance", "instances")} would go another way (${count(alerts, "alert", "alerts")}).`,
    `executed ${was.executed} → ${bold(String(now.executed))}, skipped ${was.skipped} → ${now.skipped}, waiting ${was.waiting} → ${now.waiting}, groups ${was.groups} → ${now.groups}`,
    "",
    ...textTable(table.rows(), {
      right: [1, 2, 3, 4, 5],
      paint: (cell, _column, row) => (row === 0 ? dim(cell) : cell),
    }),
  ];
  if (shown.length > 0) lines.push("", ...shown.flatMap((change) => changeLines(change, colors)));
  if (changed > shown.length) lines.push(dim(`... and ${changed - shown.length} more; --limit shows more, --json all`));
  if (failures.length > 0) lines.push("", ...failures.map((failure) => red(`✗ ${failure}`)));
  else if (hasGates) lines.push("", green("✓ no gate fails"));
  return lines;
}

function changeLines(change: Change, { bold, dim }: Colors): string[] {
  return [
    `${bold(kindOf(change))}  ${change.policy}  ${dim(change.id)}`,
    `  ${labelsText(change)}`,
    `  ${sideText(change.was)} → ${sideText(change.now)}`,
  ];
}

function kindOf(change: Change): string {
  if (isNewlyExecuted(change)) return "newly executed";
  return isNewlySkipped(change) ? "newly skipped" : "changed";
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

function sideText(side: Side | null): string {
  if (side === null) return "no instance";
  const attempts = side.attempts > 1 ? `, ${side.attempts} attempts` : "";
  return `${side.state ?? "unreadable"} (${side.reason ?? "-"}${attempts})`;
}

/** A comment for a merge request, in GitHub's and GitLab's Markdown. */
export function diffMarkdown({ table, summary, shown, failures, hasGates }: DiffReport): string[] {
  const { alerts, instances, changed, was, now } = summary;
  const [head = [], ...rows] = table.rows();
  const lines = [
    `### Becalm: ${changed} of ${instances} possible actions would go another way`,
    "",
    `${alerts} alerts. Executed ${was.executed} → **${now.executed}**, skipped ${was.skipped} → ${now.skipped}, waiting ${was.waiting} → ${now.waiting}.`,
    "",
    `| ${head.join(" | ")} |`,
    `|---|${"---:|".repeat(head.length - 1)}`,
    ...rows.map((row) => `| ${row.map(cellText).join(" | ")} |`),
  ];
  if (shown.length > 0) {
    const left = changed > shown.length ? ` (the first ${shown.length} of ${changed})` : "";
    lines.push("", "<details>", `<summary>What changes${left}</summary>`, "");
    lines.push("| | policy | alert | was | now |", "|---|---|---|---|---|");
    for (const change of shown)
      lines.push(
        `| ${[kindOf(change), change.policy, labelsText(change), sideText(change.was), sideText(change.now)].map(cellText).join(" | ")} |`,
      );
    lines.push("", "</details>");
  }
  if (failures.length > 0) lines.push("", ...failures.map((failure) => `- ❌ ${cellText(failure)}`));
  else if (hasGates) lines.push("", "✅ No gate fails.");
  return lines;
}

/** Labels come from outside: nothing in them may end a cell or begin markup. */
function cellText(text: string): string {
  return text.replace(/[\\|`*_<>[\]&#@!]/g, (character) => `&#${character.charCodeAt(0)};`).replace(/\s+/g, " ");
}

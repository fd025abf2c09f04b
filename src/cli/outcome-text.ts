/** What `becalm report` shows: for people a table and what stands behind it, or a JSON line a rule. */
import { formatDuration } from "../model/duration.ts";
import type { ReasonCode } from "../model/reasons.ts";
import { ruleText } from "../present/rule-text.ts";
import { count, textTable } from "../present/text-table.ts";
import type { OutcomeFigures, OutcomeRow, Spread } from "../simulate/outcome-report.ts";
import type { Colors } from "./terminal.ts";

export type OutcomeSummary = {
  readonly since: string;
  readonly until: string;
  readonly instances: number;
  readonly unreadable: number;
  readonly isCut: boolean;
};

/** Key order is part of the output. */
export function outcomeLine({ policy, figures }: OutcomeRow): object {
  const rule = policy.converge === null ? null : ruleText(policy.converge, null).en;
  return { policy: policy.name, version: policy.version, rule, ...figures };
}

const HEAD = [
  "policy",
  "instances",
  "executed",
  "failed",
  "retried",
  "verified",
  "skipped for a peer",
  "resolved",
  "half within",
  "asked",
  "answered",
  "half within",
];

export function outcomeText(rows: readonly OutcomeRow[], summary: OutcomeSummary, colors: Colors): string[] {
  const { bold, dim, yellow } = colors;
  const lines = [
    `${bold(String(summary.instances))} ${summary.instances === 1 ? "instance" : "instances"} from ${summary.since} to ${summary.until}`,
  ];
  if (summary.unreadable > 0)
    lines.push(yellow(`${count(summary.unreadable, "instance", "instances")} cannot be read and are left out.`));
  if (rows.length === 0) return lines;
  const cells = rows.map(({ policy, figures }) => [policy.name, ...figureCells(figures)]);
  const right = HEAD.map((_, column) => column).slice(1);
  lines.push("", ...textTable([HEAD, ...cells], { right, paint: (cell, _, row) => (row === 0 ? dim(cell) : cell) }));
  for (const row of rows) lines.push("", ...detailLines(row, colors));
  return lines;
}

function figureCells({ instances, executed, skipped, approvals }: OutcomeFigures): string[] {
  const { forPeer } = skipped;
  return [
    instances,
    executed.count,
    executed.failed,
    executed.retried,
    executed.verified,
    forPeer.count,
    forPeer.resolved,
    timeText(forPeer.resolvedAfterMs.p50),
    approvals.asked,
    approvals.answeredAfterMs.count,
    timeText(approvals.answeredAfterMs.p50),
  ].map(String);
}

function detailLines({ policy, figures }: OutcomeRow, { bold, dim }: Colors): string[] {
  const { executed, skipped, approvals } = figures;
  const { forPeer } = skipped;
  const rule = policy.converge === null ? "no rule: every alert runs" : ruleText(policy.converge, null).en;
  const facts = [
    executed.count === 0 ? "" : `${count(executed.attempts, "attempt", "attempts")}: ${executedText(executed)}`,
    forPeer.count === 0
      ? ""
      : `of ${forPeer.count} skipped for a peer ${forPeer.resolved} resolved${spreadText(forPeer.resolvedAfterMs)}, ${forPeer.lost} ended unheard, of ${forPeer.unknown} no end is known`,
    skipped.count === 0 ? "" : `skipped: ${reasonsText(skipped.reasons)}`,
    approvals.asked === 0 ? "" : `asked ${approvals.asked} times: ${approvalsText(approvals)}`,
  ].filter(Boolean);
  return [`${bold(policy.name)}  ${dim(`${rule} (${policy.version})`)}`, ...facts.map((fact) => `  ${fact}`)];
}

function executedText({
  succeeded,
  verified,
  failed,
  notResolved,
  retried,
  underWay,
}: OutcomeFigures["executed"]): string {
  const verifying =
    verified + notResolved === 0 ? "" : `, ${verified} verified, ${notResolved} did not resolve in time`;
  return `${succeeded} succeeded, ${failed} failed, ${retried} retried, ${underWay} under way${verifying}`;
}

function approvalsText({
  granted,
  denied,
  timedOut,
  ended,
  waiting,
  answeredAfterMs,
}: OutcomeFigures["approvals"]): string {
  const answers = `${granted} granted, ${denied} denied${spreadText(answeredAfterMs)}`;
  return `${answers}, ${timedOut} not answered in time, ${ended} over before an answer, ${waiting} waiting`;
}

function spreadText({ count: number, p50, p90, max }: Spread): string {
  if (number === 0) return "";
  return ` (half within ${timeText(p50)}, nine of ten within ${timeText(p90)}, the last after ${timeText(max)})`;
}

function reasonsText(reasons: Readonly<Partial<Record<ReasonCode, number>>>): string {
  return Object.entries(reasons)
    .toSorted(([, a], [, b]) => b - a)
    .map(([reason, number]) => `${reason} ${number}`)
    .join(", ");
}

/** To the second above a second. */
function timeText(ms: number | null): string {
  if (ms === null) return "-";
  return formatDuration(ms < 1_000 ? ms : Math.round(ms / 1_000) * 1_000);
}

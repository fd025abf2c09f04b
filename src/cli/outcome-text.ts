/** What `becalm report` shows: for people a table and what stands behind it, or a JSON line a rule. */
import { formatDuration } from "../model/duration.ts";
import type { ReasonCode } from "../model/reasons.ts";
import { fittingTable } from "../present/fitting-table.ts";
import type { Reader } from "../present/reader.ts";
import { ruleText } from "../present/rule-text.ts";
import type { Sentence } from "../present/sentences.ts";
import { count } from "../present/text-table.ts";
import { columnsOf, cutColumns } from "../present/text-width.ts";
import { wrapped, wrappedIn } from "../present/wrapped-text.ts";
import type { OutcomeFigures, OutcomeRow, Spread } from "../simulate/outcome-report.ts";
import type { Colors } from "./terminal.ts";

export type OutcomeSummary = {
  readonly since: string;
  readonly until: string;
  readonly instances: number;
  readonly unreadable: number;
  readonly isCut: boolean;
};

/** `columns`: of the screen. */
export type OutcomeLook = { readonly colors: Colors; readonly reader: Reader; readonly columns: number };

/** Key order is part of the output. */
export function outcomeLine({ policy, figures }: OutcomeRow): object {
  const rule = policy.converge === null ? null : ruleText(policy.converge, null).en;
  return { policy: policy.name, version: policy.version, rule, ...figures };
}

const HEAD: readonly Sentence[] = [
  { en: "policy", zh: "策略" },
  { en: "instances", zh: "实例" },
  { en: "executed", zh: "已执行" },
  { en: "failed", zh: "失败" },
  { en: "retried", zh: "重试" },
  { en: "verified", zh: "已验证" },
  { en: "skipped for a peer", zh: "因同组跳过" },
  { en: "resolved", zh: "已恢复" },
  { en: "median", zh: "中位数" },
  { en: "asked", zh: "请求审批" },
  { en: "answered", zh: "已答复" },
  { en: "median", zh: "中位数" },
];

export function outcomeText(rows: readonly OutcomeRow[], summary: OutcomeSummary, look: OutcomeLook): string[] {
  const { colors, reader, columns } = look;
  const { bold, dim, yellow } = colors;
  const { say } = reader;
  const { instances, since, until, unreadable } = summary;
  const lines = [
    say(
      `${bold(String(instances))} ${instances === 1 ? "instance" : "instances"} from ${since} to ${until}`,
      `${since} 至 ${until}：${bold(String(instances))} 个实例`,
    ),
  ];
  if (unreadable > 0)
    lines.push(
      yellow(
        say(
          `${count(unreadable, "instance", "instances")} cannot be read and are left out.`,
          `${unreadable} 个实例无法读取，已略去。`,
        ),
      ),
    );
  if (rows.length === 0) return lines;
  const cells = rows.map(({ policy, figures }) => [policy.name, ...figureCells(figures)]);
  const head = HEAD.map((title) => title[reader.language]);
  const right = HEAD.map((_, column) => column).slice(1);
  const paint = (cell: string, _: number, row: number) => (row === 0 ? dim(cell) : cell);
  lines.push("", ...fittingTable([head, ...cells], { columns, keys: 1, right, paint }));
  for (const row of rows) lines.push("", ...detailLines(row, look));
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

function detailLines(
  { policy, figures }: OutcomeRow,
  { colors: { bold, dim }, reader, columns }: OutcomeLook,
): string[] {
  const { executed, skipped, approvals } = figures;
  const { forPeer } = skipped;
  const { say, language } = reader;
  const rule =
    policy.converge === null
      ? say("no rule: every alert runs", "无规则：每条告警都执行")
      : ruleText(policy.converge, null)[language];
  const after = spreadText(forPeer.resolvedAfterMs, reader);
  const facts = [
    executed.count === 0
      ? ""
      : `${say(count(executed.attempts, "attempt", "attempts"), `${executed.attempts} 次尝试`)}${say(": ", "：")}${executedText(executed, reader)}`,
    forPeer.count === 0
      ? ""
      : say(
          `${forPeer.count} skipped for a peer: ${forPeer.resolved} resolved${after}, ${forPeer.lost} ended unreported, ${forPeer.unknown} unknown`,
          `因同组跳过 ${forPeer.count} 个：${forPeer.resolved} 个已恢复${after}，${forPeer.lost} 个未收到恢复，${forPeer.unknown} 个结果未知`,
        ),
    skipped.count === 0 ? "" : `${say("skipped: ", "跳过：")}${reasonsText(skipped.reasons)}`,
    approvals.asked === 0
      ? ""
      : `${say(`asked ${approvals.asked} times: `, `请求审批 ${approvals.asked} 次：`)}${approvalsText(approvals, reader)}`,
  ].filter(Boolean);
  const what = `${rule} (${policy.version})`;
  const isOneLine = columnsOf(`${policy.name}  ${what}`) <= columns;
  const head = isOneLine
    ? [`${bold(policy.name)}  ${dim(what)}`]
    : [bold(cutColumns(policy.name, columns)), ...wrapped(what, columns - 2).map((line) => `  ${dim(line)}`)];
  return [...head, ...facts.flatMap((fact) => wrappedIn(fact, columns - 2)).map((line) => `  ${line}`)];
}

function executedText(
  { succeeded, verified, failed, notResolved, retried, underWay }: OutcomeFigures["executed"],
  { say }: Reader,
): string {
  const verifying =
    verified + notResolved === 0
      ? ""
      : say(
          `, ${verified} verified, ${notResolved} did not resolve in time`,
          `，${verified} 个已验证，${notResolved} 个未按时恢复`,
        );
  return say(
    `${succeeded} succeeded, ${failed} failed, ${retried} retried, ${underWay} under way${verifying}`,
    `${succeeded} 个成功，${failed} 个失败，${retried} 个重试，${underWay} 个进行中${verifying}`,
  );
}

function approvalsText(approvals: OutcomeFigures["approvals"], reader: Reader): string {
  const { granted, denied, timedOut, ended, waiting, answeredAfterMs } = approvals;
  const after = spreadText(answeredAfterMs, reader);
  return reader.say(
    `${granted} granted, ${denied} denied${after}, ${timedOut} not answered in time, ${ended} ended before an answer, ${waiting} waiting`,
    `${granted} 个批准，${denied} 个拒绝${after}，${timedOut} 个超时，${ended} 个在答复前已结束，${waiting} 个等待中`,
  );
}

function spreadText({ count: number, p50, p90, max }: Spread, { say }: Reader): string {
  if (number === 0) return "";
  return say(
    ` (median ${timeText(p50)}, 90 % within ${timeText(p90)}, at most ${timeText(max)})`,
    `（半数在 ${timeText(p50)} 内，九成在 ${timeText(p90)} 内，最长 ${timeText(max)}）`,
  );
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

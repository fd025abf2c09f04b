/** What `becalm detect` says at its end: counts, and what was not found. */
import { addCounts, addReasons, NO_COUNTS, type SourceCounts } from "../detection/source-position.ts";
import type { DetectCommandOptions, Parts } from "./detect-parts.ts";
import type { Terminal } from "./terminal.ts";

type Totals = {
  readonly rows: number;
  readonly counts: SourceCounts;
  readonly reasons: Readonly<Record<string, number>>;
};

/** Over all inputs, whichever run took their rows. */
export function totalsOf({ inputs, opened: { detection } }: Parts): Totals {
  let totals: Totals = { rows: 0, counts: NO_COUNTS, reasons: {} };
  for (const { source } of inputs) {
    const { rows, counts, reasons } = detection.position(source);
    totals = {
      rows: totals.rows + rows,
      counts: addCounts(totals.counts, counts),
      reasons: addReasons(totals.reasons, reasons),
    };
  }
  return totals;
}

/**
 * `body: []` makes it a request without alerts, so `becalm run` reads over it. Answers how many things were not found.
 */
export async function tellSummary(parts: Parts): Promise<number> {
  const { terminal, options, notes } = parts;
  const { rows, counts, reasons } = totalsOf(parts);
  const alerts = counts.firing + counts.resolved + counts.resent;
  const delay = parts.inputs.some(({ isLive }) => isLive) ? notes.delaySeconds() : null;
  const problems = problemsOf(parts, { rows, counts, reasons });
  if (options.json) {
    const more = delay === null ? {} : { delaySeconds: delay };
    await terminal.json({ summary: { records: rows, alerts, ...counts, reasons, ...more }, body: [] });
  }
  notes.tooLate();
  notes.problems(problems);
  if (options.quiet) return problems.length;
  const { rejected, unmatched, accepted, duplicates, late, withoutValue, gaps, firing, resolved, resent } = counts;
  const { say } = terminal;
  terminal.note(
    say(
      `${number(rows)} records: ${number(unmatched)} of no strategy, ${number(accepted)} points (${number(late)} late, put in place), ${number(duplicates)} duplicates, ${number(withoutValue)} without a value, ${number(rejected)} rejected`,
      `${number(rows)} 条记录：${number(unmatched)} 条不属于任何策略，${number(accepted)} 个数据点（${number(late)} 个迟到，已归位），${number(duplicates)} 条重复，${number(withoutValue)} 条无值，${number(rejected)} 条被拒绝`,
    ),
  );
  const byReason = Object.entries(reasons).sort(([, a], [, b]) => b - a);
  if (byReason.length > 0)
    terminal.note(
      `${say("rejected", "被拒绝")}: ${byReason.map(([reason, count]) => `${number(count)} ${reason}`).join(", ")}`,
    );
  terminal.note(
    say(
      `${number(alerts)} alerts: ${number(firing)} firing, ${number(resolved)} resolved, ${number(resent)} sent again; ${number(gaps)} gaps in the data`,
      `${number(alerts)} 条告警：${number(firing)} 条触发，${number(resolved)} 条恢复，${number(resent)} 条重发；数据缺口 ${number(gaps)} 处`,
    ),
  );
  if (delay !== null)
    terminal.note(
      say(
        `alerts were decided ${delay.median} s after their data's time at the median, ${delay.max} s at most`,
        `告警判定距数据时间：中位数 ${delay.median} 秒，最大 ${delay.max} 秒`,
      ),
    );
  return problems.length;
}

/** Sentences: nothing was read, or a strategy found nothing that it could look at. */
function problemsOf({ census, opened }: Parts, { rows, counts, reasons }: Totals): string[] {
  if (rows === 0) return [];
  if (counts.rejected === rows) {
    const [reason = ""] = Object.entries(reasons).sort(([, a], [, b]) => b - a)[0] ?? [];
    return [`Not one of ${number(rows)} records could be read (${reason}). ${census.fieldsText()}`];
  }
  const missing = census.missing();
  const problems = missing.map(
    ({ strategy, field, role }) =>
      `No record has the field ${field}, the ${role} of ${strategy}. ${census.fieldsText()}`,
  );
  if (missing.length > 0) return problems;
  for (const { strategies, received } of opened.detection.received()) {
    if (received === 0)
      problems.push(`No record passes the filter of ${strategies.join(", ")}. ${census.valuesText(strategies)}`);
  }
  return problems;
}

export function stoppedText(rows: number, { store }: DetectCommandOptions, { say }: Terminal): string {
  const where = say(`Stopped after ${number(rows)} rows. `, `已在 ${number(rows)} 行后停止。`);
  if (store === undefined)
    return `${where}${say("Nothing is kept without --store: run it again from the start.", "未给出 --store，未保存：请从头运行。")}`;
  return `${where}${say("Everything up to there is durable: run the same command again to continue.", "之前的均已持久化：再次运行同一命令即可继续。")}`;
}

function number(count: number): string {
  return count.toLocaleString("en");
}

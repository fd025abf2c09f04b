/** What `becalm run` and the demo tell people about a file's instances: totals, by policy and reason, and who waits. */
import { REASONS, type ReasonCode } from "../model/reasons.ts";
import type { Reader } from "../present/reader.ts";
import { count, textTable } from "../present/text-table.ts";
import { wrapped } from "../present/wrapped-text.ts";
import type { FileSummary, InstanceLine } from "../simulate/instance-rows.ts";
import { storeArguments } from "./store-arguments.ts";
import type { Colors } from "./terminal.ts";
import type { StoreOptions } from "./with-namespace.ts";

const WAITING_SHOWN_COUNT_MAX = 5;
const COLUMNS = 80;

type Row = { readonly policy: string; readonly state: string; readonly reason: string; count: number };

/** Counts instance lines, keeping little of each: a file may have many. */
export class ReportTotals {
  readonly #rows = new Map<string, Row>();
  readonly waiting: { readonly id: string; readonly group: string | null }[] = [];

  add({ id, policy, state, reason, group }: InstanceLine): void {
    const key = `${policy}\n${state}\n${reason}`;
    const row = this.#rows.get(key) ?? { policy, state: state ?? "unreadable", reason: reason ?? "-", count: 0 };
    row.count += 1;
    this.#rows.set(key, row);
    if (state === "Waiting" && this.waiting.length < WAITING_SHOWN_COUNT_MAX) this.waiting.push({ id, group });
  }

  /** By policy in order of first appearance, the most frequent first. */
  byReason(): readonly Row[] {
    const rows = [...this.#rows.values()];
    const policies = [...new Set(rows.map(({ policy }) => policy))];
    return rows.toSorted((a, b) => policies.indexOf(a.policy) - policies.indexOf(b.policy) || b.count - a.count);
  }
}

/** `isSimulated`: nothing was really done. */
export type TotalsTextOptions = {
  readonly colors: Colors;
  readonly reader: Reader;
  readonly store: StoreOptions | null;
  readonly isSimulated: boolean;
};

export function totalsText(
  totals: ReportTotals,
  summary: FileSummary,
  { colors, reader, store, isSimulated }: TotalsTextOptions,
): string[] {
  const simulated = reader.say(
    "Simulated: no action was performed. Every attempt ended as assumed (--assume).",
    "模拟运行：未执行任何动作。每次执行的结果均为假定（--assume）。",
  );
  return [
    ...(isSimulated ? [colors.yellow(simulated), ""] : []),
    ...headline(summary, { colors, reader, isSimulated }),
    "",
    ...byReasonText(totals, colors, reader),
    ...(store === null ? [] : waitingText(totals, { summary, colors, reader, store })),
  ];
}

function headline(
  summary: FileSummary,
  { colors, reader: { say }, isSimulated }: Pick<TotalsTextOptions, "colors" | "reader" | "isSimulated">,
): string[] {
  const { bold, green, yellow, dim } = colors;
  const attempted = isSimulated
    ? say("would have had at least one attempt", "本会至少执行一次")
    : say("had at least one attempt", "至少执行了一次");
  const once = say("one an episode and policy; an alert sent again makes none", "每次触发每条策略一个；重复发送不新建");
  const sent = say(
    `opened by them; ${count(summary.summaries, "summary", "summaries")} sent`,
    `由其开启；发送汇总 ${summary.summaries} 份`,
  );
  const below = say("nothing had to run: the reasons are below", "无需执行：原因见下");
  const counts = textTable(
    [
      [say("alerts in", "收到告警"), String(summary.alerts), dim(alertsText(summary, say))],
      [say("instances", "实例"), String(summary.instances), dim(once)],
      [say("executed", "已执行"), String(summary.executed), dim(attempted)],
      [say("skipped", "已跳过"), String(summary.skipped), dim(below)],
      [say("waiting", "等待中"), String(summary.waiting), dim(say("for a human, or for a peer", "等待人工或同组实例"))],
      [say("groups", "收敛组"), String(summary.groups), dim(sent)],
    ],
    {
      right: [1],
      paint: (cell, column, row) => {
        if (column !== 1) return cell;
        return row === 2 ? bold(green(cell)) : row === 4 && cell !== "0" ? bold(yellow(cell)) : bold(cell);
      },
    },
  );
  return counts;
}

function alertsText({ resolved, late, unmatched, rejected, truncated }: FileSummary, say: Reader["say"]): string {
  const parts = [
    [resolved, say("resolved", "条恢复")],
    [late, say(late === 1 ? "late word" : "late words", "条迟到")],
    [unmatched, say("matched no policy", "条无匹配策略")],
    [rejected, say("rejected", "条被拒绝")],
    [truncated, say("left out by the sender", "条被发送方省略")],
  ] as const;
  return parts.flatMap(([number, what]) => (number === 0 ? [] : [`${number} ${what}`])).join(", ");
}

function byReasonText(totals: ReportTotals, colors: Colors, { say, language }: Reader): string[] {
  const rows = totals.byReason();
  if (rows.length === 0) return [];
  let last = "";
  const cells = rows.map(({ policy, state, reason, count }) => {
    const shown = policy === last ? "" : policy;
    last = policy;
    return [shown, String(count), state, reason];
  });
  const table = textTable(
    [[say("policy", "策略"), say("count", "数量"), say("state", "状态"), say("reason", "原因")], ...cells],
    {
      right: [1],
      paint: (cell, column, row) => {
        if (row === 0) return colors.dim(cell);
        return column === 2 ? stateColor(cell, colors) : column === 0 ? colors.bold(cell) : cell;
      },
    },
  );
  return [...table, "", ...reasonsText(new Set(rows.map(({ reason }) => reason)), colors, language)];
}

/** What the reasons mean, each once. */
function reasonsText(reasons: ReadonlySet<string>, { dim }: Colors, language: Reader["language"]): string[] {
  const known = [...reasons].filter((reason): reason is ReasonCode => Object.hasOwn(REASONS, reason));
  const width = Math.max(0, ...known.map((reason) => reason.length));
  return known.flatMap((reason) =>
    wrapped(REASONS[reason][language], COLUMNS - width - 2).map((line, index) =>
      dim(`${(index === 0 ? reason : "").padEnd(width)}  ${line}`),
    ),
  );
}

function waitingText(
  { waiting }: ReportTotals,
  {
    summary,
    colors,
    reader: { say },
    store,
  }: { summary: FileSummary; store: StoreOptions } & Pick<TotalsTextOptions, "colors" | "reader">,
): string[] {
  const [first] = waiting;
  if (first === undefined) return [];
  const lines = [
    "",
    colors.bold(
      say(
        `${summary.waiting} ${summary.waiting === 1 ? "waits" : "wait"} for a human or a peer. The first that a human may answer:`,
        `${summary.waiting} 个实例等待人工或同组实例。最先可由人工答复的：`,
      ),
    ),
  ];
  lines.push(...waiting.map(({ id }) => `  ${id}`));
  if (store.store === undefined)
    return [
      ...lines,
      colors.dim(
        say(
          "Without --store nothing is kept. Run it with one to answer them",
          "未给出 --store 则不保存。加上它再运行，即可",
        ),
      ),
      colors.dim(say("with `becalm approve` and `becalm deny`.", "用 `becalm approve` 和 `becalm deny` 答复。")),
    ];
  const where = storeArguments(store);
  lines.push(colors.dim(`becalm approve ${first.id} ${where} --by WHO --why TEXT     (${say("or deny", "或 deny")})`));
  if (first.group !== null)
    lines.push(colors.dim(`becalm approve --group '${first.group}' ${where} --by WHO --why TEXT`));
  return lines;
}

export function stateColor(state: string, { green, red, yellow, dim, cyan }: Colors): string {
  switch (state.trim()) {
    case "Success":
      return green(state);
    case "Failed":
      return red(state);
    case "Waiting":
    case "Defense":
      return yellow(state);
    case "Processing":
    case "Proceeding":
      return cyan(state);
    case "Skipped":
      return dim(state);
    default:
      return state;
  }
}

/** What `becalm run` and the demo tell people about a file's instances: totals, by policy and reason, and who waits. */
import { REASONS, type ReasonCode } from "../model/reasons.ts";
import { textTable } from "../present/text-table.ts";
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
  private readonly rows = new Map<string, Row>();
  readonly waiting: { readonly id: string; readonly group: string | null }[] = [];

  add({ id, policy, state, reason, group }: InstanceLine): void {
    const key = `${policy}\n${state}\n${reason}`;
    const row = this.rows.get(key) ?? { policy, state: state ?? "unreadable", reason: reason ?? "-", count: 0 };
    row.count += 1;
    this.rows.set(key, row);
    if (state === "Waiting" && this.waiting.length < WAITING_SHOWN_COUNT_MAX) this.waiting.push({ id, group });
  }

  /** By policy in order of first appearance, the most frequent first. */
  byReason(): readonly Row[] {
    const rows = [...this.rows.values()];
    const policies = [...new Set(rows.map(({ policy }) => policy))];
    return rows.toSorted((a, b) => policies.indexOf(a.policy) - policies.indexOf(b.policy) || b.count - a.count);
  }
}

/** `isSimulated`: nothing was really done. */
export type TotalsTextOptions = {
  readonly colors: Colors;
  readonly store: StoreOptions | null;
  readonly isSimulated: boolean;
};

const SIMULATED_TEXT = "Simulated: no action was performed. Every attempt ended as assumed (--assume).";

export function totalsText(
  totals: ReportTotals,
  summary: FileSummary,
  { colors, store, isSimulated }: TotalsTextOptions,
): string[] {
  return [
    ...(isSimulated ? [colors.yellow(SIMULATED_TEXT), ""] : []),
    ...headline(summary, { colors, isSimulated }),
    "",
    ...byReasonText(totals, colors),
    ...(store === null ? [] : waitingText(totals, { summary, colors, store })),
  ];
}

function headline(
  summary: FileSummary,
  { colors: { bold, green, yellow, dim }, isSimulated }: Pick<TotalsTextOptions, "colors" | "isSimulated">,
): string[] {
  const counts = textTable(
    [
      ["alerts in", String(summary.alerts), dim(alertsText(summary))],
      ["instances", String(summary.instances), dim("one an episode and policy; an alert sent again makes none")],
      [
        "executed",
        String(summary.executed),
        dim(isSimulated ? "would have had at least one attempt" : "had at least one attempt"),
      ],
      ["skipped", String(summary.skipped), dim("nothing had to run: the reasons are below")],
      ["waiting", String(summary.waiting), dim("for a human, or for a peer")],
      [
        "groups",
        String(summary.groups),
        dim(`opened by them; ${summary.summaries} ${summary.summaries === 1 ? "summary" : "summaries"} sent`),
      ],
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

function alertsText({ resolved, late, unmatched, rejected, truncated }: FileSummary): string {
  const parts = [
    [resolved, "resolved"],
    [late, late === 1 ? "late word" : "late words"],
    [unmatched, "matched no policy"],
    [rejected, "rejected"],
    [truncated, "left out by the sender"],
  ] as const;
  return parts.flatMap(([count, what]) => (count === 0 ? [] : [`${count} ${what}`])).join(", ");
}

function byReasonText(totals: ReportTotals, colors: Colors): string[] {
  const rows = totals.byReason();
  if (rows.length === 0) return [];
  let last = "";
  const cells = rows.map(({ policy, state, reason, count }) => {
    const shown = policy === last ? "" : policy;
    last = policy;
    return [shown, String(count), state, reason];
  });
  const table = textTable([["policy", "count", "state", "reason"], ...cells], {
    right: [1],
    paint: (cell, column, row) => {
      if (row === 0) return colors.dim(cell);
      return column === 2 ? stateColor(cell, colors) : column === 0 ? colors.bold(cell) : cell;
    },
  });
  return [...table, "", ...reasonsText(new Set(rows.map(({ reason }) => reason)), colors)];
}

/** What the reasons mean, each once. */
function reasonsText(reasons: ReadonlySet<string>, { dim }: Colors): string[] {
  const known = [...reasons].filter((reason): reason is ReasonCode => Object.hasOwn(REASONS, reason));
  const width = Math.max(0, ...known.map((reason) => reason.length));
  return known.flatMap((reason) =>
    wrapped(REASONS[reason].en, COLUMNS - width - 2).map((line, index) =>
      dim(`${(index === 0 ? reason : "").padEnd(width)}  ${line}`),
    ),
  );
}

function waitingText(
  { waiting }: ReportTotals,
  { summary, colors, store }: { summary: FileSummary; colors: Colors; store: StoreOptions },
): string[] {
  const [first] = waiting;
  if (first === undefined) return [];
  const lines = [
    "",
    colors.bold(
      `${summary.waiting} ${summary.waiting === 1 ? "waits" : "wait"} for a human or a peer. The first that a human may answer:`,
    ),
  ];
  lines.push(...waiting.map(({ id }) => `  ${id}`));
  if (store.store === undefined)
    return [
      ...lines,
      colors.dim("Without --store nothing is kept. Run it with one to answer them"),
      colors.dim("with `becalm approve` and `becalm deny`."),
    ];
  const where = storeArguments(store);
  lines.push(colors.dim(`becalm approve ${first.id} ${where} --by WHO --why TEXT     (or deny)`));
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

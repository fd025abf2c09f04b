/** Instances as rows for people: what tells them apart, in as many columns as the screen has. */
import type { Birth } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { topLevel } from "../instance/step.ts";
import { decidedByText } from "../present/decided-by.ts";
import type { Reader } from "../present/reader.ts";
import { textTable } from "../present/text-table.ts";
import { columnsOf, cutColumns, printable } from "../present/text-width.ts";
import type { ProcessNames } from "../runtime/deciding-process.ts";
import { stateColor } from "./report-text.ts";
import type { Colors } from "./terminal.ts";

type Labels = Readonly<Record<string, string>>;

/**
 * `birth` null: its history cannot be read. `about`: of a request or a summary, the labels of the alert that it is
 * about. `process`: id of the one that decided its last step.
 */
export type ListedRow = {
  readonly instance: Instance;
  readonly birth: Birth | null;
  readonly about?: Labels | undefined;
  readonly process?: string | undefined;
};

type What = "id" | "state" | "reason" | "policy" | "process" | "created" | "alert";
type Named = { readonly names: ProcessNames };
type Column = { readonly what: What; readonly name: string; readonly cells: readonly string[] };

/** Labels in a row: more tell no more. */
const LABEL_COUNT_MAX = 3;
/** The alert's column is no narrower while others can be left out. */
const ALERT_COLUMNS_MIN = 28;
const GAP = 2;
/** What is left out where a screen is narrow, until the alert has room. */
const DROPPED: readonly (readonly What[])[] = [
  [],
  ["process"],
  ["process", "created"],
  ["process", "created", "policy"],
  ["process", "created", "policy", "reason"],
];

/** `columns`: of the screen. What does not fit is left out from the least telling column on; the alert is cut last. */
export function listText(
  rows: readonly ListedRow[],
  { colors, columns, reader, names }: { colors: Colors; columns: number; reader: Reader; names: ProcessNames },
): string[] {
  const { say, times } = reader;
  const alert: Column = { what: "alert", name: say("alert", "告警"), cells: alertCells(rows, reader) };
  const all: Column[] = [
    { what: "id", name: "id", cells: rows.map(({ instance }) => instance.id) },
    {
      what: "state",
      name: say("state", "状态"),
      cells: rows.map(({ instance }) => topLevel(instance.snapshot.state)),
    },
    { what: "reason", name: say("reason", "原因"), cells: rows.map(({ instance }) => instance.reason ?? "-") },
    { what: "policy", name: say("policy", "策略"), cells: rows.map(({ instance }) => printable(instance.policy)) },
    ...processColumn(rows, { say, names }),
    {
      what: "created",
      name: say(`created (${times.zone})`, `创建时间 (${times.zone})`),
      cells: rows.map(({ instance }) => times.seconds(instance.createdAtMs)),
    },
  ];
  const kept = fitting(all, alert, columns);
  const room = Math.max(columns - widthOf(kept) - GAP * kept.length, 1);
  const shown = [...kept, { ...alert, cells: alert.cells.map((cell) => cutColumns(cell, room)) }];
  const table = [
    shown.map(({ name }) => name),
    ...rows.map((_, row) => shown.map(({ cells }) => cells[row] as string)),
  ];
  return textTable(table, {
    paint: (cell, column, row) => {
      if (row === 0 || shown[column]?.what === "created") return colors.dim(cell);
      return shown[column]?.what === "state" ? stateColor(cell, colors) : cell;
    },
  });
}

/** What can be left out is, until the alert has room. */
function fitting(all: readonly Column[], alert: Column, columns: number): readonly Column[] {
  const wanted = Math.min(widthOf([alert]), ALERT_COLUMNS_MIN);
  for (const dropped of DROPPED) {
    const kept = all.filter(({ what }) => !dropped.includes(what));
    if (widthOf(kept) + GAP * kept.length + wanted <= columns || dropped === DROPPED.at(-1)) return kept;
  }
  return all;
}

/** Nothing where no process is recorded. */
function processColumn(rows: readonly ListedRow[], { say, names }: Pick<Reader, "say"> & Named): readonly Column[] {
  if (rows.every(({ process }) => process === undefined)) return [];
  const cells = rows.map((row) => printable(decidedByText(row, names)) || "-");
  return [{ what: "process", name: say("decided by", "决定进程"), cells }];
}

function widthOf(columns: readonly Column[]): number {
  return columns.reduce((sum, { name, cells }) => sum + Math.max(...[name, ...cells].map(columnsOf)), 0);
}

/** The alert's name, and those of its labels that differ among the rows of that name. */
function alertCells(rows: readonly ListedRow[], { say }: Reader): string[] {
  const labelsOf = ({ birth, about }: ListedRow): Labels => birth?.alert?.labels ?? about ?? {};
  const telling = new Map<string, readonly string[]>();
  return rows.map((row) => {
    const labels = labelsOf(row);
    const name = labels["alertname"] ?? "";
    if (row.birth === null) return "?";
    const kind = row.birth.alert === null ? `(${row.birth.kind})` : "";
    if (kind !== "" && row.about === undefined) return kind;
    const names =
      telling.get(name) ?? tellingNames(rows.map(labelsOf).filter(({ alertname = "" }) => alertname === name));
    telling.set(name, names);
    const shown = names.filter((label) => labels[label] !== undefined).map((label) => `${label}=${labels[label]}`);
    const words = [kind, name || say("(no alertname)", "（无 alertname）"), ...shown];
    return printable(words.filter((word) => word !== "").join(" "));
  });
}

/** Names of labels with several values, those with the most first: a host before its rack. */
function tellingNames(all: readonly Readonly<Record<string, string>>[]): readonly string[] {
  const names = [...new Set(all.flatMap((labels) => Object.keys(labels)))].sort();
  const counted = names.map((name) => ({ name, values: new Set(all.map((labels) => labels[name])).size }));
  const several = counted.filter(({ values }) => values > 1).sort((left, right) => right.values - left.values);
  return several.slice(0, LABEL_COUNT_MAX).map(({ name }) => name);
}

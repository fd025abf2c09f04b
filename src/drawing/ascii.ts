import { columnsOf, padColumns, printable } from "../present/text-width.ts";
import { type ChartMarks, stepsOf } from "./chart-marks.ts";
import { type Chart, type ChartEdge, type ChartState, type EdgeLabel, labelText } from "./chart-model.ts";

/**
 * The chart for a terminal: one box for each state in the machine's order, its edges leaving to the right. Guards of
 * one event that lead to the same state share a line, as `start [collect | trigger]`; the machine tries them in this
 * order.
 */

const WIDTH_MAX = 100;
/** Even a long state name leaves this much room for what is written on an edge. */
const LABEL_COLUMNS_MIN = 24;

export function drawAscii(chart: Chart, marks: ChartMarks, title: string | undefined): string {
  const top = chart.states.filter(({ parent }) => parent === null);
  const inner = Math.max(...chart.states.map((state) => boxColumns(chart, marks, state)));
  const targets = Math.max(0, ...chart.edges.map(({ to }) => columnsOf(printable(to))));
  const labels = Math.max(LABEL_COLUMNS_MIN, WIDTH_MAX - inner - targets - FIXED_COLUMNS);
  const sheet: Sheet = { chart, marks, labelColumns: neededLabelColumns(chart, labels) };
  const blocks = top.flatMap((state) => boxLines(sheet, state, inner));
  const lines = [
    ...(title === undefined ? [] : [printable(title), ""]),
    ...legend(marks),
    ...blocks,
    ...(marks.path.length === 0 ? [] : ["", ...pathLines(chart, marks)]),
  ];
  return `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
}

interface Sheet {
  readonly chart: Chart;
  readonly marks: ChartMarks;
  readonly labelColumns: number;
}

interface Line {
  readonly left: string;
  readonly right: string;
}

/** ` ├── `, the shortest arrow ` ──▶ ` and the step mark. */
const FIXED_COLUMNS = 14;

function childrenOf(chart: Chart, state: ChartState): ChartState[] {
  return chart.states.filter(({ parent }) => parent === state.id);
}

/** Columns of a box with both borders; a box around others is four wider than the widest of them. */
function boxColumns(chart: Chart, marks: ChartMarks, state: ChartState): number {
  const inside = childrenOf(chart, state).map((child) => boxColumns(chart, marks, child));
  return Math.max(columnsOf(nameOf(marks, state)) + 4, ...inside.map((columns) => columns + 4));
}

function nameOf(marks: ChartMarks, state: ChartState): string {
  const words = [
    state.isInitial ? "●" : "",
    printable(state.label),
    state.kind === "final" ? "◎" : "",
    marks.current === state.id ? "◀" : "",
  ];
  return words.filter((word) => word !== "").join(" ");
}

function boxLines(sheet: Sheet, state: ChartState, columns: number): string[] {
  return boxOf(sheet, state, columns).map(({ left, right }) => left + right);
}

/** The box as lines whose left part is `columns` wide; arrows are in the right part. */
function boxOf(sheet: Sheet, state: ChartState, columns: number): Line[] {
  const { marks, chart } = sheet;
  const isCurrent = marks.current === state.id;
  const b = isCurrent ? DOUBLE : marks.visited.has(state.id) ? THICK : THIN;
  const arrows = arrowsOf(sheet, state);
  const name = nameOf(marks, state);
  const head: Line[] = Array.from({ length: Math.max(1, arrows.length) }, (_, index) => {
    const text = padColumns(index === 0 ? ` ${name}` : "", columns - 2);
    const arrow = arrows[index];
    return { left: `${b.side}${text}${arrow === undefined ? b.side : b.exit}`, right: arrow ?? "" };
  });
  const inside = childrenOf(chart, state).flatMap((child) => boxOf(sheet, child, columns - 4));
  const framed = inside.map(
    ({ left, right }): Line => ({
      left: `${b.side} ${left}${right === "" ? ` ${b.side}` : `─${b.cross}`}`,
      right,
    }),
  );
  const flat = b.flat.repeat(columns - 2);
  return [
    { left: `${b.corners[0]}${flat}${b.corners[1]}`, right: "" },
    ...head,
    ...framed,
    { left: `${b.corners[2]}${flat}${b.corners[3]}`, right: "" },
  ];
}

interface Border {
  readonly corners: string;
  readonly flat: string;
  readonly side: string;
  readonly exit: string;
  readonly cross: string;
}

const THIN: Border = { corners: "╭╮╰╯", flat: "─", side: "│", exit: "├", cross: "┼" };
const THICK: Border = { corners: "┏┓┗┛", flat: "━", side: "┃", exit: "┠", cross: "╂" };
const DOUBLE: Border = { corners: "╔╗╚╝", flat: "═", side: "║", exit: "╟", cross: "╫" };

function legend({ path, current }: ChartMarks): string[] {
  const parts = ["● starts here"];
  if (path.length > 0) parts.push("┏━┓ visited", "━━▶ taken, with the number of the step");
  if (current !== null) parts.push("╔═╗ ◀ is here now");
  return [parts.join("   "), ""];
}

function arrowsOf({ chart, marks, labelColumns }: Sheet, state: ChartState): string[] {
  return chart.edges
    .filter((edge) => edge.from === state.id)
    .flatMap((edge) => labelLines(edge, labelColumns, marks).map((line) => arrow(edge, { line, marks, labelColumns })));
}

/** `steps`: of its transition, if the path names it. */
interface LabelLine {
  readonly text: string;
  readonly steps: readonly number[];
}

interface ArrowParts {
  readonly line: LabelLine;
  readonly marks: ChartMarks;
  readonly labelColumns: number;
}

function arrow(edge: ChartEdge, { line: { text, steps: own }, marks, labelColumns }: ArrowParts): string {
  const named = new Set(edge.labels.flatMap((label) => marks.labels.get(label) ?? []));
  const steps = (marks.steps.get(edge) ?? []).filter((step) => own.includes(step) || !named.has(step));
  const isTaken = steps.length > 0;
  const dash = isTaken ? "━" : "─";
  const mark = isTaken ? ` ${steps.join(",")}${marks.ambiguous.has(edge) ? "?" : ""} ${dash}` : "";
  const lead = padColumns("", labelColumns - columnsOf(text) + 1 + STEP_COLUMNS - columnsOf(mark), dash);
  return `${dash} ${text} ${lead}${mark}${dash}▶ ${printable(edge.to)}`;
}

const STEP_COLUMNS = 4;

/** Labels as wide as they need to be, but not wider than the page has room for. */
function neededLabelColumns(chart: Chart, room: number): number {
  return Math.max(0, ...chart.edges.flatMap((edge) => labelLines(edge, room)).map(({ text }) => columnsOf(text)));
}

/**
 * Joins the guards of one event; a line that would grow too wide is continued on the next one, which repeats the event.
 */
function labelLines(edge: ChartEdge, columns: number, marks?: ChartMarks): LabelLine[] {
  const lines: { label: EdgeLabel; steps: readonly number[] }[] = [];
  for (const label of edge.labels) {
    const steps = marks?.labels.get(label) ?? [];
    const last = lines.at(-1);
    const isAlone = steps.length > 0 || (last !== undefined && last.steps.length > 0);
    const joined = last === undefined || isAlone ? null : joinedGuards(last.label, label);
    if (joined !== null && columnsOf(printable(labelText(joined))) <= columns)
      lines[lines.length - 1] = { label: joined, steps };
    else lines.push({ label, steps });
  }
  return lines.map(({ label, steps }) => ({ text: printable(labelText(label)), steps }));
}

function joinedGuards(first: EdgeLabel, next: EdgeLabel): EdgeLabel | null {
  if (first.event !== next.event || first.guard === "" || next.guard === "") return null;
  return { ...first, guard: `${first.guard} | ${next.guard}` };
}

/** `Idle ──start──▶ Processing ──effect.done──▶ Success`, cut between states into lines that fit. */
function pathLines(chart: Chart, { path, causes }: ChartMarks): string[] {
  const steps = stepsOf(chart, path).map(({ edges }, index) => {
    const cause = causes[index] ?? null;
    return `──${eventsOf(cause === null ? edges : [{ labels: [cause] }])}──▶ ${printable(path[index + 1] ?? "")}`;
  });
  const lines: string[] = [];
  let line = printable(path[0] ?? "");
  for (const step of steps) {
    if (columnsOf(line) + columnsOf(step) + 1 <= WIDTH_MAX) line = `${line} ${step}`;
    else {
      lines.push(line);
      line = `  ${step}`;
    }
  }
  return [...lines, line];
}

/** What may have caused the step: the event, or the guard of a transition that needs none. */
function eventsOf(edges: readonly Pick<ChartEdge, "labels">[]): string {
  const names = edges.flatMap(({ labels }) => labels.map(({ event, guard }) => printable(event || guard || "always")));
  return names.length === 0 ? "?" : [...new Set(names)].join(" or ");
}

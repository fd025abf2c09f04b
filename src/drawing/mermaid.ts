import { printable } from "../present/text-width.ts";
import type { ChartMarks } from "./chart-marks.ts";
import { type Chart, type ChartEdge, type ChartState, labelText } from "./chart-model.ts";

/** The chart as a Mermaid `stateDiagram-v2`. */
export function drawMermaid(chart: Chart, marks: ChartMarks, title: string | undefined): string {
  const ids = mermaidIds(chart);
  const lines = [
    ...(title === undefined ? [] : ["---", `title: ${JSON.stringify(printable(title))}`, "---"]),
    "stateDiagram-v2",
    "  direction TB",
    ...levelLines(chart, ids, { parent: null, indent: "  " }),
    ...chart.edges.map((edge) => `  ${ids.get(edge.from)} --> ${ids.get(edge.to)} : ${edgeText(edge, marks)}`),
    ...chart.states.filter(({ description }) => description !== "").map((state) => note(ids, state)),
    ...markLines(marks, ids),
  ];
  return `${lines.join("\n")}\n`;
}

/** Words that open a statement of the language; as the id of a state they would be read as one. */
const RESERVED =
  /^(state|note|end|fork|join|choice|direction|class|classdef|click|style|as|scale|hide|default|title|acctitle|accdescr)/i;

/** Mermaid's own ids are plain words; every state gets its own. */
function mermaidIds(chart: Chart): Map<string, string> {
  const ids = new Map<string, string>();
  const used = new Set<string>();
  for (const { id } of chart.states) {
    const word = id.replace(/[^A-Za-z0-9]+/g, "_");
    const base = RESERVED.test(word) || !/^[A-Za-z]/.test(word) ? `s_${word}` : word;
    let unique = base;
    for (let number = 2; used.has(unique); number += 1) unique = `${base}_${number}`;
    used.add(unique);
    ids.set(id, unique);
  }
  return ids;
}

interface Level {
  readonly parent: string | null;
  readonly indent: string;
}

function levelLines(chart: Chart, ids: ReadonlyMap<string, string>, { parent, indent }: Level): string[] {
  const states = chart.states.filter((state) => state.parent === parent);
  const starts = states.filter(({ isInitial }) => isInitial).map(({ id }) => `${indent}[*] --> ${ids.get(id)}`);
  const declared = states.flatMap((state) => {
    const head = `${indent}state "${escapeMermaid(state.label)}" as ${ids.get(state.id)}`;
    const inside = levelLines(chart, ids, { parent: state.id, indent: `${indent}  ` });
    if (inside.length > 0) return [`${head} {`, ...separated(state, inside), `${indent}}`];
    return state.kind === "final" ? [head, `${indent}${ids.get(state.id)} --> [*]`] : [head];
  });
  return [...starts, ...declared];
}

/**
 * The language has no way to say "all of these at once" for named states, so a parallel state says it in a note-like
 * first line.
 */
function separated(state: ChartState, inside: readonly string[]): readonly string[] {
  return state.kind === "parallel" ? ["%% its states hold at the same time", ...inside] : inside;
}

function edgeText(edge: ChartEdge, marks: ChartMarks): string {
  const named = new Set(edge.labels.flatMap((label) => marks.labels.get(label) ?? []));
  const unnamed = (marks.steps.get(edge) ?? []).filter((step) => !named.has(step));
  const lines = edge.labels.map((label) => numbers(marks.labels.get(label) ?? []) + escapeMermaid(labelText(label)));
  return numbers(unnamed, marks.ambiguous.has(edge) ? "?" : "") + lines.join("<br/>");
}

function numbers(steps: readonly number[], doubt = ""): string {
  return steps.length === 0 ? "" : `(${steps.join(", ")}${doubt}) `;
}

function note(ids: ReadonlyMap<string, string>, { id, description }: ChartState): string {
  return `  note right of ${ids.get(id)} : ${escapeMermaid(description)}`;
}

function markLines({ visited, current }: ChartMarks, ids: ReadonlyMap<string, string>): string[] {
  const classOf = (id: string): string => (id === current ? "current" : "visited");
  return [
    "  classDef visited fill:#dcf5f0,stroke:#0d766e,stroke-width:2px,color:#0f172a",
    "  classDef current fill:#0d766e,stroke:#0d766e,stroke-width:3px,color:#ffffff",
    ...[...visited].map((id) => `  class ${ids.get(id)} ${classOf(id)}`),
  ];
}

/** Mermaid writes special characters as `#code;`. Letters, digits and harmless signs stay as they are. */
export function escapeMermaid(text: string): string {
  const escaped = printable(text).replace(
    /[^\p{L}\p{M}\p{N} _.,()[\]+=/!?'*-]/gu,
    (sign) => `#${sign.codePointAt(0)};`,
  );
  return escaped.trim() === "" ? "#160;" : escaped;
}

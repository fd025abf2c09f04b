import { BecalmError } from "../model/errors.ts";
import { ANY_STATE_ID, type Chart, type ChartEdge, type ChartState, type EdgeLabel } from "./chart-model.ts";

/**
 * A state of a path, and what led to it: the event ("" if none was needed) and, if the transition has one, its guard.
 * Left out: not known, so every transition that fits is drawn as possible.
 */
export interface Visit {
  readonly state: string;
  readonly event?: string | undefined;
  readonly guard?: string | undefined;
}

/** What to emphasise: the states visited, the edges taken with their step numbers, the state in which the actor is. */
export interface ChartMarks {
  readonly path: readonly string[];
  /** States of the path and the current one, with the states around them. */
  readonly visited: ReadonlySet<string>;
  readonly current: string | null;
  /** Step numbers from 1 by edge. */
  readonly steps: ReadonlyMap<ChartEdge, readonly number[]>;
  /** Edges of which only one was taken, and the path does not tell which: it names no inner states. */
  readonly ambiguous: ReadonlySet<ChartEdge>;
  /** Step numbers by transition, where the path says which was taken. An edge that is not in question has none. */
  readonly labels: ReadonlyMap<EdgeLabel, readonly number[]>;
  /** Of each step, what the path says that it was; null: it does not say. */
  readonly causes: readonly (EdgeLabel | null)[];
}

export interface MarkOptions {
  /** States in the order of the visits, top-level or dotted. */
  readonly path?: readonly (string | Visit)[] | undefined;
  /** Name of one state. Without it the last state of the path is the current one. */
  readonly current?: string | undefined;
}

/** Throws BECALM_ARGUMENT_INVALID for a state that the chart does not have. */
export function marksOf(chart: Chart, { path: visits = [], current }: MarkOptions): ChartMarks {
  const path = visits.map((visit) => (typeof visit === "string" ? visit : visit.state));
  const byId = new Map(chart.states.map((state) => [state.id, state]));
  for (const name of path) requireState(chart, byId, name);
  const currentId = current ?? path.at(-1) ?? null;
  if (currentId !== null) requireState(chart, byId, currentId);

  const steps = new Map<ChartEdge, number[]>();
  const ambiguous = new Set<ChartEdge>();
  const labels = new Map<EdgeLabel, number[]>();
  const taken = stepsOf(chart, visits);
  for (const { edges, label, number } of taken) {
    for (const edge of edges) {
      steps.set(edge, [...(steps.get(edge) ?? []), number]);
      if (edges.length > 1) ambiguous.add(edge);
    }
    if (label !== null) labels.set(label, [...(labels.get(label) ?? []), number]);
  }
  const inside = currentId === null ? path : [...path, currentId];
  const visited = new Set(inside.flatMap((name) => withAncestors(byId, name)));
  return { path, visited, current: currentId, steps, ambiguous, labels, causes: taken.map(({ label }) => label) };
}

type TakenStep = { readonly edges: readonly ChartEdge[]; readonly label: EdgeLabel | null; readonly number: number };

/**
 * The edges that may have led from one visited state to the next, with the number of that step, and which transition it
 * was, if the path says so.
 */
export function stepsOf(chart: Chart, path: readonly (string | Visit)[]): TakenStep[] {
  const visits = path.map((visit) => (typeof visit === "string" ? { state: visit } : visit));
  return visits.slice(1).map((visit, index) => {
    const edges = edgesBetween(chart, visits[index]?.state ?? "", visit.state);
    const chosen = chosenOf(edges, visit);
    return { edges: chosen === null ? edges : [chosen.edge], label: chosen?.label ?? null, number: index + 1 };
  });
}

/** The transition that the visit names. */
function chosenOf(
  edges: readonly ChartEdge[],
  { event, guard = "" }: Visit,
): { readonly edge: ChartEdge; readonly label: EdgeLabel } | null {
  if (event === undefined) return null;
  for (const edge of edges) {
    const label = edge.labels.find((candidate) => candidate.event === event && candidate.guard === guard);
    if (label !== undefined) return { edge, label };
  }
  return null;
}

/**
 * A visit that names a compound state leaves open which of its children was entered or left: all edges that fit are
 * candidates. A visit that names a child settles it; only without an edge of its own does one of an enclosing state
 * count.
 */
function edgesBetween(chart: Chart, from: string, to: string): ChartEdge[] {
  const arriving = firstNonEmpty(
    [chart.edges.filter((edge) => isOrIsInside(edge.to, to)), chart.edges.filter((edge) => isOrIsInside(to, edge.to))],
    (edge) => leaves(edge, from),
  );
  return firstNonEmpty(
    [
      arriving.filter((edge) => isOrIsInside(edge.from, from)),
      arriving.filter((edge) => isOrIsInside(from, edge.from)),
      arriving,
    ],
    () => true,
  );
}

function leaves(edge: ChartEdge, from: string): boolean {
  return isOrIsInside(edge.from, from) || isOrIsInside(from, edge.from) || edge.from === ANY_STATE_ID;
}

function firstNonEmpty(choices: readonly ChartEdge[][], wanted: (edge: ChartEdge) => boolean): ChartEdge[] {
  return choices.map((edges) => edges.filter(wanted)).find((edges) => edges.length > 0) ?? [];
}

function isOrIsInside(id: string, outer: string): boolean {
  return id === outer || id.startsWith(`${outer}.`);
}

function withAncestors(byId: ReadonlyMap<string, ChartState>, id: string): string[] {
  const parent = byId.get(id)?.parent ?? null;
  return parent === null ? [id] : [id, ...withAncestors(byId, parent)];
}

function requireState(chart: Chart, byId: ReadonlyMap<string, ChartState>, name: string): void {
  if (byId.has(name)) return;
  const known = chart.states.map((state) => state.id).join(", ");
  const text = `machine "${chart.id}" has no state "${name}": name one of its states (${known})`;
  throw new BecalmError("BECALM_ARGUMENT_INVALID", text, { details: { machine: chart.id, state: name } });
}

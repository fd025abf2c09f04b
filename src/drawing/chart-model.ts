import type { AnyStateMachine, AnyStateNode } from "xstate";

/**
 * A machine as plain data: what every format draws. States are in the order of the machine file, parents before their
 * children. Nothing here depends on a particular machine.
 */

export type StateKind = "atomic" | "compound" | "parallel" | "final" | "history" | "any";

export interface ChartState {
  /**
   * Dotted path from the machine's root, like `Processing.running`. `*` stands for the machine itself: "in any state".
   */
  readonly id: string;
  /** Last part of the id: the text in the box. */
  readonly label: string;
  /** Id of the enclosing state; `null` at the top level. */
  readonly parent: string | null;
  readonly kind: StateKind;
  /** The enclosing state (or the machine) starts here. */
  readonly isInitial: boolean;
  readonly description: string;
}

export interface EdgeLabel {
  /** The event's name as a person reads it; empty for a transition that needs no event. */
  readonly event: string;
  /** The guard's name; empty if the transition has none. */
  readonly guard: string;
  /** Place among the transitions of this state for this event, from 1: the first one whose guard holds is taken. */
  readonly order: number;
}

/** All transitions between one pair of states. A transition without a target is an edge from the state to itself. */
export interface ChartEdge {
  readonly from: string;
  readonly to: string;
  readonly labels: readonly EdgeLabel[];
}

export interface Chart {
  readonly id: string;
  readonly states: readonly ChartState[];
  readonly edges: readonly ChartEdge[];
}

export const ANY_STATE_ID = "*";

/** Reads the chart of any XState machine. */
export function chartOf(machine: AnyStateMachine): Chart {
  const nodes = nodesBelow(machine.root);
  const edges = mergedEdges([machine.root, ...nodes]);
  const usesRoot = edges.some((edge) => edge.from === ANY_STATE_ID || edge.to === ANY_STATE_ID);
  const states = nodes.map(stateOf);
  return { id: machine.id, states: usesRoot ? [...states, ANY_STATE] : states, edges };
}

/** What is written on an edge, like `start [silenced]`. */
export function labelText({ event, guard }: EdgeLabel): string {
  if (guard === "") return event === "" ? "always" : event;
  return event === "" ? `[${guard}]` : `${event} [${guard}]`;
}

const ANY_STATE: ChartState = {
  id: ANY_STATE_ID,
  label: "any state",
  parent: null,
  kind: "any",
  isInitial: false,
  description: "Transitions of the machine itself: they hold in every state that does not handle the event.",
};

function nodesBelow(node: AnyStateNode): AnyStateNode[] {
  return Object.values(node.states).flatMap((child) => [child, ...nodesBelow(child)]);
}

function stateOf(node: AnyStateNode): ChartState {
  const parent = node.parent;
  const isTop = parent === undefined || parent.path.length === 0;
  const initialTargets: readonly AnyStateNode[] = parent?.type === "compound" ? parent.initial.target : [];
  return {
    id: idOf(node),
    label: node.key,
    parent: isTop ? null : idOf(parent),
    kind: node.type,
    isInitial: initialTargets.some((target) => target === node),
    description: node.description ?? "",
  };
}

function idOf(node: AnyStateNode): string {
  return node.path.length === 0 ? ANY_STATE_ID : node.path.map(escapedKey).join(".");
}

/** So that a dot in an id always means "inside". */
function escapedKey(key: string): string {
  return key === ANY_STATE_ID ? `\\${key}` : key.replaceAll(".", "\\.");
}

function mergedEdges(nodes: readonly AnyStateNode[]): ChartEdge[] {
  const edges = new Map<string, { from: string; to: string; labels: EdgeLabel[] }>();
  for (const node of nodes) {
    for (const { to, label } of transitionsOf(node)) {
      const from = idOf(node);
      const key = JSON.stringify([from, to]);
      const edge = edges.get(key) ?? { from, to, labels: [] };
      edges.set(key, edge);
      edge.labels.push(label);
    }
  }
  return [...edges.values()];
}

function transitionsOf(node: AnyStateNode): { to: string; label: EdgeLabel }[] {
  // What needs no event comes first: it is looked at as soon as the state is entered.
  const byEvent = [node.always ?? [], ...node.transitions.values()];
  return byEvent.flatMap((transitions) =>
    transitions.flatMap((transition, index) => {
      const label = { event: eventText(transition.eventType), guard: guardText(transition.guard), order: index + 1 };
      const targets: readonly AnyStateNode[] = transition.target ?? [node];
      return targets.map((target) => ({ to: idOf(target), label }));
    }),
  );
}

/** XState's own event names carry the id of their state; a reader wants only what happened. */
function eventText(eventType: string): string {
  const after = /^xstate\.after\.([^.]+)\./.exec(eventType);
  if (after !== null) return `after ${after[1]}`;
  const own = /^xstate\.(done|error)\.(state|actor)\b/.exec(eventType);
  if (own !== null) return `${own[2]} ${own[1]}`;
  return eventType;
}

function guardText(guard: unknown): string {
  if (typeof guard === "string") return guard;
  const named = guard as { type?: unknown; name?: unknown } | null | undefined;
  if (typeof named?.type === "string") return named.type;
  if (typeof guard !== "function") return "";
  return guard.name === "" || guard.name === "guard" ? "guard" : guard.name;
}

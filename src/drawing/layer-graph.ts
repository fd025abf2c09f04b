/**
 * The graph of one level (the machine, or the inside of one compound state), cut into ranks. Between two ranks of
 * states lie two ranks for the labels of edges; an edge that passes a rank has a bend there. So every edge owns a place
 * in every rank that it crosses, and neither a line nor a label can meet a box.
 */

export type SlotKind = "state" | "label" | "bend" | "port" | "title";

export interface Slot {
  readonly kind: SlotKind;
  readonly rank: number;
  /** Zero for a state until its shape is known. */
  width: number;
  height: number;
  /** Index of the state in the level, for a state; index of the edge in the level, for a label, bend or port. */
  readonly of: number;
}

/** One piece of an edge between two neighbouring ranks, always from the upper slot to the lower one. */
export interface Link {
  readonly edge: number;
  readonly upper: number;
  readonly lower: number;
}

/**
 * Where an edge of the level begins or ends: at a state of the level, or at the level's upper or lower border. `null`:
 * it comes from outside and ends at the border itself, so that it needs a place there but no line inside.
 */
export type LevelEnd = number | "top" | "bottom" | null;

export interface LevelEdge {
  readonly from: LevelEnd;
  readonly to: LevelEnd;
  /** Size of the label's card; `null` if another level shows the label. */
  readonly card: { readonly width: number; readonly height: number } | null;
}

export interface LayerGraph {
  readonly slots: Slot[];
  readonly links: Link[];
  /** Slots of each rank from left to right. */
  readonly layers: number[][];
  /** Whether the edge runs from a lower rank to an upper one. */
  readonly isReversed: readonly boolean[];
}

/**
 * True for each edge that closes a cycle when the level is walked depth first from its first state: such an edge is
 * drawn upwards. An edge to or from a border keeps the side that it was given.
 */
export function reversedEdges(stateCount: number, edges: readonly LevelEdge[]): boolean[] {
  const isReversed = edges.map((edge) => edge.from === "bottom" || edge.to === "top");
  const mark: ("new" | "open" | "done")[] = Array.from({ length: stateCount }, () => "new");
  const visit = (state: number): void => {
    mark[state] = "open";
    edges.forEach((edge, index) => {
      if (edge.from !== state || typeof edge.to !== "number") return;
      if (mark[edge.to] === "open") isReversed[index] = true;
      else if (mark[edge.to] === "new") visit(edge.to);
    });
    mark[state] = "done";
  };
  for (let state = 0; state < stateCount; state += 1) if (mark[state] === "new") visit(state);
  return isReversed;
}

/** Ends of an edge in drawing order. */
export function upperAndLower(edge: LevelEdge, isReversed: boolean): { upper: LevelEnd; lower: LevelEnd } {
  return isReversed ? { upper: edge.to, lower: edge.from } : { upper: edge.from, lower: edge.to };
}

/** From one rank of states to the next. */
const STRIDE = 3;

/** Ranks of the states: the longest way from above. */
export function rankStates(stateCount: number, downward: readonly [number, number][], firstRank: number): number[] {
  const ranks = Array.from({ length: stateCount }, () => firstRank);
  for (let round = 0; round < stateCount; round += 1) {
    for (const [upper, lower] of downward) ranks[lower] = Math.max(ranks[lower] ?? 0, (ranks[upper] ?? 0) + STRIDE);
  }
  return ranks;
}

export interface LevelSpec {
  readonly stateCount: number;
  readonly edges: readonly LevelEdge[];
  /** Title of a compound state's frame: it is in the first rank, left of all lines that enter from above. */
  readonly title: { readonly width: number; readonly height: number } | null;
}

/** Builds slots and links. The layers are in reading order: document order of the states, then of the edges. */
export function buildLayerGraph(spec: LevelSpec, comfortableWidth: number): LayerGraph {
  const isReversed = reversedEdges(spec.stateCount, spec.edges);
  const ends = spec.edges.map((edge, index) => upperAndLower(edge, isReversed[index] ?? false));
  const downward = ends.flatMap(({ upper, lower }): [number, number][] =>
    typeof upper === "number" && typeof lower === "number" ? [[upper, lower]] : [],
  );
  const hasTop = spec.title !== null || ends.some(({ upper }) => upper === "top");
  const room = (end: "top" | "bottom"): number => (needsCardRank(spec.edges, end) ? STRIDE : 1);
  const ranks = rankStates(spec.stateCount, downward, hasTop ? room("top") : 0);
  const lastRank = Math.max(0, ...ranks) + room("bottom");

  const graph: LayerGraph = { slots: [], links: [], layers: [], isReversed };
  if (spec.title !== null) addSlot(graph, { kind: "title", rank: 0, ...spec.title, of: -1 });
  const stateSlots = ranks.map((rank, index) =>
    addSlot(graph, { kind: "state", rank, width: 0, height: 0, of: index }),
  );
  const crowding: Crowding = { cardWidthByRank: [], comfortableWidth };
  spec.edges.forEach((edge, index) => {
    const { upper, lower } = ends[index]!;
    const slotsOf = (end: LevelEnd): number[] => {
      if (end === null) return [];
      if (typeof end === "number") return [stateSlots[end]!];
      return [addSlot(graph, { kind: "port", rank: end === "top" ? 0 : lastRank, width: 0, height: 0, of: index })];
    };
    const [first, second] = [...slotsOf(upper), ...slotsOf(lower)];
    if (first !== undefined && second !== undefined)
      addChain(graph, crowding, { edge, index, upper: first, lower: second });
  });
  for (let rank = 0; rank < graph.layers.length; rank += 1) graph.layers[rank] ??= [];
  return graph;
}

/** Whether a label stands between the border and the states next to it. */
function needsCardRank(edges: readonly LevelEdge[], border: "top" | "bottom"): boolean {
  return edges.some(({ from, to, card }) => card !== null && (from === border || to === border));
}

function addSlot(graph: LayerGraph, slot: Slot): number {
  const id = graph.slots.push(slot) - 1;
  graph.layers[slot.rank] = [...(graph.layers[slot.rank] ?? []), id];
  return id;
}

interface Chain {
  readonly edge: LevelEdge;
  readonly index: number;
  readonly upper: number;
  readonly lower: number;
}

/** Width of the labels in each rank so far, and the width up to which more may come. */
interface Crowding {
  readonly cardWidthByRank: number[];
  readonly comfortableWidth: number;
}

function addChain(graph: LayerGraph, { cardWidthByRank, comfortableWidth }: Crowding, chain: Chain): void {
  const { edge, index, upper, lower } = chain;
  const top = graph.slots[upper]!.rank;
  const bottom = graph.slots[lower]!.rank;
  const cardRank = edge.card === null ? -1 : roomiestRank(cardWidthByRank, labelRanks(graph, chain), comfortableWidth);
  let previous = upper;
  for (let rank = top + 1; rank < bottom; rank += 1) {
    const isCard = rank === cardRank && edge.card !== null;
    if (isCard) cardWidthByRank[rank] = (cardWidthByRank[rank] ?? 0) + edge.card.width;
    const size = isCard ? edge.card : { width: 0, height: 0 };
    const slot = addSlot(graph, {
      kind: isCard ? "label" : "bend",
      rank,
      width: size.width,
      height: size.height,
      of: index,
    });
    graph.links.push({ edge: index, upper: previous, lower: slot });
    previous = slot;
  }
  graph.links.push({ edge: index, upper: previous, lower });
}

/** Ranks between the ends that hold no states, the one nearest to the edge's source first. */
function labelRanks(graph: LayerGraph, { index, upper, lower }: Chain): number[] {
  const ranks: number[] = [];
  for (let rank = graph.slots[upper]!.rank + 1; rank < graph.slots[lower]!.rank; rank += 1) {
    const holdsStates = graph.layers[rank]?.some((slot) => graph.slots[slot]!.kind === "state") ?? false;
    if (!holdsStates) ranks.push(rank);
  }
  return graph.isReversed[index] ? ranks.reverse() : ranks;
}

const DISTANCE_COST = 60;
/** A rank without labels takes hardly any height: opening it for one label must be worth it. */
const FIRST_CARD_COST = 150;

/** A label stands near its source, unless that rank would grow wider than is comfortable. */
function roomiestRank(cardWidthByRank: readonly number[], ranks: readonly number[], comfortableWidth: number): number {
  const costs = ranks.map((rank, distance) => {
    const width = cardWidthByRank[rank] ?? 0;
    const crowding = width === 0 ? FIRST_CARD_COST : Math.max(0, width - comfortableWidth) + width / 10;
    return crowding + distance * DISTANCE_COST;
  });
  return ranks[costs.indexOf(Math.min(...costs))] ?? -1;
}

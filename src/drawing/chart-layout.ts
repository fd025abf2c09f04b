import { boldWidth, columnsOf, printable } from "../present/text-width.ts";
import { type Chart, type ChartEdge, type ChartState, type EdgeLabel, labelText } from "./chart-model.ts";
import type { Box, Point } from "./geometry.ts";
import type { LevelEdge, LevelEnd } from "./layer-graph.ts";
import {
  type LevelLayout,
  layoutLevel,
  PIN_DISTANCE,
  PIN_MARGIN,
  type StateEdges,
  type StateShape,
} from "./level-layout.ts";

/**
 * Places a whole chart. A compound state is laid out like a chart of its own; an edge that leaves it passes the border
 * of its frame at a port, whose place among the others the level outside decides first. All numbers are whole pixels.
 */

export interface PlacedState {
  readonly state: ChartState;
  readonly box: Box;
  /** A dot with an arrow to the left side of the box, for an initial state. */
  readonly initialDot: Point | null;
}

export interface PlacedEdge {
  readonly edge: ChartEdge;
  /** From the source's border to the target's; neighbouring points share x or y. */
  readonly points: readonly Point[];
  readonly card: Box;
  readonly lines: readonly string[];
}

export interface Placement {
  readonly width: number;
  readonly height: number;
  /** Enclosing states come before the states inside. */
  readonly states: readonly PlacedState[];
  readonly edges: readonly PlacedEdge[];
}

export const CARD = { columnWidth: 6.7, lineHeight: 16, paddingX: 9, paddingY: 4 } as const;
const BOX = { height: 42, widthMin: 104, paddingX: 18 } as const;
const FRAME = { padding: 18, titleHeight: 30 } as const;
const DOT_ROOM = 30;
const LOOP_ROOM = 30;

export function layoutChart(chart: Chart): Placement {
  const inside = layoutInside({ chart, container: null, above: [], below: [] });
  const lines = new Map<ChartEdge, readonly Point[]>();
  const placement = { states: [] as PlacedState[], edges: [] as PlacedEdge[], lines, cards: new Map<ChartEdge, Box>() };
  collect(inside, { x: 0, y: 0 }, placement);
  const edges = chart.edges.map((edge): PlacedEdge => {
    const points = lines.get(edge) ?? [];
    return { edge, points, card: placement.cards.get(edge)!, lines: cardLines(edge.labels) };
  });
  return { width: inside.level.width, height: inside.level.height, states: placement.states, edges };
}

/** One line for each label, in the machine's order. */
export function cardLines(labels: readonly EdgeLabel[]): string[] {
  return labels.map((label) => printable(labelText(label)));
}

interface Container {
  readonly chart: Chart;
  readonly container: string | null;
  /** Edges that pass the container's border from above and from below, from left to right. */
  readonly above: readonly ChartEdge[];
  readonly below: readonly ChartEdge[];
}

/** A laid out level with the levels inside of its compound states. */
interface Inside {
  readonly states: readonly ChartState[];
  readonly edges: readonly ChartEdge[];
  readonly loops: ReadonlyMap<string, ChartEdge>;
  readonly children: ReadonlyMap<number, Inside>;
  readonly level: LevelLayout;
  readonly container: string | null;
  /** The last rank holds ports and is the frame's lower border. */
  readonly hasLowerPorts: boolean;
}

function layoutInside(outer: Container): Inside {
  const { chart, container, above, below } = outer;
  const states = initialFirst(chart.states.filter((state) => state.parent === container));
  const own = chart.edges.filter((edge) => edge.from !== edge.to && hostOf(chart, edge) === container);
  const loops = new Map(chart.edges.filter(({ from, to }) => from === to).map((edge) => [edge.from, edge]));
  const edges = [...above, ...below, ...own];
  const levelEdges = [
    ...above.map((edge) => passingEdge(outer, states, { edge, side: "top" })),
    ...below.map((edge) => passingEdge(outer, states, { edge, side: "bottom" })),
    ...own.map((edge) => ownEdge(outer, states, edge)),
  ];
  // The level tries several variants: only the shapes that it returns tell which insides were kept.
  const insides = new Map<StateShape, Inside>();
  const shapeState = (index: number, ends: StateEdges): StateShape => {
    const state = states[index]!;
    const edgesAt = (list: readonly number[]): ChartEdge[] => list.map((edge) => edges[edge]!);
    if (!chart.states.some(({ parent }) => parent === state.id)) {
      return withSurroundings(boxShape(state, ends), state, loops.get(state.id));
    }
    const passing = { above: edgesAt(ends.top), below: edgesAt(ends.bottom) };
    const inside = layoutInside({ chart, container: state.id, ...passing });
    const shape = withSurroundings(frameShape(inside, passing), state, loops.get(state.id));
    insides.set(shape, inside);
    return shape;
  };
  const title = container === null ? null : titleSize(chart, container);
  const level = layoutLevel({ stateCount: states.length, edges: levelEdges, title }, shapeState);
  const hasLowerPorts = levelEdges.some(({ from, to }) => from === "bottom" || to === "bottom");
  const children = new Map<number, Inside>();
  level.shapes.forEach((shape, index) => {
    const inside = insides.get(shape);
    if (inside !== undefined) children.set(index, inside);
  });
  return { states, edges, loops, children, level, container, hasLowerPorts };
}

/** The initial state opens its level; otherwise the order is the machine's. */
function initialFirst(states: readonly ChartState[]): ChartState[] {
  return [...states.filter(({ isInitial }) => isInitial), ...states.filter(({ isInitial }) => !isInitial)];
}

function isStrictlyInside(id: string, container: string | null): boolean {
  return container === null || id.startsWith(`${container}.`);
}

/**
 * The innermost level that holds both ends. A level also holds the edges between its container and the states inside.
 */
function hostOf(chart: Chart, edge: ChartEdge): string | null {
  const containers = chart.states.map(({ id }) => id).filter((id) => holds(id, edge.from) && holds(id, edge.to));
  return containers.reduce<string | null>((deepest, id) => (isStrictlyInside(id, deepest) ? id : deepest), null);
}

function holds(container: string, id: string): boolean {
  return id === container || isStrictlyInside(id, container);
}

/** The state of this level which is, or contains, the given one; `null` for the container itself. */
function indexIn(states: readonly ChartState[], id: string): number | null {
  const index = states.findIndex((state) => holds(state.id, id));
  return index < 0 ? null : index;
}

interface Passing {
  readonly edge: ChartEdge;
  readonly side: "top" | "bottom";
}

function passingEdge({ container }: Container, states: readonly ChartState[], { edge, side }: Passing): LevelEdge {
  const isLeaving = container !== null && holds(container, edge.from);
  const inner = indexIn(states, isLeaving ? edge.from : edge.to);
  return isLeaving ? { from: inner, to: side, card: null } : { from: side, to: inner, card: null };
}

function ownEdge({ container }: Container, states: readonly ChartState[], edge: ChartEdge): LevelEdge {
  const endOf = (id: string, border: "top" | "bottom"): LevelEnd => (id === container ? border : indexIn(states, id));
  return { from: endOf(edge.from, "top"), to: endOf(edge.to, "bottom"), card: cardSize(edge) };
}

function cardSize(edge: ChartEdge): { width: number; height: number } {
  const lines = cardLines(edge.labels);
  const columns = Math.max(...lines.map(columnsOf));
  const width = Math.ceil(columns * CARD.columnWidth + 2 * CARD.paddingX);
  return { width, height: lines.length * CARD.lineHeight + 2 * CARD.paddingY };
}

function nameWidth(state: ChartState): number {
  return boldWidth(printable(state.label));
}

function titleSize(chart: Chart, container: string): { width: number; height: number } {
  const state = chart.states.find(({ id }) => id === container)!;
  return { width: nameWidth(state), height: FRAME.titleHeight };
}

function boxShape(state: ChartState, { top, bottom }: StateEdges): StateShape {
  const pinCount = Math.max(top.length, bottom.length);
  const widthForPins = (pinCount - 1) * PIN_DISTANCE + 2 * PIN_MARGIN;
  const width = Math.max(BOX.widthMin, nameWidth(state) + 2 * BOX.paddingX, widthForPins);
  const box = { x: 0, y: 0, width, height: BOX.height };
  const pins = { topPins: spread(top.length, width), bottomPins: spread(bottom.length, width) };
  return { width, height: BOX.height, box, ...pins, canSlidePins: true };
}

/** Pins in the middle of the box; the level slides them to where their lines come from. */
function spread(count: number, width: number): number[] {
  const first = Math.floor((width - PIN_DISTANCE * (count - 1)) / 2);
  return Array.from({ length: count }, (_, index) => first + index * PIN_DISTANCE);
}

interface PassingEdges {
  readonly above: readonly ChartEdge[];
  readonly below: readonly ChartEdge[];
}

/**
 * The frame of a compound state fits around what lies inside; edges that pass its border do so at the inside's ports.
 */
function frameShape({ level, hasLowerPorts }: Inside, passing: PassingEdges): StateShape {
  const width = level.width + 2 * FRAME.padding;
  const height = level.height + (hasLowerPorts ? 0 : FRAME.padding);
  const pinOf = (index: number): number => FRAME.padding + level.ports.get(index)!;
  return {
    width,
    height,
    box: { x: 0, y: 0, width, height },
    topPins: passing.above.map((_, index) => pinOf(index)),
    bottomPins: passing.below.map((_, index) => pinOf(passing.above.length + index)),
    canSlidePins: false,
  };
}

/** Adds the room for the initial dot on the left and for a self edge on the right. */
function withSurroundings(shape: StateShape, state: ChartState, loop: ChartEdge | undefined): StateShape {
  const left = state.isInitial ? DOT_ROOM : 0;
  const card = loop === undefined ? null : cardSize(loop);
  const height = Math.max(shape.height, card?.height ?? 0);
  const right = card === null ? 0 : LOOP_ROOM + card.width;
  return {
    width: left + shape.width + right,
    height,
    box: { ...shape.box, x: left, y: Math.floor((height - shape.height) / 2) },
    topPins: shape.topPins.map((pin) => pin + left),
    bottomPins: shape.bottomPins.map((pin) => pin + left),
    canSlidePins: shape.canSlidePins,
  };
}

interface Collected {
  readonly states: PlacedState[];
  readonly lines: Map<ChartEdge, readonly Point[]>;
  readonly cards: Map<ChartEdge, Box>;
}

function collect(inside: Inside, origin: Point, into: Collected): void {
  const { level } = inside;
  inside.states.forEach((state, index) => {
    const room = level.rooms[index]!;
    const shape = level.shapes[index]!;
    const box = moved({ ...shape.box, x: room.x + shape.box.x, y: room.y + shape.box.y }, origin);
    const dotY = box.y + Math.min(Math.floor(box.height / 2), BOX.height / 2);
    into.states.push({ state, box, initialDot: state.isInitial ? { x: box.x - 24, y: dotY } : null });
    const loop = inside.loops.get(state.id);
    if (loop !== undefined) collectLoop(loop, box, into);
  });
  for (const [index, card] of level.cards) into.cards.set(inside.edges[index]!, moved(card, origin));
  inside.edges.forEach((edge, index) => {
    const line = level.lines.get(index) ?? [];
    const here = line.map((point) => ({ x: point.x + origin.x, y: point.y + origin.y }));
    join(into.lines, edge, { piece: level.isReversed[index] ? here.reverse() : here, startsInside: inside.container });
  });
  for (const [index, child] of inside.children) {
    const frame = level.shapes[index]!.box;
    const room = level.rooms[index]!;
    collect(child, { x: origin.x + room.x + frame.x + FRAME.padding, y: origin.y + room.y + frame.y }, into);
  }
}

/** The level outside is collected first: what lies inside comes before it if the edge starts there, else after it. */
function join(
  lines: Map<ChartEdge, readonly Point[]>,
  edge: ChartEdge,
  { piece, startsInside }: { piece: readonly Point[]; startsInside: string | null },
): void {
  const known = lines.get(edge) ?? [];
  const isFirst = startsInside !== null && holds(startsInside, edge.from);
  lines.set(edge, withoutRepeats(isFirst ? [...piece, ...known] : [...known, ...piece]));
}

/** Drops points that lie between their neighbours on one straight line. */
function withoutRepeats(points: readonly Point[]): Point[] {
  return points.filter((point, index) => {
    const [before, after] = [points[index - 1], points[index + 1]];
    if (before !== undefined && before.x === point.x && before.y === point.y) return false;
    if (before === undefined || after === undefined) return true;
    const isVertical = before.x === point.x && point.x === after.x;
    const isHorizontal = before.y === point.y && point.y === after.y;
    return !isVertical && !isHorizontal;
  });
}

/** A self edge leaves the right side, passes its card and comes back below. */
function collectLoop(edge: ChartEdge, box: Box, into: Collected): void {
  const size = cardSize(edge);
  const middle = box.y + Math.floor(box.height / 2);
  const x = box.x + box.width;
  const cardX = x + LOOP_ROOM;
  const [leaveY, enterY] = [middle - 8, middle + 8];
  into.cards.set(edge, { x: cardX, y: middle - Math.floor(size.height / 2), ...size });
  into.lines.set(edge, [
    { x, y: leaveY },
    { x: cardX - 6, y: leaveY },
    { x: cardX - 6, y: enterY },
    { x, y: enterY },
  ]);
}

function moved(box: Box, by: Point): Box {
  return { ...box, x: box.x + by.x, y: box.y + by.y };
}

import { tracksOf } from "./channel-tracks.ts";
import { clutterOf } from "./clutter.ts";
import type { Box, Point } from "./geometry.ts";
import { buildLayerGraph, type LayerGraph, type LevelSpec, type Link, type Slot } from "./layer-graph.ts";
import { orderLayers } from "./layer-order.ts";
import { type Gap, straighten, type Tie } from "./least-bends.ts";

/**
 * Places one level: ranks, then the order in each rank, then horizontal positions, then tracks and heights.
 * All numbers are whole pixels from the level's upper left corner.
 */

/** The room that a state takes in its rank. Beside its box it may hold the initial dot and the card of a self edge. */
export interface StateShape {
  readonly width: number;
  readonly height: number;
  /** Relative to the room's upper left corner. */
  readonly box: Box;
  /** Where the edges end, from the room's left edge, in the order in which the edges were given. */
  readonly topPins: readonly number[];
  readonly bottomPins: readonly number[];
  /** Whether the pins may slide along the box; those of a frame lead to something inside. */
  readonly canSlidePins: boolean;
}

/** Edges of the level that end at a state from above and from below, each from left to right. */
export interface StateEdges {
  readonly top: readonly number[];
  readonly bottom: readonly number[];
}

export type ShapeState = (state: number, edges: StateEdges) => StateShape;

export interface LevelLayout {
  readonly width: number;
  readonly height: number;
  /** Upper left corner of each state's room, by index of the state. */
  readonly rooms: readonly Point[];
  readonly shapes: readonly StateShape[];
  /** Label cards by index of the edge. */
  readonly cards: ReadonlyMap<number, Box>;
  /** Line of each edge from its upper to its lower end, by index of the edge. */
  readonly lines: ReadonlyMap<number, readonly Point[]>;
  /** Where the edges pass the border, by index of the edge. */
  readonly ports: ReadonlyMap<number, number>;
  readonly isReversed: readonly boolean[];
}

const TRACK_HEIGHT = 12;
const MARGIN = { narrow: 5, belowSlot: 12, aboveSlot: 22 } as const;
const DISTANCE = { line: 14, lineToCard: 16, card: 24, state: 30 } as const;
export const PIN_MARGIN = 11;
/** Not more than the distance of two lines, so that neighbouring lines can run straight into one box. */
export const PIN_DISTANCE = 14;
/** Straightness matters most where an edge runs along a way of its own. */
const WEIGHT = { ownWay: 8, atState: 2, beside: 1 } as const;

/** How wide a rank of labels may grow before the next rank takes some. The variant with the least clutter is kept. */
const COMFORTABLE_WIDTHS = [400, 560, 760] as const;

export function layoutLevel(spec: LevelSpec, shapeState: ShapeState): LevelLayout {
  const cardWidth = spec.edges.reduce((sum, { card }) => sum + (card?.width ?? 0), 0);
  const widths = COMFORTABLE_WIDTHS.filter((width, index) => index === 0 || width < cardWidth);
  const variants = widths.map((width) => layoutVariant(spec, shapeState, width));
  const clutters = variants.map(clutterOf);
  return variants[clutters.indexOf(Math.min(...clutters))]!;
}

function layoutVariant(spec: LevelSpec, shapeState: ShapeState, comfortableWidth: number): LevelLayout {
  const graph = buildLayerGraph(spec, comfortableWidth);
  const fixedRanks = new Set(spec.title === null ? [] : [0, graph.layers.length - 1]);
  const hasLowerPorts = graph.layers.at(-1)?.some((slot) => graph.slots[slot]?.kind === "port") ?? false;
  if (!hasLowerPorts) fixedRanks.delete(graph.layers.length - 1);
  orderLayers(graph, { fixedRanks });
  const shapes = shapeStates(graph, spec.stateCount, shapeState);
  const pins = pinsOf(graph, shapes);
  const lefts = positionsOf(graph, shapes, pins);
  slidePins(graph, { shapes, pins, lefts });
  const channels = channelsOf(graph, lefts, pins);
  return assemble(graph, { shapes, pins, lefts, channels });
}

function linksAtState(graph: LayerGraph, slot: number): { top: Link[]; bottom: Link[] } {
  const rank = graph.slots[slot]!.rank;
  const above = graph.layers[rank - 1] ?? [];
  const below = graph.layers[rank + 1] ?? [];
  const top = graph.links.filter((link) => link.lower === slot);
  const bottom = graph.links.filter((link) => link.upper === slot);
  top.sort((a, b) => above.indexOf(a.upper) - above.indexOf(b.upper));
  bottom.sort((a, b) => below.indexOf(a.lower) - below.indexOf(b.lower));
  return { top, bottom };
}

function shapeStates(graph: LayerGraph, stateCount: number, shapeState: ShapeState): StateShape[] {
  const shapes: StateShape[] = new Array<StateShape>(stateCount);
  graph.slots.forEach((slot, id) => {
    if (slot.kind !== "state") return;
    const { top, bottom } = linksAtState(graph, id);
    const shape = shapeState(slot.of, { top: top.map(({ edge }) => edge), bottom: bottom.map(({ edge }) => edge) });
    shapes[slot.of] = shape;
    slot.width = shape.width;
    slot.height = shape.height;
  });
  return shapes;
}

/** Where a link ends on its upper and lower slot, from the slot's left edge. */
interface Pins {
  readonly upper: Map<Link, number>;
  readonly lower: Map<Link, number>;
}

function pinsOf(graph: LayerGraph, shapes: readonly StateShape[]): Pins {
  const middleOf = (slot: number): number => Math.floor(graph.slots[slot]!.width / 2);
  const pins: Pins = {
    upper: new Map(graph.links.map((link) => [link, middleOf(link.upper)])),
    lower: new Map(graph.links.map((link) => [link, middleOf(link.lower)])),
  };
  graph.slots.forEach((slot, id) => {
    if (slot.kind !== "state") return;
    const { top, bottom } = linksAtState(graph, id);
    const shape = shapes[slot.of]!;
    top.forEach((link, place) => void pins.lower.set(link, shape.topPins[place]!));
    bottom.forEach((link, place) => void pins.upper.set(link, shape.bottomPins[place]!));
  });
  return pins;
}

function distanceBetween(left: Slot, right: Slot): number {
  const kinds = [left.kind, right.kind];
  if (kinds.includes("state")) return DISTANCE.state;
  if (kinds.every((kind) => kind === "label" || kind === "title")) return DISTANCE.card;
  return kinds.every((kind) => kind === "bend" || kind === "port") ? DISTANCE.line : DISTANCE.lineToCard;
}

/** Left edge of every slot. */
function positionsOf(graph: LayerGraph, shapes: readonly StateShape[], pins: Pins): number[] {
  const gaps = gapsOf(graph);
  const lefts = packed(graph, gaps);
  straighten(lefts, tiesOf(graph, shapes, pins), gaps);
  const leftmost = Math.min(...lefts);
  return lefts.map((left) => left - leftmost);
}

function slidePins(graph: LayerGraph, { shapes, pins, lefts }: Omit<Parts, "channels">): void {
  graph.slots.forEach((slot, id) => {
    if (slot.kind !== "state" || !shapes[slot.of]!.canSlidePins) return;
    const { box } = shapes[slot.of]!;
    const { top, bottom } = linksAtState(graph, id);
    const aboveX = top.map((link) => lefts[link.upper]! + pins.upper.get(link)! - lefts[id]!);
    const belowX = bottom.map((link) => lefts[link.lower]! + pins.lower.get(link)! - lefts[id]!);
    slideInto(box, aboveX).forEach((pin, place) => void pins.lower.set(top[place]!, pin));
    slideInto(box, belowX).forEach((pin, place) => void pins.upper.set(bottom[place]!, pin));
  });
}

/** How far each pin may slide to either side of the middle of its part of the box. */
function slacksOf(graph: LayerGraph, shapes: readonly StateShape[]): Map<Link, number> {
  const slacks = new Map<Link, number>();
  graph.slots.forEach((slot, id) => {
    if (slot.kind !== "state" || !shapes[slot.of]!.canSlidePins) return;
    const { width } = shapes[slot.of]!.box;
    const { top, bottom } = linksAtState(graph, id);
    for (const links of [top, bottom]) {
      const slack = Math.floor((width - 2 * PIN_MARGIN - (links.length - 1) * PIN_DISTANCE) / 2);
      for (const link of links) slacks.set(link, Math.max(0, slack));
    }
  });
  return slacks;
}

/** The wished places in their order, far enough from each other and from the corners. */
function slideInto(box: Box, wishes: readonly number[]): number[] {
  const [first, last] = [box.x + PIN_MARGIN, box.x + box.width - PIN_MARGIN];
  const distance = Math.min(PIN_DISTANCE, Math.floor((last - first) / Math.max(1, wishes.length - 1)));
  const pins: number[] = [];
  wishes.forEach((wish, place) => {
    const least = place === 0 ? first : pins[place - 1]! + distance;
    const most = last - (wishes.length - 1 - place) * distance;
    pins.push(Math.min(most, Math.max(least, wish)));
  });
  return pins;
}

function gapsOf(graph: LayerGraph): Gap[] {
  return graph.layers.flatMap((layer) =>
    layer.slice(1).map((right, place): Gap => {
      const left = layer[place]!;
      const slot = graph.slots[left]!;
      return { left, right, distance: slot.width + distanceBetween(slot, graph.slots[right]!) };
    }),
  );
}

/** Every rank as far left as it goes. */
function packed(graph: LayerGraph, gaps: readonly Gap[]): number[] {
  const lefts: number[] = graph.slots.map(() => 0);
  for (const { left, right, distance } of gaps) lefts[right] = lefts[left]! + distance;
  return lefts;
}

function tiesOf(graph: LayerGraph, shapes: readonly StateShape[], pins: Pins): Tie[] {
  const slacks = slacksOf(graph, shapes);
  const isOwnWay = (slot: number): boolean => graph.slots[slot]!.kind !== "state";
  const straight = graph.links.map((link): Tie => {
    const weight = isOwnWay(link.upper) && isOwnWay(link.lower) ? WEIGHT.ownWay : WEIGHT.atState;
    const ends = { a: link.upper, b: link.lower, aOffset: pins.upper.get(link)!, bOffset: pins.lower.get(link)! };
    return { ...ends, slack: slacks.get(link) ?? 0, weight };
  });
  const linked = new Set(graph.links.flatMap(({ upper, lower }) => [upper, lower]));
  const close = gapsOf(graph)
    .filter(({ left, right }) => !linked.has(left) || !linked.has(right))
    .map(
      ({ left, right, distance }): Tie => ({
        a: left,
        b: right,
        aOffset: distance,
        bOffset: 0,
        slack: 0,
        weight: WEIGHT.beside,
      }),
    );
  return [...straight, ...close];
}

/** The room between a rank and the next one. */
interface Channel {
  readonly links: readonly Link[];
  readonly tracks: readonly (number | null)[];
  readonly above: number;
  readonly height: number;
}

function channelsOf(graph: LayerGraph, lefts: readonly number[], pins: Pins): Channel[] {
  const isFlat = (rank: number): boolean => (graph.layers[rank] ?? []).every((slot) => graph.slots[slot]!.height === 0);
  return graph.layers.slice(1).map((_, rank) => {
    const links = graph.links.filter((link) => graph.slots[link.upper]!.rank === rank);
    const tracks = tracksOf(
      links.map((link) => ({
        upperX: lefts[link.upper]! + pins.upper.get(link)!,
        lowerX: lefts[link.lower]! + pins.lower.get(link)!,
      })),
    );
    const trackCount = Math.max(0, ...tracks.map((track) => (track === null ? 0 : track + 1)));
    const above = isFlat(rank) ? MARGIN.narrow : MARGIN.belowSlot;
    const below = isFlat(rank + 1) ? MARGIN.narrow : MARGIN.aboveSlot;
    return { links, tracks, above, height: above + below + Math.max(0, trackCount - 1) * TRACK_HEIGHT };
  });
}

interface Parts {
  readonly shapes: readonly StateShape[];
  readonly pins: Pins;
  readonly lefts: readonly number[];
  readonly channels: readonly Channel[];
}

function assemble(graph: LayerGraph, { shapes, pins, lefts, channels }: Parts): LevelLayout {
  const rankHeights = graph.layers.map((layer) => Math.max(0, ...layer.map((slot) => graph.slots[slot]!.height)));
  const rankTops: number[] = [];
  let y = 0;
  rankHeights.forEach((height, rank) => {
    rankTops[rank] = y;
    y += height + (channels[rank]?.height ?? 0);
  });
  const topOf = ({ rank, height }: Slot): number => rankTops[rank]! + Math.floor((rankHeights[rank]! - height) / 2);

  const rooms: Point[] = [];
  const cards = new Map<number, Box>();
  const ports = new Map<number, number>();
  graph.slots.forEach((slot, id) => {
    const x = lefts[id]!;
    if (slot.kind === "state") rooms[slot.of] = { x, y: topOf(slot) };
    if (slot.kind === "label") cards.set(slot.of, { x, y: topOf(slot), width: slot.width, height: slot.height });
    if (slot.kind === "port") ports.set(slot.of, x);
  });

  const lines = new Map<number, Point[]>();
  const endOf = (slotId: number, side: "top" | "bottom"): number => {
    const slot = graph.slots[slotId]!;
    if (slot.kind !== "state") return rankTops[slot.rank]! + (side === "top" ? 0 : rankHeights[slot.rank]!);
    const { box } = shapes[slot.of]!;
    return topOf(slot) + box.y + (side === "top" ? 0 : box.height);
  };
  channels.forEach(({ links, tracks, above }, rank) => {
    const firstTrackY = rankTops[rank]! + rankHeights[rank]! + above;
    links.forEach((link, index) => {
      const upperX = lefts[link.upper]! + pins.upper.get(link)!;
      const lowerX = lefts[link.lower]! + pins.lower.get(link)!;
      const track = tracks[index] ?? null;
      const line = lines.get(link.edge) ?? [];
      lines.set(link.edge, line);
      const isFromBorder = graph.slots[link.upper]!.kind === "port";
      line.push({ x: upperX, y: isFromBorder ? 0 : endOf(link.upper, "bottom") });
      if (track !== null) {
        const trackY = firstTrackY + track * TRACK_HEIGHT;
        line.push({ x: upperX, y: trackY }, { x: lowerX, y: trackY });
      }
      line.push({ x: lowerX, y: endOf(link.lower, "top") });
    });
  });
  const width = Math.max(0, ...graph.slots.map((slot, id) => lefts[id]! + slot.width));
  return { width, height: y, rooms, shapes, cards, lines, ports, isReversed: graph.isReversed };
}

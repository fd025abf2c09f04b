import type { LayerGraph, Link } from "./layer-graph.ts";

/**
 * Orders the slots of each rank so that few lines cross: sweeps down and up that move each slot to the middle of its
 * neighbours, then swaps of neighbours, and the best order seen is kept. Deterministic: no random starts, stable sorts.
 */

const SWEEPS = 16;

export interface OrderLimits {
  /** Ranks whose order is given from outside and must not change. */
  readonly fixedRanks: ReadonlySet<number>;
}

/** Reorders `graph.layers` in place. */
export function orderLayers(graph: LayerGraph, { fixedRanks }: OrderLimits): void {
  const linksBelow = linksByUpperRank(graph);
  const starts = [graph.layers.map((layer) => [...layer]), mirrored(graph.layers, fixedRanks)];
  let best = graph.layers;
  let bestCount = Number.POSITIVE_INFINITY;
  for (const start of starts) {
    const layers = start;
    for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
      sortByNeighbours(layers, linksBelow, { isDownward: sweep % 2 === 0, fixedRanks });
      swapNeighbours(layers, linksBelow, fixedRanks);
      const count = countAllCrossings(layers, linksBelow);
      if (count >= bestCount) continue;
      bestCount = count;
      best = layers.map((layer) => [...layer]);
    }
  }
  best.forEach((layer, rank) => {
    graph.layers[rank] = layer;
  });
}

function mirrored(layers: readonly number[][], fixedRanks: ReadonlySet<number>): number[][] {
  return layers.map((layer, rank) => (fixedRanks.has(rank) ? [...layer] : [...layer].reverse()));
}

function linksByUpperRank(graph: LayerGraph): Link[][] {
  const byRank: Link[][] = graph.layers.map(() => []);
  for (const link of graph.links) byRank[graph.slots[link.upper]!.rank]!.push(link);
  return byRank;
}

function placesOf(layer: readonly number[]): Map<number, number> {
  return new Map(layer.map((slot, place) => [slot, place]));
}

interface Sweep {
  readonly isDownward: boolean;
  readonly fixedRanks: ReadonlySet<number>;
}

function sortByNeighbours(layers: number[][], linksBelow: readonly Link[][], { isDownward, fixedRanks }: Sweep): void {
  for (let step = 1; step < layers.length; step += 1) {
    const rank = isDownward ? step : layers.length - 1 - step;
    if (fixedRanks.has(rank)) continue;
    const places = placesOf(layers[isDownward ? rank - 1 : rank + 1]!);
    const neighbours = new Map<number, number[]>();
    for (const { upper, lower } of linksBelow[isDownward ? rank - 1 : rank]!) {
      const [own, other] = isDownward ? [lower, upper] : [upper, lower];
      neighbours.set(own, [...(neighbours.get(own) ?? []), places.get(other) ?? 0]);
    }
    layers[rank] = sortedByMean(layers[rank]!, neighbours);
  }
}

/** A slot without neighbours keeps its place; the others are sorted among themselves. */
function sortedByMean(layer: readonly number[], neighbours: ReadonlyMap<number, readonly number[]>): number[] {
  const meanOf = (slot: number): number => {
    const places = neighbours.get(slot) ?? [];
    return places.reduce((sum, place) => sum + place, 0) / places.length;
  };
  const sorted = layer.filter((slot) => neighbours.has(slot)).sort((a, b) => meanOf(a) - meanOf(b));
  let next = 0;
  return layer.map((slot) => (neighbours.has(slot) ? sorted[next++]! : slot));
}

function swapNeighbours(layers: number[][], linksBelow: readonly Link[][], fixedRanks: ReadonlySet<number>): void {
  for (let round = 0, hasImproved = true; hasImproved && round < SWEEPS; round += 1) {
    hasImproved = false;
    for (let rank = 0; rank < layers.length; rank += 1) {
      if (fixedRanks.has(rank)) continue;
      if (swapWithin(layers, rank, linksBelow)) hasImproved = true;
    }
  }
}

function swapWithin(layers: number[][], rank: number, linksBelow: readonly Link[][]): boolean {
  const layer = layers[rank]!;
  let hasImproved = false;
  let before = crossingsAround(layers, rank, linksBelow);
  for (let place = 0; place + 1 < layer.length && before > 0; place += 1) {
    swap(layer, place);
    const after = crossingsAround(layers, rank, linksBelow);
    if (after < before) {
      before = after;
      hasImproved = true;
    } else swap(layer, place);
  }
  return hasImproved;
}

function swap(layer: number[], place: number): void {
  const left = layer[place]!;
  layer[place] = layer[place + 1]!;
  layer[place + 1] = left;
}

function crossingsAround(layers: readonly number[][], rank: number, linksBelow: readonly Link[][]): number {
  const above = rank === 0 ? 0 : countCrossings(layers, rank - 1, linksBelow);
  return above + countCrossings(layers, rank, linksBelow);
}

function countAllCrossings(layers: readonly number[][], linksBelow: readonly Link[][]): number {
  return layers.reduce((sum, _, rank) => sum + countCrossings(layers, rank, linksBelow), 0);
}

function countCrossings(layers: readonly number[][], rank: number, linksBelow: readonly Link[][]): number {
  const lowerLayer = layers[rank + 1];
  if (lowerLayer === undefined) return 0;
  const upperPlaces = placesOf(layers[rank]!);
  const lowerPlaces = placesOf(lowerLayer);
  const spans = linksBelow[rank]!.map(
    ({ upper, lower }) => [upperPlaces.get(upper)!, lowerPlaces.get(lower)!] as const,
  );
  let count = 0;
  for (let first = 0; first < spans.length; first += 1) {
    for (let second = first + 1; second < spans.length; second += 1) {
      const [a, b] = [spans[first]!, spans[second]!];
      if ((a[0] - b[0]) * (a[1] - b[1]) < 0) count += 1;
    }
  }
  return count;
}

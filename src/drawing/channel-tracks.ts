/**
 * Between two ranks every line that does not run straight down gets a horizontal piece on a track of its own height.
 * Lines share a track only if they do not meet. The order of the tracks is chosen so that few lines cross and no two
 * lines run on top of each other.
 */

export interface Crossing {
  readonly upperX: number;
  readonly lowerX: number;
}

/** Lines nearer than this would look like one. */
const TOUCH = 6;
const OVERLAP_COST = 100;
const ROUNDS_MAX = 20;

/** Track number of each line, from 0 at the top; `null` for a line that runs straight down. */
export function tracksOf(lines: readonly Crossing[]): (number | null)[] {
  const bent = lines.flatMap((line, index) => (line.upperX === line.lowerX ? [] : [index]));
  const order = improvedOrder(
    lines,
    bent.sort((a, b) => roughOrder(lines[a]!, lines[b]!) || a - b),
  );
  const tracks: (number | null)[] = lines.map(() => null);
  const placed: number[] = [];
  for (const index of order) {
    const above = placed.filter((other) => doMeet(lines[index]!, lines[other]!)).map((other) => tracks[other]! + 1);
    tracks[index] = Math.max(0, ...above);
    placed.push(index);
  }
  return tracks;
}

/** Lines that run left: from the left one on downwards. Lines that run right: the other way round. */
function roughOrder(a: Crossing, b: Crossing): number {
  const aRight = a.lowerX > a.upperX;
  if (aRight !== b.lowerX > b.upperX) return aRight ? 1 : -1;
  return aRight ? b.upperX - a.upperX : a.upperX - b.upperX;
}

/** Moves one line at a time to its best place until no move helps. */
function improvedOrder(lines: readonly Crossing[], start: readonly number[]): number[] {
  let order = [...start];
  for (let round = 0, hasImproved = true; hasImproved && round < ROUNDS_MAX; round += 1) {
    hasImproved = false;
    for (const line of start) {
      const better = bestPlaceFor(lines, order, line);
      if (better === null) continue;
      order = better;
      hasImproved = true;
    }
  }
  return order;
}

function bestPlaceFor(lines: readonly Crossing[], order: readonly number[], line: number): number[] | null {
  const others = order.filter((other) => other !== line);
  const costs = [...others, -1].map((_, place) => {
    const above = others.slice(0, place).reduce((sum, other) => sum + costAbove(lines[other]!, lines[line]!), 0);
    return others.slice(place).reduce((sum, other) => sum + costAbove(lines[line]!, lines[other]!), above);
  });
  const best = Math.min(...costs);
  return best < costs[order.indexOf(line)]! ? others.toSpliced(costs.indexOf(best), 0, line) : null;
}

/** Crossings and overlaps if `upper` has a track above the one of `lower`. */
function costAbove(upper: Crossing, lower: Crossing): number {
  let cost = 0;
  if (isWithin(lower.upperX, upper)) cost += 1;
  if (isWithin(upper.lowerX, lower)) cost += 1;
  if (Math.abs(upper.lowerX - lower.upperX) < TOUCH) cost += OVERLAP_COST;
  return cost;
}

function isWithin(x: number, line: Crossing): boolean {
  return x > Math.min(line.upperX, line.lowerX) - TOUCH && x < Math.max(line.upperX, line.lowerX) + TOUCH;
}

function doMeet(a: Crossing, b: Crossing): boolean {
  const aLeft = Math.min(a.upperX, a.lowerX) - TOUCH;
  const aRight = Math.max(a.upperX, a.lowerX) + TOUCH;
  return Math.min(b.upperX, b.lowerX) < aRight && Math.max(b.upperX, b.lowerX) > aLeft;
}

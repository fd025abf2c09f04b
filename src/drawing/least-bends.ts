/**
 * Finds whole-number positions that keep every line as straight as the distances allow: minimises
 * sum of weight * |offset between the ends| (with a slight pull to the middle) under "right >= left + gap".
 * The sum is convex in a way that makes greedy steps exact: while some set of slots can move right together by one step
 * and lower the sum, a minimum cut finds the best such set. Steps halve down to 1.
 */

export interface Tie {
  readonly a: number;
  readonly b: number;
  /** Where on `a` and on `b` the line ends, from the left edge of each. */
  readonly aOffset: number;
  readonly bOffset: number;
  /** How far the end may slide along its slot without a bend. */
  readonly slack: number;
  readonly weight: number;
}

export interface Gap {
  readonly left: number;
  readonly right: number;
  /** Smallest distance between the two left edges. */
  readonly distance: number;
}

const FIRST_STEP = 128;
/** How much a bend costs next to the pull to the middle, which grows with the square of the distance. */
const BEND_COST = 4_000;
/** Each move lowers a whole-number sum, so this is never reached; it bounds the work on a mistake. */
const MOVES_MAX = 2_000;
const FORBIDDEN = 1e12;

/** Moves `positions` (which must respect the gaps) to the optimum, in place. */
export function straighten(positions: number[], ties: readonly Tie[], gaps: readonly Gap[]): void {
  let moves = 0;
  for (let step = FIRST_STEP; step >= 1; step /= 2) {
    while (moves < MOVES_MAX) {
      const moving = bestMove({ positions, ties, gaps, step });
      if (moving === null) break;
      moves += 1;
      for (const index of moving) positions[index] = positions[index]! + step;
    }
  }
}

interface Situation {
  readonly positions: readonly number[];
  readonly ties: readonly Tie[];
  readonly gaps: readonly Gap[];
  readonly step: number;
}

function costOf({ weight, slack }: Tie, distance: number): number {
  return weight * (BEND_COST * Math.max(0, Math.abs(distance) - slack) + distance * distance);
}

/** The set of slots whose common move to the right lowers the sum the most; `null` if none does. */
function bestMove({ positions, ties, gaps, step }: Situation): number[] | null {
  const network = new Network(positions.length);
  for (const tie of ties) {
    const { a, b, aOffset, bOffset } = tie;
    const distance = positions[a]! + aOffset - positions[b]! - bOffset;
    const now = costOf(tie, distance);
    const onlyA = costOf(tie, distance + step) - now;
    const onlyB = costOf(tie, distance - step) - now;
    network.addChoice(a, onlyA);
    network.addChoice(b, -onlyA);
    network.addArc(b, a, onlyA + onlyB);
  }
  for (const { left, right, distance } of gaps) {
    if (positions[right]! - positions[left]! - distance < step) network.addArc(left, right, FORBIDDEN);
  }
  const { moving, gain } = network.solve();
  return gain > 0 ? moving : null;
}

interface Arc {
  readonly to: number;
  capacity: number;
  readonly reverse: number;
}

/** A flow network with one node for each slot, a source (moves) and a sink (stays). */
class Network {
  readonly #arcs: Arc[][];
  readonly #source: number;
  readonly #sink: number;
  readonly #choices: number[];

  constructor(slotCount: number) {
    this.#arcs = Array.from({ length: slotCount + 2 }, () => []);
    this.#choices = Array.from({ length: slotCount }, () => 0);
    this.#source = slotCount;
    this.#sink = slotCount + 1;
  }

  /** Adds to the cost of moving this slot; below zero it is a reward. */
  addChoice(slot: number, cost: number): void {
    this.#choices[slot] = this.#choices[slot]! + cost;
  }

  /** Cost to pay if `from` moves and `to` stays. */
  addArc(from: number, to: number, capacity: number): void {
    if (capacity === 0) return;
    const forward = this.#arcs[from]!;
    const backward = this.#arcs[to]!;
    forward.push({ to, capacity, reverse: backward.length });
    backward.push({ to: from, capacity: 0, reverse: forward.length - 1 });
  }

  solve(): { moving: number[]; gain: number } {
    let reward = 0;
    this.#choices.forEach((cost, slot) => {
      if (cost < 0) {
        reward -= cost;
        this.addArc(this.#source, slot, -cost);
      } else this.addArc(slot, this.#sink, cost);
    });
    let flow = 0;
    for (let found = this.#augment(); found > 0; found = this.#augment()) flow += found;
    const reached = this.#reachable();
    const moving = this.#choices.flatMap((_, slot) => (reached[slot] === undefined ? [] : [slot]));
    return { moving, gain: reward - flow };
  }

  /** Sends as much as one shortest path carries; 0 when the sink is cut off. */
  #augment(): number {
    const cameBy = this.#reachable();
    if (cameBy[this.#sink] === undefined) return 0;
    const path: Arc[] = [];
    for (let node = this.#sink; node !== this.#source; ) {
      const arc = cameBy[node]!;
      path.push(arc);
      node = this.#arcs[node]![arc.reverse]!.to;
    }
    const amount = Math.min(...path.map((arc) => arc.capacity));
    for (const arc of path) {
      arc.capacity -= amount;
      this.#arcs[arc.to]![arc.reverse]!.capacity += amount;
    }
    return amount;
  }

  /** For each node that the source still reaches: the arc by which it was found first. */
  #reachable(): (Arc | undefined)[] {
    const start: Arc = { to: this.#source, capacity: 0, reverse: -1 };
    const cameBy: (Arc | undefined)[] = [];
    cameBy[this.#source] = start;
    const queue = [this.#source];
    for (const node of queue) {
      for (const arc of this.#arcs[node]!) {
        if (arc.capacity <= 0 || cameBy[arc.to] !== undefined) continue;
        cameBy[arc.to] = arc;
        queue.push(arc.to);
      }
    }
    return cameBy;
  }
}

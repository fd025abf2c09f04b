import type { PlacedState, Placement } from "../../src/drawing/chart-layout.ts";
import type { Box, Point } from "../../src/drawing/geometry.ts";
import { boldWidth, printable } from "../../src/present/text-width.ts";

/** Everything in a placement that a reader would see as a fault, one sentence each. */
export function faultsOf(placement: Placement): string[] {
  return [
    ...boxFaults(placement),
    ...cardFaults(placement),
    ...lineFaults(placement),
    ...overlayFaults(placement),
    ...pageFaults(placement),
  ];
}

function doOverlap(a: Box, b: Box): boolean {
  return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
}

function isInside(inner: Box, outer: Box): boolean {
  const fitsAcross = inner.x >= outer.x && inner.x + inner.width <= outer.x + outer.width;
  return fitsAcross && inner.y >= outer.y && inner.y + inner.height <= outer.y + outer.height;
}

function isFrame({ state }: PlacedState): boolean {
  return state.kind === "compound" || state.kind === "parallel";
}

function boxFaults({ states }: Placement): string[] {
  const faults: string[] = [];
  for (const [index, a] of states.entries()) {
    const parent = states.find(({ state }) => state.id === a.state.parent);
    if (parent !== undefined && !isInside(a.box, parent.box)) faults.push(`${a.state.id} sticks out of its frame`);
    for (const b of states.slice(index + 1)) {
      const isFamily = b.state.id.startsWith(`${a.state.id}.`) || a.state.id.startsWith(`${b.state.id}.`);
      if (!isFamily && doOverlap(a.box, b.box)) faults.push(`${a.state.id} overlaps ${b.state.id}`);
    }
  }
  return faults;
}

function cardFaults({ states, edges }: Placement): string[] {
  const faults: string[] = [];
  for (const [index, { card, edge }] of edges.entries()) {
    const name = `the label of ${edge.from} to ${edge.to}`;
    for (const placed of states) {
      if (!doOverlap(card, placed.box)) continue;
      if (!isFrame(placed) || !isInside(card, placed.box)) faults.push(`${name} overlaps ${placed.state.id}`);
    }
    for (const other of edges.slice(index + 1)) {
      if (doOverlap(card, other.card))
        faults.push(`${name} overlaps the one of ${other.edge.from} to ${other.edge.to}`);
    }
  }
  return faults;
}

/** The area of one piece of a line, without its ends. */
function areaOf(from: Point, to: Point): Box {
  const [x, y] = [Math.min(from.x, to.x), Math.min(from.y, to.y)];
  return { x, y, width: Math.abs(from.x - to.x), height: Math.abs(from.y - to.y) };
}

function doesCut(piece: Box, box: Box): boolean {
  const isAcross = piece.x < box.x + box.width && piece.x + piece.width > box.x;
  return isAcross && piece.y < box.y + box.height && piece.y + piece.height > box.y;
}

function lineFaults({ states, edges }: Placement): string[] {
  const faults: string[] = [];
  const titles = states.filter(isFrame).map(({ box, state }) => {
    const name = { x: box.x + 18, y: box.y + 8, width: boldWidth(printable(state.label)), height: 18 };
    return { id: state.id, box: name };
  });
  for (const { edge, points } of edges) {
    const name = `the line of ${edge.from} to ${edge.to}`;
    if (points.length < 2) faults.push(`${name} is missing`);
    points.slice(1).forEach((to, index) => {
      const from = points[index]!;
      const piece = areaOf(from, to);
      if (piece.width > 0 && piece.height > 0) faults.push(`${name} is slanted`);
      for (const placed of states) {
        if (!isFrame(placed) && doesCut(piece, placed.box)) faults.push(`${name} cuts ${placed.state.id}`);
      }
      for (const { id, box } of titles) if (doesCut(piece, box)) faults.push(`${name} cuts the name of ${id}`);
      for (const other of edges) {
        if (other.edge !== edge && doesCut(piece, other.card))
          faults.push(`${name} cuts the label of ${other.edge.from} to ${other.edge.to}`);
      }
    });
    faults.push(...endFaults({ states, edges: [], width: 0, height: 0 }, { from: edge.from, to: edge.to, points }));
  }
  return faults;
}

/** Two lines that run along each other on the same height look like one. */
function overlayFaults({ edges }: Placement): string[] {
  const pieces = edges.flatMap(({ edge, points }) =>
    points.slice(1).flatMap((to, index) => {
      const area = areaOf(points[index]!, to);
      return area.width > 0 ? [{ edge, area }] : [];
    }),
  );
  return pieces.flatMap((a, index) =>
    pieces.slice(index + 1).flatMap((b) => {
      const isBeside = a.area.x + a.area.width <= b.area.x || b.area.x + b.area.width <= a.area.x;
      if (a.edge === b.edge || a.area.y !== b.area.y || isBeside) return [];
      return [`the lines of ${a.edge.from} to ${a.edge.to} and of ${b.edge.from} to ${b.edge.to} lie on each other`];
    }),
  );
}

function isOnBorder({ x, y }: Point, box: Box): boolean {
  const isOnSide = (x === box.x || x === box.x + box.width) && y >= box.y && y <= box.y + box.height;
  return isOnSide || ((y === box.y || y === box.y + box.height) && x >= box.x && x <= box.x + box.width);
}

function endFaults({ states }: Placement, line: { from: string; to: string; points: readonly Point[] }): string[] {
  const boxOf = (id: string): Box => states.find(({ state }) => state.id === id)!.box;
  const [first, last] = [line.points[0], line.points.at(-1)];
  const faults: string[] = [];
  if (first === undefined || !isOnBorder(first, boxOf(line.from)))
    faults.push(`the line to ${line.to} does not begin at ${line.from}`);
  if (last === undefined || !isOnBorder(last, boxOf(line.to)))
    faults.push(`the line from ${line.from} does not end at ${line.to}`);
  return faults;
}

function pageFaults({ states, edges, width, height }: Placement): string[] {
  const page = { x: 0, y: 0, width, height };
  const outside = [
    ...states.filter(({ box }) => !isInside(box, page)).map(({ state }) => state.id),
    ...edges.filter(({ card }) => !isInside(card, page)).map(({ edge }) => `the label of ${edge.from} to ${edge.to}`),
  ];
  return outside.map((name) => `${name} lies outside the page`);
}

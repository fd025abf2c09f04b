import type { Point } from "./geometry.ts";

interface Drawn {
  readonly width: number;
  readonly height: number;
  readonly lines: ReadonlyMap<number, readonly Point[]>;
}

/** What a reader pays for a layout: crossings most, then bends, then paper. Only compared, never shown. */
const COST = { crossing: 30, bend: 6, area: 1 / 4_000 } as const;

export function clutterOf({ width, height, lines }: Drawn): number {
  const all = [...lines.values()];
  const bends = all.reduce((sum, line) => sum + bendsOf(line), 0);
  return crossingsOf(all) * COST.crossing + bends * COST.bend + width * height * COST.area;
}

function bendsOf(line: readonly Point[]): number {
  return line.filter((point, index) => index > 0 && line[index - 1]!.x !== point.x).length * 2;
}

function crossingsOf(lines: readonly (readonly Point[])[]): number {
  const horizontal = lines.flatMap((line, owner) => piecesOf(line, owner).filter(({ from, to }) => from.y === to.y));
  const vertical = lines.flatMap((line, owner) => piecesOf(line, owner).filter(({ from, to }) => from.x === to.x));
  return horizontal.reduce((sum, across) => sum + vertical.filter((down) => doCross(across, down)).length, 0);
}

interface Piece {
  readonly owner: number;
  readonly from: Point;
  readonly to: Point;
}

function piecesOf(line: readonly Point[], owner: number): Piece[] {
  return line.slice(1).map((to, index) => ({ owner, from: line[index]!, to }));
}

function doCross(across: Piece, down: Piece): boolean {
  if (across.owner === down.owner) return false;
  const { x } = down.from;
  const { y } = across.from;
  const isBetween = x > Math.min(across.from.x, across.to.x) && x < Math.max(across.from.x, across.to.x);
  return isBetween && y > Math.min(down.from.y, down.to.y) && y < Math.max(down.from.y, down.to.y);
}

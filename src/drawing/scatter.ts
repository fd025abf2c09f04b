/**
 * Points on two axes as one SVG document that needs nothing from outside, with the faces and colours of the charts.
 * Points with a rank are numbered and listed below, so that no two labels meet. The same points give the same bytes.
 */
import { columnsOf, printable } from "../present/text-width.ts";
import { escapeXml } from "./svg.ts";
import { scatterStyle } from "./svg-style.ts";

export type ScatterPoint = {
  readonly x: number;
  readonly y: number;
  readonly name: string;
  /** From 1 on: numbered, joined by steps and listed; null: one among the others. */
  readonly rank: number | null;
  /** Where things stand today. */
  readonly isOrigin: boolean;
  readonly isChosen: boolean;
  /** What the list says of it. */
  readonly note: string;
};

export type Scatter = {
  readonly title: string;
  /** Names of the axes. */
  readonly x: string;
  readonly y: string;
  readonly points: readonly ScatterPoint[];
  /** A level that is aimed at. */
  readonly line: { readonly y: number; readonly name: string } | null;
};

const WIDTH = 760;
const FIELD = { left: 72, top: 84, right: 728, bottom: 420 } as const;
const LIST = { top: 496, line: 22, countMax: 16 } as const;
const NAME_COLUMNS_MAX = 44;
const BADGE = 18;

export function drawScatter(scatter: Scatter): string {
  const { title, points, x, y } = scatter;
  const axes = {
    x: axisOf(points.map((point) => point.x)),
    y: axisOf([...points.map((point) => point.y), scatter.line?.y ?? 0]),
  };
  const place = ({ x: atX, y: atY }: Pick<ScatterPoint, "x" | "y">): Place => ({
    x: Math.round(FIELD.left + (atX / axes.x.end) * (FIELD.right - FIELD.left)),
    y: Math.round(FIELD.bottom - (atY / axes.y.end) * (FIELD.bottom - FIELD.top)),
  });
  const ranked = points.filter(({ rank }) => rank !== null).toSorted((a, b) => (a.rank ?? 0) - (b.rank ?? 0));
  const listed = listMarkup(ranked);
  const height = LIST.top + listed.length * LIST.line + 6;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="becalm-plot" role="img" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}">`,
    `<title>${escapeXml(title)}</title>`,
    `<desc>${escapeXml(ranked.map(({ name, note }) => `${name}: ${note}`).join("; "))}</desc>`,
    `<style>${scatterStyle()}</style>`,
    `<rect class="canvas" width="${WIDTH}" height="${height}" rx="12"/>`,
    `<text class="title" x="24" y="38">${escapeXml(title)}</text>`,
    `<text class="axis-name" x="${FIELD.left}" y="${FIELD.top - 16}">${escapeXml(y)}</text>`,
    `<text class="axis-name" x="${FIELD.right}" y="${FIELD.bottom + 44}" text-anchor="end">${escapeXml(x)}</text>`,
    ...axes.y.ticks.map((tick) => horizontal(tick, place)),
    ...axes.x.ticks.map((tick) => vertical(tick, place)),
    ...lineMarkup(scatter, place),
    ...stepsMarkup(ranked, place),
    ...points.filter(({ rank }) => rank === null).map((point) => pointMarkup(point, place)),
    ...ranked.map((point) => pointMarkup(point, place)),
    ...badgesMarkup(ranked, place),
    ...listed,
    "</svg>",
    "",
  ].join("\n");
}

type Place = { readonly x: number; readonly y: number };
type PlaceOf = (point: Pick<ScatterPoint, "x" | "y">) => Place;
type ScatterAxis = { readonly end: number; readonly ticks: readonly number[] };

/** From 0 to a round number above the largest value, in four to eight steps of 1, 2 or 5. */
function axisOf(values: readonly number[]): ScatterAxis {
  const most = Math.max(...values, 1);
  const rough = most / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max([1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) ?? most, 1);
  const steps = Math.floor(most / step) + 1;
  return { end: steps * step, ticks: Array.from({ length: steps + 1 }, (_, index) => index * step) };
}

function horizontal(tick: number, place: PlaceOf): string {
  const { y } = place({ x: 0, y: tick });
  const line = `<path class="grid" d="M${FIELD.left} ${y}H${FIELD.right}"/>`;
  return `${line}<text class="tick" x="${FIELD.left - 10}" y="${y + 4}" text-anchor="end">${tick}</text>`;
}

function vertical(tick: number, place: PlaceOf): string {
  const { x } = place({ x: tick, y: 0 });
  const line = `<path class="grid" d="M${x} ${FIELD.bottom}v5"/>`;
  return `${line}<text class="tick" x="${x}" y="${FIELD.bottom + 20}" text-anchor="middle">${tick}</text>`;
}

function lineMarkup({ line }: Scatter, place: PlaceOf): string[] {
  if (line === null) return [];
  const { y } = place({ x: 0, y: line.y });
  const text = `<text class="aim-name" x="${FIELD.right}" y="${y - 6}" text-anchor="end">${escapeXml(line.name)}</text>`;
  return [`<path class="aim" d="M${FIELD.left} ${y}H${FIELD.right}"/>${text}`];
}

/** What can be had for how much change: it stays as it is until the next point. */
function stepsMarkup(ranked: readonly ScatterPoint[], place: PlaceOf): string[] {
  const [first, ...more] = ranked.map(place);
  if (first === undefined || more.length === 0) return [];
  return [`<path class="steps" d="M${first.x} ${first.y}${more.map(({ x, y }) => `H${x}V${y}`).join("")}"/>`];
}

function pointMarkup(point: ScatterPoint, place: PlaceOf): string {
  const { x, y } = place(point);
  const kind = point.rank === null ? "point" : "point ranked";
  const ring = point.isChosen ? `<circle class="ring" cx="${x}" cy="${y}" r="11"/>` : "";
  const shape = point.isOrigin
    ? `<path class="${kind} origin" d="M${x} ${y - 8}l8 8l-8 8l-8-8Z"/>`
    : `<circle class="${kind}" cx="${x}" cy="${y}" r="5"/>`;
  return `<g><title>${escapeXml(`${point.name}: ${point.note}`)}</title>${ring}${shape}</g>`;
}

/**
 * A number that would lie on the one before it goes below its point; where there is no room either, the list has it
 * alone.
 */
function badgesMarkup(ranked: readonly ScatterPoint[], place: PlaceOf): string[] {
  const taken: Place[] = [];
  const isFree = (at: Place) =>
    taken.every(({ x, y }) => Math.abs(x - at.x) >= BADGE + 2 || Math.abs(y - at.y) >= BADGE + 2);
  return ranked.flatMap((point) => {
    const { x, y } = place(point);
    const at = [
      { x: x + 15, y: y - 15 },
      { x: x - 15, y: y + 17 },
      { x: x + 20, y: y + 2 },
    ].find(isFree);
    if (at === undefined) return [];
    taken.push(at);
    return [badge(point.rank ?? 0, at)];
  });
}

function badge(rank: number, { x, y }: Place): string {
  const width = rank > 9 ? BADGE + 6 : BADGE;
  const rect = `<rect class="badge" x="${x - width / 2}" y="${y - BADGE / 2}" width="${width}" height="${BADGE}" rx="${BADGE / 2}"/>`;
  return `${rect}<text class="badge-text" x="${x}" y="${y + 4}">${rank}</text>`;
}

function listMarkup(ranked: readonly ScatterPoint[]): string[] {
  const shown = ranked.length > LIST.countMax ? ranked.slice(0, LIST.countMax - 1) : ranked;
  const lines = shown.map((point, index) => {
    const y = LIST.top + index * LIST.line;
    const name = `<text class="item" x="60" y="${y}">${escapeXml(shortened(point.name))}</text>`;
    const note = `<text class="item quiet" x="${FIELD.right}" y="${y}" text-anchor="end">${escapeXml(point.note)}</text>`;
    return badge(point.rank ?? 0, { x: 38, y: y - 4 }) + name + note;
  });
  const left = ranked.length - shown.length;
  if (left === 0) return lines;
  return [
    ...lines,
    `<text class="item quiet" x="60" y="${LIST.top + lines.length * LIST.line}">and ${left} more</text>`,
  ];
}

function shortened(name: string): string {
  const text = printable(name);
  if (columnsOf(text) <= NAME_COLUMNS_MAX) return text;
  return `${[...text].slice(0, NAME_COLUMNS_MAX - 1).join("")}…`;
}

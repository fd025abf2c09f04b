import { boldWidth, columnsOf, printable } from "../present/text-width.ts";
import { CARD, layoutChart, type PlacedEdge, type PlacedState, type Placement } from "./chart-layout.ts";
import type { ChartMarks } from "./chart-marks.ts";
import { type Chart, labelText } from "./chart-model.ts";
import type { Point } from "./geometry.ts";
import { styleSheet, type Theme } from "./svg-style.ts";

/**
 * The chart as one SVG document that needs nothing from outside. Everything stands on whole pixels in a fixed order:
 * the same chart and marks give the same bytes.
 */

export interface SvgOptions {
  readonly title?: string | undefined;
  readonly theme: Theme;
}

const MARGIN = 24;
const TITLE_HEIGHT = 40;
const CORNER = 9;
const HEAD = { length: 9, half: 4.5 } as const;
const BADGE_HEIGHT = 17;
/** More step numbers than this on one edge are told as a count. */
const BADGE_STEPS_MAX = 4;

export function drawSvg(chart: Chart, marks: ChartMarks, { title, theme }: SvgOptions): string {
  const { width, height, states, edges } = placementOf(chart);
  const titleHeight = title === undefined ? 0 : TITLE_HEIGHT;
  const titleWidth = Math.ceil(boldWidth(printable(title ?? "")) * 1.2);
  const full = { width: Math.max(width, titleWidth) + 2 * MARGIN, height: height + titleHeight + 2 * MARGIN };
  const frames = states.filter(isFrame);
  const boxes = states.filter((placed) => !isFrame(placed));
  const inOrder = [
    ...edges.filter(({ edge }) => !marks.steps.has(edge)),
    ...edges.filter(({ edge }) => marks.steps.has(edge)),
  ];
  const id = `chart-${chart.id.replace(/[^A-Za-z0-9_-]/g, "-")}`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="becalm-chart" role="img" aria-labelledby="${id}-title ${id}-desc"` +
      ` width="${full.width}" height="${full.height}" viewBox="0 0 ${full.width} ${full.height}">`,
    `<title id="${id}-title">${escapeXml(title ?? `State chart ${chart.id}`)}</title>`,
    `<desc id="${id}-desc">${escapeXml(describe(chart, marks))}</desc>`,
    `<style>${styleSheet(theme)}</style>`,
    `<rect class="canvas" width="${full.width}" height="${full.height}" rx="12"/>`,
    ...(title === undefined ? [] : [`<text class="title" x="${MARGIN}" y="${MARGIN + 14}">${escapeXml(title)}</text>`]),
    `<g transform="translate(${MARGIN} ${MARGIN + titleHeight})">`,
    ...frames.map((placed) => frameMarkup(placed, marks)),
    ...inOrder.map((placed) => lineMarkup(placed, marks)),
    ...boxes.map((placed) => boxMarkup(placed, marks)),
    ...inOrder.map((placed) => cardMarkup(placed, marks)),
    "</g>",
    "</svg>",
    "",
  ].join("\n");
}

/**
 * Where things stand does not depend on the marks: whoever draws a chart again, with another path, has it laid out
 * already.
 */
const placements = new WeakMap<Chart, Placement>();

function placementOf(chart: Chart): Placement {
  const placement = placements.get(chart) ?? layoutChart(chart);
  placements.set(chart, placement);
  return placement;
}

function isFrame({ state }: PlacedState): boolean {
  return state.kind === "compound" || state.kind === "parallel";
}

/** Text and attribute values alike; control characters, which XML forbids, become spaces. */
export function escapeXml(text: string): string {
  return printable(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function describe(chart: Chart, { path, current }: ChartMarks): string {
  const names = chart.states.map(({ id }) => id).join(", ");
  const walked = path.length === 0 ? "" : ` Path: ${path.join(" > ")}.`;
  return `States: ${names}.${walked}${current === null ? "" : ` Current state: ${current}.`}`;
}

function stateClasses({ state }: PlacedState, marks: ChartMarks): string {
  const isCurrent = marks.current === state.id;
  return ["state", marks.visited.has(state.id) ? "visited" : "", isCurrent ? "current" : ""].filter(Boolean).join(" ");
}

function stateOpening(placed: PlacedState, marks: ChartMarks): string {
  const { id, description } = placed.state;
  const tip = description === "" ? id : `${id}: ${description}`;
  return `<g class="${stateClasses(placed, marks)}" data-state="${escapeXml(id)}"><title>${escapeXml(tip)}</title>`;
}

function frameMarkup(placed: PlacedState, marks: ChartMarks): string {
  const { box, state } = placed;
  const rect = `<rect class="frame" x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" rx="12"/>`;
  const name = `<text class="name frame-name" x="${box.x + 18}" y="${box.y + 23}">${escapeXml(state.label)}</text>`;
  return `${stateOpening(placed, marks)}${initialMarkup(placed)}${rect}${name}</g>`;
}

function boxMarkup(placed: PlacedState, marks: ChartMarks): string {
  const { box, state } = placed;
  const rect = `<rect class="box kind-${state.kind}" x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}" rx="10"/>`;
  const ring =
    state.kind === "final"
      ? `<rect class="ring" x="${box.x + 4}" y="${box.y + 4}" width="${box.width - 8}" height="${box.height - 8}" rx="7"/>`
      : "";
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 + 5 };
  const name = `<text class="name box-name" x="${middle.x}" y="${middle.y}">${escapeXml(state.label)}</text>`;
  return `${stateOpening(placed, marks)}${initialMarkup(placed)}${rect}${ring}${name}</g>`;
}

function initialMarkup({ initialDot: dot, box }: PlacedState): string {
  if (dot === null) return "";
  const line = `<path class="line" d="M${dot.x} ${dot.y}H${box.x - HEAD.length + 1}"/>`;
  return `<circle class="dot" cx="${dot.x}" cy="${dot.y}" r="5"/>${line}${headMarkup(dot, { x: box.x, y: dot.y })}`;
}

function edgeClasses({ edge }: PlacedEdge, marks: ChartMarks): string {
  const names = ["edge", marks.steps.has(edge) ? "taken" : "", marks.ambiguous.has(edge) ? "ambiguous" : ""];
  return names.filter(Boolean).join(" ");
}

function edgeData({ edge }: PlacedEdge): string {
  return `data-from="${escapeXml(edge.from)}" data-to="${escapeXml(edge.to)}"`;
}

function lineMarkup(placed: PlacedEdge, marks: ChartMarks): string {
  const { points } = placed;
  const [beforeLast, last] = [points.at(-2), points.at(-1)];
  if (beforeLast === undefined || last === undefined) return "";
  const shortened = [...points.slice(0, -1), towards(last, beforeLast, HEAD.length - 1)];
  const line = `<path class="line" d="${roundedPath(shortened)}"/>`;
  return `<g class="${edgeClasses(placed, marks)}" ${edgeData(placed)}>${line}${headMarkup(beforeLast, last)}</g>`;
}

function cardMarkup(placed: PlacedEdge, marks: ChartMarks): string {
  const { card, edge, lines } = placed;
  const rect = `<rect class="card" x="${card.x}" y="${card.y}" width="${card.width}" height="${card.height}" rx="7"/>`;
  const tip = `<title>${escapeXml(`${edge.from} to ${edge.to}: ${edge.labels.map(labelText).join(", ")}`)}</title>`;
  const texts = edge.labels.map((label, index) => {
    const { event, guard } = label;
    const y = card.y + CARD.paddingY + index * CARD.lineHeight + 12;
    const start = columnsOf(lines[index] ?? "") * CARD.columnWidth;
    const x = card.x + Math.round((card.width - start) / 2);
    const word = event === "" && guard === "" ? `<tspan class="quiet">always</tspan>` : escapeXml(event);
    const space = event === "" || guard === "" ? "" : " ";
    const condition = guard === "" ? "" : `<tspan class="guard">${space}[${escapeXml(guard)}]</tspan>`;
    const isChosen = edge.labels.length > 1 && marks.labels.has(label);
    return `<text${isChosen ? ` class="chosen"` : ""} x="${x}" y="${y}" xml:space="preserve">${word}${condition}</text>`;
  });
  const badge = badgeMarkup(placed, marks.steps.get(edge) ?? []);
  return `<g class="${edgeClasses(placed, marks)}" ${edgeData(placed)}>${tip}${rect}${texts.join("")}${badge}</g>`;
}

/** The numbers of the steps that took this edge, on the upper left corner of its card. */
function badgeMarkup({ card }: PlacedEdge, steps: readonly number[]): string {
  if (steps.length === 0) return "";
  const shown = steps.slice(0, BADGE_STEPS_MAX).join(" · ");
  const text = steps.length > BADGE_STEPS_MAX ? `${shown} +${steps.length - BADGE_STEPS_MAX}` : shown;
  const width = Math.max(BADGE_HEIGHT, text.length * 6.5 + 10);
  const [x, y] = [card.x - BADGE_HEIGHT / 2, card.y - BADGE_HEIGHT + 4];
  const rect = `<rect class="badge" x="${x}" y="${y}" width="${width}" height="${BADGE_HEIGHT}" rx="${BADGE_HEIGHT / 2}"/>`;
  return `${rect}<text class="badge-text" x="${x + width / 2}" y="${y + 12.5}">${text}</text>`;
}

/** The point `distance` away from `from` on the way to `to`; both share x or y. */
function towards(from: Point, to: Point, distance: number): Point {
  const reach = Math.min(distance, Math.abs(to.x - from.x) + Math.abs(to.y - from.y));
  return { x: from.x + Math.sign(to.x - from.x) * reach, y: from.y + Math.sign(to.y - from.y) * reach };
}

function roundedPath(points: readonly Point[]): string {
  const parts = points.map((point, index) => {
    const [before, after] = [points[index - 1], points[index + 1]];
    if (before === undefined) return `M${point.x} ${point.y}`;
    if (after === undefined) return `L${point.x} ${point.y}`;
    const radius = Math.min(CORNER, lengthOf(before, point) / 2, lengthOf(point, after) / 2);
    const [enter, leave] = [towards(point, before, radius), towards(point, after, radius)];
    return `L${enter.x} ${enter.y}Q${point.x} ${point.y} ${leave.x} ${leave.y}`;
  });
  return parts.join("");
}

function lengthOf(a: Point, b: Point): number {
  return Math.abs(a.x - b.x) + Math.abs(a.y - b.y);
}

function headMarkup(before: Point, tip: Point): string {
  const base = towards(tip, before, HEAD.length);
  const isVertical = before.x === tip.x;
  const [dx, dy] = isVertical ? [HEAD.half, 0] : [0, HEAD.half];
  return `<path class="head" d="M${tip.x} ${tip.y}L${base.x - dx} ${base.y - dy}L${base.x + dx} ${base.y + dy}Z"/>`;
}

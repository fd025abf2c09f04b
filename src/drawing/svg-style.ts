/**
 * Colours and faces of the SVG charts and plots. Plain rules instead of CSS variables, because several viewers of SVG
 * do not know those. Every rule is scoped to the drawing's own class, so that charts can stand inside one page.
 */

export type Theme = "light" | "dark" | "auto";

interface Palette {
  readonly canvas: string;
  readonly frame: string;
  readonly box: string;
  readonly border: string;
  readonly text: string;
  readonly quiet: string;
  readonly guard: string;
  readonly line: string;
  readonly card: string;
  readonly cardBorder: string;
  readonly taken: string;
  readonly takenTint: string;
  readonly onTaken: string;
}

const LIGHT: Palette = {
  canvas: "#ffffff",
  frame: "#f6f8fb",
  box: "#ffffff",
  border: "#64748b",
  text: "#0f172a",
  quiet: "#475569",
  guard: "#7c3aed",
  line: "#94a3b8",
  card: "#ffffff",
  cardBorder: "#d5dce6",
  taken: "#0d766e",
  takenTint: "#dcf5f0",
  onTaken: "#ffffff",
};

const DARK: Palette = {
  canvas: "#0d1117",
  frame: "#141b25",
  box: "#1c2533",
  border: "#7d8ca3",
  text: "#e6edf3",
  quiet: "#a3b1c4",
  guard: "#c4a7ff",
  line: "#6b7b92",
  card: "#111924",
  cardBorder: "#2f3c4f",
  taken: "#2dd4bf",
  takenTint: "#113a3a",
  onTaken: "#04211e",
};

const SANS = "ui-sans-serif, system-ui, 'Segoe UI', Helvetica, Arial, sans-serif";
const MONO = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace";

const SHAPES = `
.becalm-chart text { font-family: ${MONO}; font-size: 11px; }
.becalm-chart .name { font-family: ${SANS}; font-size: 15px; font-weight: 600; text-anchor: middle; }
.becalm-chart .frame-name { text-anchor: start; }
.becalm-chart .title { font-family: ${SANS}; font-size: 18px; font-weight: 600; }
.becalm-chart .line { fill: none; stroke-width: 1.4; }
.becalm-chart .box, .becalm-chart .frame { stroke-width: 1.4; }
.becalm-chart .kind-any { stroke-dasharray: 5 4; }
.becalm-chart .ring { fill: none; stroke-width: 1.4; }
.becalm-chart .card { stroke-width: 1; }
.becalm-chart .taken .line { stroke-width: 3.2; }
.becalm-chart .taken .card { stroke-width: 1.8; }
.becalm-chart .ambiguous .line { stroke-dasharray: 8 5; }
.becalm-chart .chosen { font-weight: 700; text-decoration: underline; }
.becalm-chart .visited > .box, .becalm-chart .visited > .frame { stroke-width: 2.4; }
.becalm-chart .current > .frame { stroke-width: 3.2; }
.becalm-chart .badge-text { font-family: ${SANS}; font-weight: 700; text-anchor: middle; }`;

function colours(p: Palette): string {
  return `
.becalm-chart .canvas { fill: ${p.canvas}; }
.becalm-chart text { fill: ${p.text}; }
.becalm-chart .frame { fill: ${p.frame}; stroke: ${p.border}; }
.becalm-chart .box { fill: ${p.box}; stroke: ${p.border}; }
.becalm-chart .ring { stroke: ${p.border}; }
.becalm-chart .dot { fill: ${p.text}; }
.becalm-chart .line { stroke: ${p.line}; }
.becalm-chart .head { fill: ${p.line}; }
.becalm-chart .card { fill: ${p.card}; stroke: ${p.cardBorder}; }
.becalm-chart .quiet { fill: ${p.quiet}; }
.becalm-chart .guard { fill: ${p.guard}; }
.becalm-chart .taken .line { stroke: ${p.taken}; }
.becalm-chart .taken .head, .becalm-chart .badge { fill: ${p.taken}; }
.becalm-chart .taken .card { stroke: ${p.taken}; }
.becalm-chart .visited > .box { fill: ${p.takenTint}; stroke: ${p.taken}; }
.becalm-chart .visited > .frame { stroke: ${p.taken}; }
.becalm-chart .current > .box { fill: ${p.taken}; stroke: ${p.taken}; }
.becalm-chart .current > .frame { fill: ${p.takenTint}; stroke: ${p.taken}; }
.becalm-chart .current > .box-name, .becalm-chart .badge-text { fill: ${p.onTaken}; }
.becalm-chart .current > .ring { stroke: ${p.onTaken}; }`;
}

/** `auto` follows the reader's own setting. */
export function styleSheet(theme: Theme): string {
  if (theme === "dark") return `${SHAPES}${colours(DARK)}\n`;
  if (theme === "light") return `${SHAPES}${colours(LIGHT)}\n`;
  return `${SHAPES}${colours(LIGHT)}\n@media (prefers-color-scheme: dark) {${colours(DARK)}\n}\n`;
}

const PLOT_SHAPES = `
.becalm-plot text { font-family: ${SANS}; font-size: 13px; }
.becalm-plot .title { font-size: 18px; font-weight: 600; }
.becalm-plot .axis-name { font-weight: 600; }
.becalm-plot .tick { font-size: 12px; }
.becalm-plot .item { font-family: ${MONO}; font-size: 12px; }
.becalm-plot .grid { fill: none; stroke-width: 1; }
.becalm-plot .aim { fill: none; stroke-width: 1.4; stroke-dasharray: 6 5; }
.becalm-plot .steps { fill: none; stroke-width: 2; }
.becalm-plot .point { stroke-width: 1.6; }
.becalm-plot .ring { fill: none; stroke-width: 2; }
.becalm-plot .badge-text { font-size: 11px; font-weight: 700; text-anchor: middle; }`;

function plotColours(p: Palette): string {
  return `
.becalm-plot .canvas { fill: ${p.canvas}; }
.becalm-plot text { fill: ${p.text}; }
.becalm-plot .tick, .becalm-plot .quiet { fill: ${p.quiet}; }
.becalm-plot .grid { stroke: ${p.cardBorder}; }
.becalm-plot .aim { stroke: ${p.guard}; }
.becalm-plot .aim-name { fill: ${p.guard}; }
.becalm-plot .steps { stroke: ${p.taken}; stroke-opacity: 0.35; }
.becalm-plot .point { fill: ${p.box}; stroke: ${p.line}; }
.becalm-plot .ranked { fill: ${p.taken}; stroke: ${p.taken}; }
.becalm-plot .origin { fill: ${p.text}; stroke: ${p.text}; }
.becalm-plot .ring { stroke: ${p.guard}; }
.becalm-plot .badge { fill: ${p.taken}; }
.becalm-plot .badge-text { fill: ${p.onTaken}; }`;
}

/** Of plots; follows the reader's own setting. */
export function scatterStyle(): string {
  return `${PLOT_SHAPES}${plotColours(LIGHT)}\n@media (prefers-color-scheme: dark) {${plotColours(DARK)}\n}\n`;
}

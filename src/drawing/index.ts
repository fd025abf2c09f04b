import type { AnyStateMachine } from "xstate";
import { BecalmError } from "../model/errors.ts";
import { drawAscii } from "./ascii.ts";
import { marksOf, type Visit } from "./chart-marks.ts";
import { type Chart, chartOf } from "./chart-model.ts";
import { drawMermaid } from "./mermaid.ts";
import { drawSvg } from "./svg.ts";
import type { Theme } from "./svg-style.ts";

export type { Visit } from "./chart-marks.ts";
export { type Chart, type ChartEdge, type ChartState, chartOf, type EdgeLabel } from "./chart-model.ts";
export type { Theme } from "./svg-style.ts";

export const DRAWING_FORMATS = ["svg", "mermaid", "ascii"] as const;
export type DrawingFormat = (typeof DRAWING_FORMATS)[number];

export interface DrawingOptions {
  readonly format: DrawingFormat;
  /** States in the order of the visits. Dotted names (`Processing.running`) tell exactly which edges were taken; a top-level name
   * of a compound state leaves it open, and the edges in question are drawn as possible. A `Visit` names the transition
   * too. */
  readonly path?: readonly (string | Visit)[] | undefined;
  /** The state to mark as the current one; by default the last one of the path. */
  readonly current?: string | undefined;
  readonly title?: string | undefined;
  /** For SVG only. `auto`, the default, follows the reader's own setting. */
  readonly theme?: Theme | undefined;
}

/**
 * Draws a machine. The same arguments give the same bytes; nothing is fetched.
 * Throws BECALM_ARGUMENT_INVALID for an unknown format or a state that the machine does not have.
 */
export function drawChart(machine: AnyStateMachine, options: DrawingOptions): string {
  return drawChartData(chartOf(machine), options);
}

/** The same for a chart that was read before. */
export function drawChartData(chart: Chart, options: DrawingOptions): string {
  const { format, path, current, title, theme = "auto" } = options;
  const marks = marksOf(chart, { path, current });
  switch (format) {
    case "svg":
      return drawSvg(chart, marks, { title, theme });
    case "mermaid":
      return drawMermaid(chart, marks, title);
    case "ascii":
      return drawAscii(chart, marks, title);
    default:
      throw unknownFormat(format);
  }
}

function unknownFormat(format: never): BecalmError {
  const text = `unknown drawing format "${String(format)}": use one of ${DRAWING_FORMATS.join(", ")}`;
  return new BecalmError("BECALM_ARGUMENT_INVALID", text, { details: { format } });
}

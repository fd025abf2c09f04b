/**
 * The stored form of a series before points waited in their series: read once, when a stream of that format is opened.
 */
import type { OpenAlert, SeriesState, StrategyState } from "./group-state.ts";
import { addPoint } from "./point-list.ts";

export type FirstSeriesState = {
  readonly dimensions: Readonly<Record<string, unknown>>;
  readonly dimensionFields: readonly string[];
  readonly pointCount: number;
  readonly lastTime: number;
  readonly lastValue: number;
  readonly strategies: Readonly<
    Record<
      string,
      {
        readonly levels: Readonly<
          Record<
            string,
            {
              readonly hits: readonly (readonly [number: number, time: number])[];
              readonly normalCount: number;
              readonly open: OpenAlert | null;
            }
          >
        >;
        readonly noData: OpenAlert | null;
      }
    >
  >;
};

export type WaitingPoint = {
  readonly time: number;
  readonly value: number;
  readonly dimensions: Readonly<Record<string, unknown>>;
  readonly dimensionFields: readonly string[];
};

/**
 * Hits were dated; here they are numbered in ticks, one a point: their window is counted by points until it has passed.
 */
export function seriesOfFirstFormat(stored: FirstSeriesState | null, waiting: readonly WaitingPoint[]): SeriesState {
  const points = [...waiting].sort((a, b) => a.time - b.time);
  const first = stored ?? (points[0] as WaitingPoint);
  const lastTime = stored?.lastTime ?? null;
  const newestTime = points.at(-1)?.time ?? lastTime;
  let pending = "";
  for (const point of points) pending = addPoint(pending, point);
  return {
    dimensions: first.dimensions,
    dimensionFields: first.dimensionFields,
    pointCount: stored?.pointCount ?? 0,
    tick: stored?.pointCount ?? 0,
    lastTime,
    lastValue: stored?.lastValue ?? 0,
    newestTime,
    heardAt: newestTime ?? 0,
    pending,
    recent: stored === null ? "" : addPoint("", { time: stored.lastTime, value: stored.lastValue }),
    // Looked at with the first tick.
    dueTime: 0,
    strategies: Object.fromEntries(
      Object.entries(stored?.strategies ?? {}).map(([name, one]): [string, StrategyState] => [
        name,
        {
          noData: one.noData,
          levels: Object.fromEntries(
            Object.entries(one.levels).map(([severity, { hits, normalCount, open }]) => [
              severity,
              {
                hits: hits.map(([number]) => [number, number] as const),
                normalCount,
                quietCount: 0,
                open,
                closedAt: null,
              },
            ]),
          ),
        },
      ]),
    ),
  };
}

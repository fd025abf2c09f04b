/** Points of a series as one text, `time value time value ...`: cheap to append to, to store and to compare. */
import type { EarlierPoint } from "./condition.ts";

export type Point = { readonly time: number; readonly value: number };

export function pointsOf(text: string): Point[] {
  if (text === "") return [];
  const parts = text.split(" ");
  const points: Point[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2)
    points.push({ time: Number(parts[at]), value: Number(parts[at + 1]) });
  return points;
}

export function textOfPoints(points: readonly Point[]): string {
  return points.map(({ time, value }) => `${time} ${value}`).join(" ");
}

export function addPoint(text: string, { time, value }: Point): string {
  return text === "" ? `${time} ${value}` : `${text} ${time} ${value}`;
}

/** The points before one of them, the latest first, with the intervals that lie between. */
export function pointsBefore(
  points: readonly Point[],
  place: number,
  { count, intervalSeconds }: { count: number; intervalSeconds: number },
): EarlierPoint[] {
  const before: EarlierPoint[] = [];
  const { time } = points[place] as Point;
  for (let at = place - 1; at >= 0 && before.length < count; at -= 1) {
    const { time: earlier, value } = points[at] as Point;
    before.push({ value, ticks: ticksBetween(earlier, time, intervalSeconds) });
  }
  return before;
}

/**
 * How many intervals lie between two points: a sampler that is not exact (60 s against 61.1 s) comes once an interval.
 */
export function ticksBetween(from: number, to: number, intervalSeconds: number): number {
  return Math.round((to - from) / intervalSeconds);
}

/** Only the newest `count` points. */
export function newestPoints(text: string, count: number): string {
  let at = text.length;
  for (let spaces = 0; spaces < 2 * count; spaces += 1) {
    at = text.lastIndexOf(" ", at - 1);
    if (at <= 0) return text;
  }
  return text.slice(at + 1);
}

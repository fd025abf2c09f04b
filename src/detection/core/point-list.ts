/** Points of a series as one text, `time value time value ...`: cheap to append to, to store and to compare. */

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

/** Only the newest `count` points. */
export function newestPoints(text: string, count: number): string {
  let at = text.length;
  for (let spaces = 0; spaces < 2 * count; spaces += 1) {
    at = text.lastIndexOf(" ", at - 1);
    if (at <= 0) return text;
  }
  return text.slice(at + 1);
}

/** When a series was last heard of, and how long it is remembered after that. */
import type { StrategyGroup } from "./strategy-group.ts";

/** In the group's time: a series that lags behind the group is heard of when its record comes. */
export function heardAtAfter(
  heardAt: number,
  point: { readonly time: number; readonly clockTime: number },
  { latenessSeconds }: StrategyGroup,
): number {
  const isLagging = point.clockTime - point.time > latenessSeconds;
  return Math.max(heardAt, isLagging ? point.clockTime : point.time);
}

/** The tick that forgets a series which was last heard of then. */
export function forgottenAt(heardAt: number, { keepSeconds, intervalSeconds }: StrategyGroup): number {
  return Math.ceil((heardAt + keepSeconds) / intervalSeconds) * intervalSeconds;
}

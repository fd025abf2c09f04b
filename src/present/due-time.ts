import { HELD_DUE_AT_MS } from "../model/instance-types.ts";
import { isoTime } from "./time-text.ts";

/** What a pause holds has no deadline. */
export function hasDeadline(dueAtMs: number): boolean {
  return dueAtMs < HELD_DUE_AT_MS;
}

/** When a timer is due, for programs; null: it has no deadline. */
export function dueAtJson(dueAtMs: number): string | null {
  return hasDeadline(dueAtMs) ? isoTime(dueAtMs) : null;
}

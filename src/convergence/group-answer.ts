import type { InstanceEvent } from "../model/instance-types.ts";

/**
 * An answer for one of those that a group held. `by` null: nobody answered in time. Whoever answers next, and finds
 * nobody held, is told.
 */
export type GroupAnswer = {
  readonly did: "granted" | "denied" | "timeout";
  readonly by: string | null;
  readonly atMs: number;
};

/** null: the event is no answer. */
export function answerOf(event: InstanceEvent): GroupAnswer | null {
  const { atMs } = event;
  if (event.type === "approval.granted") return { did: "granted", by: event.by, atMs };
  if (event.type === "approval.denied") return { did: "denied", by: event.by, atMs };
  return event.type === "timer.elapsed" && event.timer === "approval" ? { did: "timeout", by: null, atMs } : null;
}
